"""What became of the report's comparisons between rows: report/contrasts.csv of every revision side by side."""

from dataclasses import dataclass

from lib.columns import NORMS, SEMANTICS
from lib.compare.comparison import Comparison
from lib.compare.sides import Sides, sides
from lib.report.findings import between, signed

_KEY = ("first", "second", "semantics", "norm", "epsilon")


@dataclass(frozen=True)
class Contrast:
    """What one revision found of a contrast: the difference with its interval, and the verdict."""

    interval: str
    verdict: str


def contrasts(compared: Comparison) -> Sides[tuple[str, str], Contrast]:
    """The contrasts whose verdict is not the same in all revisions, by their names and attacks."""
    return sides([_contrasts(revision.contrasts.to_dict("records")) for revision in compared.revisions], lambda one: one.verdict)


def _contrasts(lines: list[dict[str, str]]) -> dict[tuple[str, str], Contrast]:
    return {_named(*(line[key] for key in _KEY)): Contrast(_interval(line), line["verdict"]) for line in lines}


def _named(first: str, second: str, semantics: str, norm: str, epsilon: str) -> tuple[str, str]:
    return f"{first} − {second}", f"{SEMANTICS.get(semantics, semantics)}, {NORMS.get(norm, norm)} {epsilon}"


def _interval(line: dict[str, str]) -> str:
    difference, low, high = (float(line[name]) for name in ("difference", "low_images", "high_images"))
    return f"{signed(difference)} {between(low, high)}"
