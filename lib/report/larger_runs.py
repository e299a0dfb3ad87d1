"""Larger runs of the pipeline, published cell by cell beside what the paper printed; what was not run is shown as missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import pandas as pd
from markupsafe import Markup

from lib.report import printed, published
from lib.report.published_folder import Published, provenance
from lib.report.rows import Row
from lib.report.templates import rendered
from lib.report.wording import signed
from lib.statistics.columns import CLEAN, Column
from lib.statistics.intervals import wilson

LARGEST = 5  # so many differences are listed


@dataclass(frozen=True)
class Cell:
    """One accuracy in percent (NaN where it was not measured) under the paper's attack, what the paper printed (None: nothing), and the
    same threat model under the strict attack. `seeds` were measured, on `images` test images each.
    """

    technique: str
    threat: str
    accuracy: float
    printed: float | None
    strict: float
    seeds: int
    images: int

    @property
    def missing(self) -> bool:
        """Whether the run has no such number."""
        return not isfinite(self.accuracy)

    @property
    def difference(self) -> float:
        """Ours minus the paper's, in points; NaN where either is missing."""
        return float("nan") if self.printed is None else self.accuracy - self.printed

    @property
    def clear(self) -> bool:
        """Whether the printed number lies outside the 95 % interval that the test images leave to ours."""
        if self.missing or self.printed is None:
            return False
        low, high = wilson(self.accuracy / 100, self.images)
        return not 100 * low <= self.printed <= 100 * high


@dataclass(frozen=True)
class Line:
    """One row of the table: its technique, its cells, and the mean gradient norm and cosine with the reference (NaN where missing)."""

    technique: str
    group: str | None
    cells: list[Cell]
    norm: float
    cosine: float


def section(run: Published) -> Markup:
    """The run as a part of the page."""
    lines = table(run)
    there = [line for line in lines if any(not cell.missing for cell in line.cells)]
    return rendered(
        "run.html.j2",
        title=run.about.name,
        lines=there,
        absent=[line.technique for line in lines if line not in there],
        gradients=any(isfinite(line.norm) for line in lines),
        threats=[cell.threat for cell in lines[0].cells],
        words=words(lines),
        largest=largest(lines),
        provenance=provenance(run.about, {key: entry["technique"] for key, entry in run.document["rows"].items()}),
        left_out=run.about.left_out,
        notes=run.notes,
        images=sorted({cell.images for line in lines for cell in line.cells if not cell.missing}),
        asked=len(run.about.seeds),
    )


def table(run: Published) -> list[Line]:
    """Every row that params.yaml attacks in the tables' threat models, in its order, with every column of the paper's table."""
    rows = {key: Row(**entry) for key, entry in run.document["rows"].items() if entry["threats"] == "table"}
    columns = [CLEAN, *_columns(run)]
    return [_line(run, key, row, columns) for key, row in rows.items()]


def words(lines: Sequence[Line]) -> str:
    """How many cells there are, and how far they are from the paper's."""
    cells = [cell for line in lines for cell in line.cells]
    there, compared = [cell for cell in cells if not cell.missing], _compared(lines)
    text = f"{len(there)} of {len(cells)} cells are measured"
    if not compared:
        return f"{text}; none of them can be held against a published number."
    gaps = np.abs([cell.difference for cell in compared])
    outside = sum(cell.clear for cell in compared)
    return (
        f"{text}, {len(compared)} of them have a published value: half of these lie within {np.median(gaps):.1f} points of it, the "
        f"farthest is {gaps.max():.1f} away, and for {outside} the test images alone do not explain the difference."
    )


def largest(lines: Sequence[Line]) -> list[str]:
    """The cells farthest from the published value, in words."""
    found = sorted(_compared(lines), key=lambda cell: -abs(cell.difference))[:LARGEST]
    return [
        f"{cell.technique}, {cell.threat}: {cell.accuracy:.1f} here, {cell.printed:.2f} in the paper ({signed(cell.difference)})"
        + (f"; {cell.strict:.1f} under the strict attack" if isfinite(cell.strict) else "")
        for cell in found
    ]


def _compared(lines: Sequence[Line]) -> list[Cell]:
    return [cell for line in lines for cell in line.cells if isfinite(cell.difference)]


def _columns(run: Published) -> list[Column]:
    """The attacked columns of the paper's table of this dataset; of another dataset, those that were measured."""
    known = published.DATASETS.get(run.about.dataset)
    if known:
        return list(printed.attacked(known))
    lines = run.table[(run.table["semantics"] == "paper") & (run.table["attack"] != "fgsm")]
    kinds = dict.fromkeys(zip(lines["attack"], lines["norm"], lines["epsilon"]))
    return [Column("paper", *kind) for kind in kinds]


def _line(run: Published, key: str, row: Row, columns: Sequence[Column]) -> Line:
    mine = run.table[run.table["row"] == key]
    cells = [_cell(mine, run.about.dataset, row, column) for column in columns]
    norms = run.gradients[run.gradients["row"] == key] if len(run.gradients) else pd.DataFrame()
    norm, cosine = (float(norms[name].mean()) if len(norms) else float("nan") for name in ("label_norm", "cosine_reference"))
    return Line(row.technique, row.group, cells, norm, cosine)


def _cell(mine: pd.DataFrame, dataset: str, row: Row, column: Column) -> Cell:
    found = mine[_at(mine, column, column.semantics)]
    strict = mine[_at(mine, column, "strict")] if column != CLEAN else mine[:0]
    means = [100 * float(lines["accuracy"].mean()) if len(lines) else float("nan") for lines in (found, strict)]
    name = f"{row.technique} [{row.group}]" if row.group not in (None, published.NO_GROUP) else row.technique
    threat = "clean" if column == CLEAN else column.threat
    images = int(found["n"].min()) if len(found) else 0
    return Cell(name, threat, means[0], published.percent(dataset, row, column), means[1], found["seed"].nunique(), images)


def _at(mine: pd.DataFrame, column: Column, semantics: str) -> pd.Series:
    """The lines of a column under this semantics; under another one than the paper's the attack may have another number of steps."""
    if column == CLEAN:
        return mine["attack"] == "clean"
    chosen = (mine["semantics"] == semantics) & (mine["attack"] != "fgsm") & (mine["norm"] == column.norm)
    chosen &= np.isclose(mine["epsilon"], column.epsilon, rtol=2e-3)
    return chosen & (mine["attack"] == column.attack) if semantics == "paper" else chosen
