"""Mean robust radii side by side, by the rule of all comparisons (lib/statistics/crossed.py): what a change did to every row, in either
norm."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.compare import networks
from lib.compare.cells import Cell, Table, contrasted
from lib.compare.comparison import Comparison
from lib.compare.networks import Place, Radii
from lib.statistics import crossed
from lib.statistics.columns import NORMS
from lib.statistics.crossed import Contrast

COLUMNS = ["row", "technique", "norm", "revision", "mean_radius", "percent", "low", "high", "p_adjusted", "images", "seeds"]


def contrasts(base: dict[Place, Radii], other: dict[Place, Radii]) -> dict[Place, Contrast]:
    """The other's mean radii against those of the base, with Holm's correction over all that differ."""
    compared = {place: _contrast(other[place], base[place]) for place in base if place in other}
    tested = [place for place in compared if not _same(other[place], base[place])]
    return compared | dict(zip(tested, crossed.corrected([compared[place] for place in tested])))


def table(compared: Comparison) -> Table:
    """The rows that differ; differences are in percent of the base's mean radius."""
    known = [networks.of(revision.outcomes) for revision in compared.revisions]
    changes = [contrasts(known[0], other) for other in known]
    rows = [row for row in compared.moved if any((row, norm) in measured for measured in known for norm in NORMS)]
    lines = [
        (compared.rows[row], [(place, [_cell(known, changes, place, (row, norm)) for norm in NORMS]) for place in range(len(known))])
        for row in rows
    ]
    return Table("Mean robust radius", [f"mean radius, {words}" for words in NORMS.values()], lines)


def to_frame(compared: Comparison) -> pd.DataFrame:
    """One line per row, norm and revision: the mean radius, and its difference to the first revision's in percent with its interval."""
    known = [networks.of(revision.outcomes) for revision in compared.revisions]
    lines = []
    for revision, measured in zip(compared.revisions, known):
        changes = contrasts(known[0], measured) if measured is not known[0] else {}
        for (row, norm), row_radii in measured.items():
            numbers = _numbers(changes[row, norm]) if (row, norm) in changes else [None] * 4
            start = (row, compared.rows.get(row, row), norm, revision.name, round(row_radii.mean, 6))
            lines.append((*start, *numbers, row_radii.values.shape[1], len(row_radii.seeds)))
    return pd.DataFrame(lines, columns=COLUMNS)


def _contrast(other: Radii, base: Radii) -> Contrast:
    common = [seed for seed in base.seeds if seed in other.seeds]
    if base.images != other.images or not common:
        return crossed.relative(other.values, base.values, shared=False)
    first, second = (row_radii.values[[row_radii.seeds.index(seed) for seed in common]] for row_radii in (other, base))
    return crossed.relative(first, second)


def _same(other: Radii, base: Radii) -> bool:
    return (other.seeds, other.images) == (base.seeds, base.images) and np.array_equal(other.values, base.values)


def _cell(known: list[dict[Place, Radii]], changes: list[dict[Place, Contrast]], place: int, asked: Place) -> Cell | None:
    measured = known[place].get(asked)
    if measured is None:
        return None
    cell = Cell(f"{measured.mean:.3f}", f"{measured.values.shape[1]} images, {len(measured.seeds)} seed{'s' * (len(measured.seeds) != 1)}")
    if place == 0 or asked not in changes[place]:
        return cell
    if _same(measured, known[0][asked]):
        return replace(cell, difference="same", look="same")
    return contrasted(cell, changes[place][asked], " %")


def _numbers(contrast: Contrast) -> list[float]:
    return [*(round(value, 3) for value in (contrast.estimate, contrast.low, contrast.high)), float(f"{contrast.adjusted:.4g}")]
