"""What the gate means in words, for verdicts that are given."""

import pytest

from lib.gate.check import Check, Verdict
from lib.gate.rules import RULES
from lib.report import gate_words
from lib.report.gate import Gate, Line


def said(*verdicts: tuple[str, Verdict]) -> str:
    """Of two rows with one seed: the first has these verdicts and passes the rest, the second passes all."""
    rows = dict(verdicts), {}
    found = [[Check(number, RULES[number].name, 1.0, "", "", given.get(number, "pass"), "") for number in RULES] for given in rows]
    return " ".join(gate_words.sentences(Gate([Line("JR", "JR", {0: found[0]}), Line("NR", "Standard", {0: found[1]})])))


def test_where_nothing_fails_the_answer_is_yes():
    assert said(("G13", "warn"), ("G16", "info")) == "Yes, as far as these checks can see: none fails."


@pytest.mark.parametrize(
    ("numbers", "start", "meaning"),
    [
        (["G2"], "No: in 1 of 2 rows something is wrong with every number.", "G2 determinism in 1 of 2 rows, which is about every number"),
        (["G6"], "With care: in 1 of 2 rows something is wrong with the radii", "G6 convergence in 1 of 2 rows, which is about the radii"),
        (["G9"], "Yes, but not the columns of the paper’s attack", "G9 paper's column in 1 of 2 rows, which is about the columns"),
        (["G9", "G6", "G2"], "No: ", "G2 determinism"),
        (["G9", "G6"], "With care: ", "G9 paper's column"),
    ],
)
def test_a_failing_check_casts_doubt_on_what_it_is_about(numbers, start, meaning):
    text = said(*((number, "fail") for number in numbers))
    assert text.startswith(start) and meaning in text
