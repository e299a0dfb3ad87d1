"""What the paper's own tables say about its claims: differences between its rows, computed from published.csv."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import pandas as pd

from lib.report.published import PATH, percent
from lib.report.rows import Row
from lib.report.wording import signed
from lib.statistics.columns import Column

TABLES = {"mnist": "Table 1", "cifar10": "Table 2"}
SMOOTH, SIMPLE, JACOBIAN, PERMUTED = "IR(R,SmG)", "IR(R,simp)", "JR", "IR(R,perm,SmG)"
FOREIGN, FOREIGN_SIMPLE, STANDARD = "IR(NR,SmG)", "IR(NR,simp)", "Standard"
TRAINED = ("AT(L2,1.5)", "AT(L2,2.5)")
TEACHERS = ((SMOOTH, FOREIGN), (SIMPLE, FOREIGN_SIMPLE))


@dataclass(frozen=True)
class Gap:
    """One technique's printed accuracy minus another's, in points, in one attacked column of one group of a table."""

    group: str | None
    column: Column
    points: float


@cache
def attacked(dataset: str) -> tuple[Column, ...]:
    """The attacked columns of the paper's table of this dataset."""
    lines = _lines(dataset)
    lines = lines[lines["attack"] != "clean"]
    kinds = dict.fromkeys(zip(lines["attack"], lines["norm"], lines["epsilon"]))
    return tuple(Column("paper", attack, norm, float(Fraction(text))) for attack, norm, text in kinds)


@cache
def gaps(dataset: str, first: str, second: str) -> tuple[Gap, ...]:
    """`first` minus `second` in every attacked column, in every group that has both.

    >>> [round(gap.points, 2) for gap in gaps("mnist", "IR(R,SmG)", "JR")]
    [2.61, 1.2, 6.34, 11.81, 4.98]
    """
    found = []
    for group in dict.fromkeys(text or None for text in _lines(dataset)["group"]):
        for column in attacked(dataset):
            one, other = (percent(dataset, Row(name, "table", group), column) for name in (first, second))
            if one is not None and other is not None:
                found.append(Gap(group, column, round(one - other, 2)))
    return tuple(found)


def above(found: Sequence[Gap]) -> str:
    """In how many cells the first is ahead, and how far it gets in either direction.

    >>> above(gaps("mnist", "JR", "IR(R,perm,SmG)"))
    'in 4 of 5 cells, −1.04 to +6.22'
    """
    points = [gap.points for gap in found]
    ends = f"{signed(min(points), 2)} to {signed(max(points), 2)}"
    return f"in {sum(value > 0 for value in points)} of {len(points)} cells, {ends}"


def both(*pairs: tuple[str, str], datasets: Sequence[str] = tuple(TABLES)) -> str:
    """How often, and by how much, the first technique of all these pairs is ahead of the second, in each of the paper's tables.

    >>> both(("IR(R,SmG)", "IR(NR,SmG)"), datasets=["mnist"])
    'Table 1: in 5 of 5 cells, +1.96 to +12.52'
    """
    found = {dataset: [gap for pair in pairs for gap in gaps(dataset, *pair)] for dataset in datasets}
    return "; ".join(f"{TABLES[dataset]}: {above(cells)}" for dataset, cells in found.items())


def better_of_two(dataset: str) -> float:
    """The smallest lead over JR, in points, if in every cell the better of the two rows with a robust teacher counts.

    >>> better_of_two("cifar10")
    2.33
    """
    pairs = zip(gaps(dataset, SMOOTH, JACOBIAN), gaps(dataset, SIMPLE, JACOBIAN))
    return min(max(smooth.points, simple.points) for smooth, simple in pairs)


def defended(dataset: str) -> list[Gap]:
    """Every other technique minus Standard, in every attacked column; for a table without groups.

    >>> min(gap.points for gap in defended("mnist"))
    0.34
    """
    techniques = [name for name in dict.fromkeys(_lines(dataset)["technique"]) if name != STANDARD]
    return [gap for name in techniques for gap in gaps(dataset, name, STANDARD)]


def largest_linf(found: Sequence[Gap], count: int = 2) -> list[Gap]:
    """The gaps at the `count` largest L∞ radii.

    >>> [round(gap.points, 2) for gap in largest_linf(gaps("mnist", "IR(R,SmG)", "IR(R,simp)"))]
    [3.32, 0.66]
    """
    radii = sorted({gap.column.epsilon for gap in found if gap.column.norm == "linf"})[-count:]
    return [gap for gap in found if gap.column.norm == "linf" and gap.column.epsilon in radii]


@cache
def _lines(dataset: str) -> pd.DataFrame:
    frame = pd.read_csv(PATH, dtype=str, keep_default_na=False)
    return frame[frame["dataset"] == dataset]
