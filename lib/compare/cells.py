"""Tables with a line per row and revision: what stands in a cell, in words."""

from dataclasses import dataclass, replace
from math import isfinite

from lib.compare.comparison import Comparison
from lib.compare.differences import Change
from lib.compare.scores import Scores
from lib.compare.sentences import in_tables, threats
from lib.report.wording import between, signed
from lib.statistics.columns import CLEAN, Column
from lib.statistics.crossed import Contrast
from lib.statistics.intervals import wilson


@dataclass(frozen=True)
class Cell:
    """A number in words: its `value`, what is `said` of it on pointing there, the `difference` to the base and what interval it is in
    (`apart`), the class that this is shown in, and the `spread` over seeds where that is shown.
    """

    value: str
    said: str
    difference: str = ""
    apart: str = ""
    look: str = ""
    spread: str = ""


@dataclass(frozen=True)
class Table:
    """A table: its heads, and for each row a line of cells per revision, by the place of the revision."""

    name: str
    heads: list[str]
    rows: list[tuple[str, list[tuple[int, list[Cell | None]]]]]


def accuracies(compared: Comparison, rows: list[str], revisions: int) -> list[Table]:
    """A table per attack with columns in the paper's threat models, of `rows` in the first so many revisions."""
    found = []
    for (semantics, attack), columns in _attacks(compared).items():
        name = columns[-1].called if semantics == "autoattack" else f"{columns[-1].called} ({attack})".capitalize()
        lines = [(compared.rows[row], [(place, _line(compared, row, columns, place)) for place in range(revisions)]) for row in rows]
        found.append(Table(name, ["clean", *(column.threat for column in columns[1:])], lines))
    return found if rows else []


def accuracy(found: Scores | None, change: Change | None) -> Cell | None:
    """An accuracy, with its difference to the base if it has one."""
    if found is None:
        return None
    low, high = wilson(found.mean, found.n)
    value, seeds = f"{100 * found.mean:.1f}", len(found.accuracies)
    said = f"{value} % of {found.n} images, {seeds} seed{'s' * (seeds != 1)}; 95 % interval {100 * low:.1f} to {100 * high:.1f}"
    if change is None:
        return Cell(value, said)
    if change.same:
        return Cell(value, said, "same", look="same")
    return contrasted(Cell(value, said), change.contrast)


def contrasted(cell: Cell, contrast: Contrast, unit: str = "") -> Cell:
    """The cell with its difference to the base."""
    look = "certain" if contrast.decided else "clear" if contrast.clear else ""
    apart = between(contrast.low, contrast.high) if isfinite(contrast.low) else ""
    return replace(cell, difference=f"{signed(contrast.estimate)}{unit}", apart=apart, look=look)


def _line(compared: Comparison, row: str, columns: list[Column], place: int) -> list[Cell | None]:
    found, changes = compared.scores[place], compared.changes[place - 1] if place else {}
    return [accuracy(found.get((row, column)), changes.get((row, column))) for column in columns]


def _attacks(compared: Comparison) -> dict[tuple[str, str], list[Column]]:
    """(semantics, attack) -> clean and the columns at threat models of the paper, by norm and radius."""
    asked = threats(compared.revisions[0])
    found: dict[tuple[str, str], list[Column]] = {}
    for column in compared.columns:
        if (column.norm, column.epsilon) in asked and in_tables(column):
            found.setdefault((column.semantics, column.attack), [CLEAN]).append(column)
    return found
