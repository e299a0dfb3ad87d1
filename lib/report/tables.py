"""Table 1 (Table 2 on CIFAR-10): mean accuracies over seeds in percent, ranked, beside what the paper printed."""

from dataclasses import dataclass

import pandas as pd

from lib.report import published
from lib.report.columns import CLEAN, Column, per_seed, table_columns
from lib.report.results import Evidence, labels
from lib.report.statistics import t_half_width, wilson

MARKS = ("best", "second", "third")
ENOUGH_FOR_TWO_DECIMALS = 5000


@dataclass(frozen=True)
class Cell:
    """One accuracy in percent: `shown` is the rounded mean, `spread` what the seeds say of it, `published` the paper's number."""

    mean: float
    shown: str
    spread: str
    low: float | None
    high: float | None
    published: float | None
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """One row of the table; `header` is the group's name above the first row of a group."""

    technique: str
    group: str
    header: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table ready to be written in any format."""

    number: int
    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    images: int
    seeds: int

    @property
    def column_groups(self) -> list[tuple[str, int]]:
        """The attacks above the columns after the clean one, each with how many columns it spans."""
        names = [column.group for column in self.columns[1:]]
        return [(name, names.count(name)) for name in dict.fromkeys(names)]


def build(evidence: Evidence) -> Table:
    """The rows whose list of threat models is `table`, in the order of params.yaml, ranked within their groups."""
    columns = table_columns(evidence.accuracies)
    shown = {key: row for key, row in evidence.rows.items() if row.threats == "table"}
    cells = {key: [_cell(evidence, key, column) for column in columns] for key in shown}
    for group in {row.group for row in shown.values()}:
        members = [key for key, row in shown.items() if row.group == group]
        for index in range(len(columns)):
            if columns[index] != CLEAN:
                _rank(cells, members, index)
    lines, previous = [], None
    for key, row in shown.items():
        header = row.group if row.group not in (None, published.NO_GROUP, previous) else ""
        lines.append(Line(row.technique, row.group or "", header, tuple(cells[key])))
        previous = row.group
    number = 2 if evidence.dataset == "cifar10" else 1
    return Table(number, _caption(evidence), tuple(columns), tuple(lines), evidence.images, len(evidence.seeds))


def to_frame(table: Table) -> pd.DataFrame:
    """One line per cell, with the rank, the published number and the difference, all in percent."""
    lines = []
    for line in table.lines:
        for column, cell in zip(table.columns, line.cells):
            radius = None if column == CLEAN else column.epsilon
            difference = None if cell.published is None else round(cell.mean - cell.published, 4)
            key = (line.group, line.technique, column.semantics, column.attack, column.norm, radius)
            lines.append((*key, round(cell.mean, 4), cell.mark, cell.low, cell.high, cell.published, difference, table.images, table.seeds))
    names = "group technique semantics attack norm epsilon accuracy_percent rank low high published_percent difference n seeds"
    return pd.DataFrame(lines, columns=names.split())


def decimals(images: int, seeds: int) -> int:
    """Decimals of a percentage that the number of images can carry.

    >>> decimals(128, 2), decimals(10000, 1)
    (1, 2)
    """
    return 2 if images * seeds >= ENOUGH_FOR_TWO_DECIMALS else 1


def _cell(evidence: Evidence, key: str, column: Column) -> Cell:
    values = 100 * per_seed(evidence.accuracies, labels(evidence.rows)[key], column)
    digits = decimals(evidence.images, len(values))
    mean = float(values.mean())
    low, high, spread = _spread(list(values), digits)
    said = published.percent(evidence.dataset, evidence.rows[key], column)
    return Cell(mean, f"{mean:.{digits}f}", spread, low, high, said)


def _spread(values: list[float], digits: int) -> tuple[float | None, float | None, str]:
    """What the training seeds say: a t interval from three on, both values of two, nothing of one."""
    if len(values) == 1:
        return None, None, ""
    if len(values) == 2:
        low, high = min(values), max(values)
        return round(low, 4), round(high, 4), f"{low:.{digits}f}–{high:.{digits}f}"
    mean, half = sum(values) / len(values), t_half_width(values)
    return round(mean - half, 4), round(mean + half, 4), f"±{half:.{digits}f}"


def _rank(cells: dict[str, list[Cell]], members: list[str], index: int) -> None:
    """Mark the three highest different displayed values of one column among `members`; equal ones share their mark."""
    if len(members) < 2:
        return
    values = sorted({float(cells[key][index].shown) for key in members}, reverse=True)
    marks = dict(zip(values, MARKS))
    for key in members:
        cell = cells[key][index]
        mark = marks.get(float(cell.shown), "")
        cells[key][index] = Cell(cell.mean, cell.shown, cell.spread, cell.low, cell.high, cell.published, mark)


def _caption(evidence: Evidence) -> str:
    low, high = wilson(0.5, evidence.images)
    seeds = len(evidence.seeds)
    over = {1: "one seed", 2: "2 seeds, both values below the mean"}.get(seeds, f"{seeds} seeds, ± 95 % t interval over seeds")
    return (
        f"Accuracy in percent on {evidence.images} test images of {evidence.dataset}: mean over {over}. "
        f"The images alone leave an uncertainty of up to ±{50 * (high - low):.1f} points (95 %, Wilson). "
        "Highest, second and third value of each attack, ties together: bold, underlined, asterisk."
    )
