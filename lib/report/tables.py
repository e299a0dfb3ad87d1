"""Table 1 (Table 2 on CIFAR-10): mean accuracies over seeds in percent, ranked, beside what the paper printed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lib.report import published
from lib.report.results import Evidence, in_both, labels
from lib.report.series import headline
from lib.report.worst_case import unbroken
from lib.statistics.columns import CLEAN, NORMS, Column, at_threat, per_seed, radius, table_columns
from lib.statistics.intervals import t_half_width, wilson

MARKS = ("best", "second", "third")
ENOUGH_FOR_TWO_DECIMALS = 5000
# Each attack with the weaker one that its accuracies are held against.
STRONGER = {"strict": "paper"}


@dataclass(frozen=True)
class Cell:
    """One accuracy in percent on so many `images`: `shown` is the rounded mean, `spread` what the seeds say of it, `published` the
    paper's number, `taken` what the attack takes away from the next weaker one's accuracy on the same images, in points.
    """

    images: int
    mean: float
    shown: str
    spread: str
    low: float | None
    high: float | None
    published: float | None
    taken: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """One row of the table; `header` is the group's name above the first row of a group, `worst` what no attack of any kind broke at the
    headline threat model.
    """

    technique: str
    group: str
    header: str
    cells: tuple[Cell, ...]
    worst: Cell


@dataclass(frozen=True)
class Table:
    """A table ready to be written in any format; `headline` is the threat model of the answer, in words."""

    number: int
    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    images: int
    seeds: int
    headline: str = ""

    @property
    def column_groups(self) -> list[tuple[str, int]]:
        """The attacks above the columns after the clean one, each with how many columns it spans."""
        names = [column.group for column in self.columns[1:]]
        return [(name, names.count(name)) for name in dict.fromkeys(names)]

    @property
    def ladder(self) -> list[tuple[str, list[int]]]:
        """The paper's threat models, each with where its columns are that say what is `taken`: a stronger attack after a weaker one."""
        found: dict[str, list[int]] = {}
        for index, column in enumerate(self.columns):
            if column.semantics in STRONGER and any(line.cells[index].taken is not None for line in self.lines):
                found.setdefault(column.threat, []).append(index)
        return list(found.items())


def build(evidence: Evidence) -> Table:
    """The rows whose list of threat models is `table`, in the order of params.yaml, ranked within their groups."""
    columns = table_columns(evidence.accuracies)
    shown = {key: row for key, row in evidence.rows.items() if row.threats == "table"}
    cells = {key: [*(_cell(evidence, key, column) for column in columns), _worst(evidence, key)] for key in shown}
    for group in {row.group for row in shown.values()}:
        members = [key for key, row in shown.items() if row.group == group]
        for index in range(1, len(columns) + 1):
            _rank(cells, members, index)
    lines, previous = [], None
    for key, row in shown.items():
        header = row.group if row.group not in (None, published.NO_GROUP, previous) else ""
        lines.append(Line(row.technique, row.group or "", header, tuple(cells[key][:-1]), cells[key][-1]))
        previous = row.group
    number = 2 if evidence.dataset == "cifar10" else 1
    words = f"{NORMS.get(headline().norm, headline().norm)} {radius(headline().epsilon)}"
    return Table(number, _caption(evidence), tuple(columns), tuple(lines), evidence.images, len(evidence.seeds), words)


def to_frame(table: Table) -> pd.DataFrame:
    """One line per cell, with the rank, the published number and the differences, all in percent.

    `paper_minus_strict` stands on the lines of the strict attack: what it takes away, on the images that both were tried on.
    """
    lines = []
    for line in table.lines:
        for column, cell in zip(table.columns, line.cells):
            radius = None if column == CLEAN else column.epsilon
            difference = None if cell.published is None else round(cell.mean - cell.published, 4)
            taken = [cell.taken if column.semantics == semantics else None for semantics in STRONGER]
            key = (line.group, line.technique, column.semantics, column.attack, column.norm, radius)
            values = (round(cell.mean, 4), cell.mark, cell.low, cell.high, cell.published, difference, *taken)
            lines.append((*key, *values, cell.images, table.seeds))
    names = "group technique semantics attack norm epsilon accuracy_percent rank low high published_percent difference"
    gaps = [f"{weaker}_minus_{stronger}" for stronger, weaker in STRONGER.items()]
    return pd.DataFrame(lines, columns=[*names.split(), *gaps, "n", "seeds"])


def decimals(images: int, seeds: int) -> int:
    """Decimals of a percentage that the number of images can carry.

    >>> decimals(128, 2), decimals(10000, 1)
    (1, 2)
    """
    return 2 if images * seeds >= ENOUGH_FOR_TWO_DECIMALS else 1


def _cell(evidence: Evidence, key: str, column: Column) -> Cell:
    name = labels(evidence.rows)[key]
    values = 100 * per_seed(evidence.accuracies, name, column)
    images = int((~np.isnan(evidence.per_image[name, column])).sum())
    digits = decimals(images, len(values))
    mean = float(values.mean())
    low, high, spread = _spread(list(values), digits)
    said = published.percent(evidence.dataset, evidence.rows[key], column)
    return Cell(images, mean, f"{mean:.{digits}f}", spread, low, high, said, _taken(evidence, name, column))


def _worst(evidence: Evidence, key: str) -> Cell:
    """What no attack of any kind broke at the headline threat model or below."""
    values = [100 * float(share) for share in unbroken(evidence, key, headline().norm, headline().epsilon).mean(1)]
    digits = decimals(evidence.images, len(values))
    mean = sum(values) / len(values)
    low, high, spread = _spread(values, digits)
    return Cell(evidence.images, mean, f"{mean:.{digits}f}", spread, low, high, None)


def _taken(evidence: Evidence, name: str, column: Column) -> float | None:
    weaker = at_threat(evidence.accuracies, column.norm, column.epsilon).get(STRONGER.get(column.semantics, ""))
    if weaker is None:
        return None
    before, after = evidence.per_image[name, weaker], evidence.per_image[name, column]
    return round(100 * float((before - after)[in_both(before, after)].mean()), 4)


def _spread(values: list[float], digits: int) -> tuple[float | None, float | None, str]:
    """What the training seeds say: a t interval from three on, both values of two, nothing of one."""
    if len(values) == 1:
        return None, None, ""
    if len(values) == 2:
        low, high = min(values), max(values)
        return round(low, 4), round(high, 4), f"{low:.{digits}f} / {high:.{digits}f}"
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
        cells[key][index] = replace(cell, mark=marks.get(float(cell.shown), ""))


def _caption(evidence: Evidence) -> str:
    low, high = wilson(0.5, evidence.images)
    seeds = len(evidence.seeds)
    over = {1: "one seed", 2: "2 seeds, both values printed underneath"}.get(seeds, f"{seeds} seeds, ± 95 % t interval over seeds")
    return (
        f"Accuracy in percent on {evidence.images} test images of {evidence.dataset}: mean over {over}. "
        f"The images alone leave an uncertainty of up to ±{50 * (high - low):.1f} points (95 %, Wilson). "
        f"{_fewer(evidence)}Highest, second and third value of each attack, ties together: bold, underlined, asterisk."
    )


def _fewer(evidence: Evidence) -> str:
    """Which attacks were tried on fewer images, in words."""
    found: dict[str, int] = {}
    shown = table_columns(evidence.accuracies)
    for (_, column), scores in evidence.per_image.items():
        count = int((~np.isnan(scores)).sum())
        if column in shown and count < evidence.images:
            found[column.group] = max(count, found.get(column.group, 0))
    return "".join(f"{group} was tried on the first {count} images. " for group, count in found.items())
