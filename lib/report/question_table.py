"""The same questions asked of every experiment, as a table of the page: a line per question, a column per experiment."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lib.report.experiments import THIS, Answer
from lib.report.families import Family
from lib.report.opponents import AGAINST
from lib.report.templates import rendered

OVER: dict[Family, str] = {
    "standard": "standard training",
    "permuted": "the same maps, their pixels permuted",
    "non_robust": "a non-robust teacher’s maps",
    "jacobian": "small gradients alone (JR)",
    "adversarial": "adversarial training",
}


@dataclass(frozen=True)
class Line:
    """One question: its cells by column (None: not asked there), and what they say together."""

    over: str
    cells: list[Answer | None]
    together: str


def to_html(answers: Sequence[Answer], choices: int) -> Markup:
    """The table; nothing where only one experiment is at hand. `choices`: for how many pairs of rows this run's intervals hold together."""
    heads = list(dict.fromkeys(map(_head, answers)))
    if len(heads) < 2:
        return Markup("")
    sizes = {_head(answer): answer.size for answer in reversed(answers)}
    return rendered("questions.html.j2", heads=heads, sizes=sizes, lines=lines(answers, heads), choices=choices)


def lines(answers: Sequence[Answer], heads: Sequence[str]) -> list[Line]:
    """The questions that some experiment answers."""
    found = []
    for family in AGAINST:
        mine = {_head(answer): answer for answer in answers if answer.family == family}
        if mine:
            found.append(Line(OVER[family], [mine.get(head) for head in heads], together(list(mine.values()))))
    return found


def together(answers: Sequence[Answer]) -> str:
    """What the experiments say of one question, by the signs of their leads and by which of these are clear of chance.

    Each is counted as ahead or behind where it is clear, and as open where it is not.
    """
    ahead = sum(answer.gap.clear and answer.gap.points > 0 for answer in answers)
    behind = sum(answer.gap.clear and answer.gap.points < 0 for answer in answers)
    signs = {answer.gap.points > 0 for answer in answers}
    if ahead and behind:
        return f"contradictory: clear in {ahead + behind} of {len(answers)}, {ahead} ahead and {behind} behind"
    agree = ("all ahead" if True in signs else "none ahead") if len(signs) == 1 else "signs differ"
    return f"{agree}; clear in {ahead + behind} of {len(answers)}"


def _head(answer: Answer) -> str:
    return answer.experiment if answer.experiment == THIS else f"{answer.experiment} {answer.name}"
