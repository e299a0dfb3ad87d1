"""What the gate means for the page’s numbers, in words: can they be believed, and which of them is a failing check about."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.gate.check import About
from lib.gate.rules import RULES
from lib.report.gate import Gate

FIGURES: dict[About, str] = {
    "all": "every number",
    "radius": "the radii, and the robust accuracies that follow from them",
    "paper": "the columns of the paper’s attack only",
}


@dataclass(frozen=True)
class Failure:
    """A check that fails: its number and name, in which rows, and which figures that puts in doubt."""

    check: str
    rows: list[str]
    about: About


def sentences(gate: Gate) -> list[str]:
    """One or two: whether the numbers can be believed, and what fails."""
    found = failures(gate)
    return [_verdict(found, len(gate.lines)), *_reasons(found, len(gate.lines))]


def failures(gate: Gate) -> list[Failure]:
    """Every check that fails somewhere, in order."""
    failing = {number: [line.technique for line, cell in entries if cell.verdict == "fail"] for number, _, _, entries in gate.complaints}
    return [Failure(f"{number} {RULES[number].name}", rows, RULES[number].about) for number, rows in failing.items() if rows]


def _verdict(found: Sequence[Failure], count: int) -> str:
    if not found:
        return "Yes, as far as these checks can see: none fails."
    for about, start in (("all", "No"), ("radius", "With care")):
        rows = {row for failure in found if failure.about == about for row in failure.rows}
        if rows:
            return f"{start}: in {len(rows)} of {count} rows something is wrong with {FIGURES[about]}."  # type: ignore[index]
    return "Yes, but not the columns of the paper’s attack: no failing check is about anything else."


def _reasons(found: Sequence[Failure], count: int) -> list[str]:
    parts = [f"{one.check} in {len(one.rows)} of {count} rows, which is about {FIGURES[one.about]}" for one in found]
    return [f"What fails: {'; '.join(parts)}."] if parts else []
