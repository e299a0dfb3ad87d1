"""What the gate means in words, for verdicts that are given."""

import pytest

from lib.gate.check import Check, Verdict
from lib.report import gate_words
from lib.report.gate import Gate, Line

UPSIDE_DOWN = "L∞ 0.2: one walk on the margin, on standardised and on plain cross-entropy leaves 31.2 %, 28.1 %, 46.9 %"
AGREEING = "L∞ 0.2: one walk on the margin, on standardised and on plain cross-entropy leaves 31.2 %, 28.1 %, 20.0 %"
WEAK = "L∞ 0.2: all restarts leaves 12.5 %, AutoAttack 21.9 %"


def gate(*checks: tuple[str, Verdict, str]) -> Gate:
    """Two rows with one seed: the first has these checks, the second passes."""
    found = [Check(number, "name", 1.0, "points", "", verdict, note) for number, verdict, note in checks]
    return Gate([Line("JR", "JR", {0: found}), Line("NR", "Standard", {0: [Check("G1", "name", 0.0, "", "", "pass", "")]})])


def said(*checks: tuple[str, Verdict, str], short: bool = True) -> str:
    return " ".join(gate_words.sentences(gate(*checks), short))


def test_where_nothing_fails_the_answer_is_yes():
    assert said(("G1", "pass", "")) == "Yes, as far as these checks can see: none fails."


CARE = "Yes, but with care: in 1 of 2 rows the strict attack may leave too many images standing (JR; "
STRICT_STANDS = "Yes for the strict attack and for all attacks together"


@pytest.mark.parametrize(
    ("check", "start", "meaning"),
    [
        (("G1", "fail", "1e-3 outside"), "No: G1 fail in 1 of 2 rows", "it is about every number"),
        (("G6", "fail", ""), f"{CARE}G6, name).", "it is about the strict attack"),
        (("G4", "fail", "L∞ 0.2: 10 steps leaves 25.0 %, one walk 31.2 %"), CARE, "a weaker attack broke more"),
        (("G4", "fail", WEAK), STRICT_STANDS, "it is shortened, and the AutoAttack columns read too high"),
        (("G9", "fail", UPSIDE_DOWN), STRICT_STANDS, "so the columns of the paper’s attack read too high"),
        (("G9", "fail", AGREEING), CARE, "plain cross-entropy breaks more"),
        (("G10", "fail", "the paper's column fails: …"), "Yes for the strict attack", "it is about the columns of the paper’s attack"),
        (("G10", "fail", "12 % of the gradients are zero"), "No: G10", "it is about every number"),
    ],
)
def test_a_failing_check_casts_doubt_on_what_it_is_about(check, start, meaning):
    text = said(check)
    assert text.startswith(start) and meaning in text


def test_a_full_autoattack_that_is_weaker_than_the_strict_attack_is_no_matter_of_its_length():
    assert said(("G4", "fail", WEAK), short=False).startswith("Yes, but with care: in 1 of 2 rows")


def test_warnings_that_few_images_explain_are_told_from_the_others():
    text = said(("G16", "warn", "[2.5, 15.0]"), ("G7", "warn", "breaks 1 of 32 images more (one image)"), ("G13", "warn", "0.1"))
    assert "1 wide intervals (G16) and 1 where a rule finer than one image is broken by exactly one" in text and "1 other warns." in text
    assert "no sign of a fault" not in said(("G13", "warn", "0.1"))
