"""What became of the report's comparisons between rows: report/contrasts.csv of every revision side by side."""

from dataclasses import dataclass

from lib.compare.comparison import Comparison
from lib.report.columns import NORMS
from lib.report.findings import signed

KEY = ("first", "second", "semantics", "norm", "epsilon")


@dataclass(frozen=True)
class Compared:
    """A contrast by `name`, and under which attack; of every revision the difference with its interval, and the verdict."""

    name: str
    attack: str
    found: list[tuple[str, str]]


def contrasts(compared: Comparison) -> list[Compared]:
    """The contrasts whose verdict is not the same in all revisions."""
    frames = [{tuple(line[key] for key in KEY): line for line in revision.contrasts.to_dict("records")} for revision in compared.revisions]
    shared = [key for key in frames[0] if all(key in frame for frame in frames)]
    return [_compared(key, [frame[key] for frame in frames]) for key in shared if len({frame[key]["verdict"] for frame in frames}) > 1]


def _compared(key: tuple[str, ...], lines: list[dict[str, str]]) -> Compared:
    first, second, semantics, norm, epsilon = key
    return Compared(
        f"{first} − {second}", f"{semantics}, {NORMS.get(norm, norm)} {epsilon}", [(_interval(line), line["verdict"]) for line in lines]
    )


def _interval(line: dict[str, str]) -> str:
    difference, low, high = (signed(float(line[name])) for name in ("difference", "low_images", "high_images"))
    return f"{difference} [{low}, {high}]"
