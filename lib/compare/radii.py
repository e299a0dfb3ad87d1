"""Mean robust radii side by side, by the rule of all comparisons (lib/crossed.py): what a change did to every row, in either norm."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from lib import crossed
from lib.columns import NORMS
from lib.compare.cells import Cell, Table, contrasted
from lib.compare.comparison import Comparison
from lib.compare.revision import Revision
from lib.crossed import Contrast
from lib.evaluation.outcome_file import Outcomes
from lib.report import grid
from lib.report.results import together

COLUMNS = ["row", "technique", "norm", "revision", "mean_radius", "percent", "low", "high", "p_adjusted", "images", "seeds"]
Place = tuple[str, str]  # row and norm


@dataclass(frozen=True)
class Radii:
    """The robust radius of every image of one row in one norm, (seeds, n), finite; `images` says which these are."""

    seeds: tuple[int, ...]
    values: np.ndarray
    images: tuple[str, bytes]

    @cached_property
    def mean(self) -> float:
        """Over images and seeds."""
        return float(self.values.mean())


def measured(revision: Revision) -> dict[Place, Radii]:
    """The radii of all rows whose files of outcomes could be had, under the seeds that were run on the same images."""
    found: dict[Place, dict[int, tuple[np.ndarray, tuple[str, bytes]]]] = {}
    for (row, seed), outcomes in _by_network(revision.outcomes).items():
        images = outcomes[0].images_digest, outcomes[0].rows.tobytes()
        for norm in outcomes[0].radii:
            found.setdefault((row, norm), {})[seed] = together(outcomes, norm).capped.astype(float), images
    same = {place: by_seed for place, by_seed in found.items() if len({images for _, images in by_seed.values()}) == 1}
    return {place: _radii(dict(sorted(by_seed.items()))) for place, by_seed in same.items()}


def contrasts(base: dict[Place, Radii], other: dict[Place, Radii]) -> dict[Place, Contrast]:
    """The other's mean radii against those of the base, with Holm's correction over all that differ."""
    compared = {place: _contrast(other[place], base[place]) for place in base if place in other}
    tested = [place for place in compared if not _same(other[place], base[place])]
    return compared | dict(zip(tested, crossed.corrected([compared[place] for place in tested])))


def table(compared: Comparison) -> Table:
    """The rows that differ; differences are in percent of the base's mean radius."""
    known = [measured(revision) for revision in compared.revisions]
    changes = [contrasts(known[0], other) for other in known]
    rows = [row for row in compared.moved if any((row, norm) in radii for radii in known for norm in NORMS)]
    lines = [
        (compared.rows[row], [(place, [_cell(known, changes, place, (row, norm)) for norm in NORMS]) for place in range(len(known))])
        for row in rows
    ]
    return Table("Mean robust radius", [f"mean radius, {words}" for words in NORMS.values()], lines)


def to_frame(compared: Comparison) -> pd.DataFrame:
    """One line per row, norm and revision: the mean radius, and its difference to the first revision's in percent with its interval."""
    known = [measured(revision) for revision in compared.revisions]
    lines = []
    for revision, radii in zip(compared.revisions, known):
        changes = contrasts(known[0], radii) if radii is not known[0] else {}
        for (row, norm), one in radii.items():
            numbers = _numbers(changes[row, norm]) if (row, norm) in changes else [None] * 4
            start = (row, compared.rows.get(row, row), norm, revision.name, round(one.mean, 6))
            lines.append((*start, *numbers, one.values.shape[1], len(one.seeds)))
    return pd.DataFrame(lines, columns=COLUMNS)


def _by_network(outcomes: Iterable[Outcomes]) -> dict[tuple[str, int], list[Outcomes]]:
    """(row, seed) -> everything that was found on this network, the evaluation first; networks without an evaluation are left out."""
    networks: dict[tuple[str, int], list[Outcomes]] = {}
    for file in sorted(outcomes, key=lambda file: grid.what(file) != grid.EVALUATION):
        networks.setdefault((file.row, file.seed), []).append(file)
    return {place: files for place, files in networks.items() if grid.what(files[0]) == grid.EVALUATION}


def _radii(by_seed: dict[int, tuple[np.ndarray, tuple[str, bytes]]]) -> Radii:
    return Radii(tuple(by_seed), np.stack([values for values, _ in by_seed.values()]), next(iter(by_seed.values()))[1])


def _contrast(other: Radii, base: Radii) -> Contrast:
    common = [seed for seed in base.seeds if seed in other.seeds]
    if base.images != other.images or not common:
        return crossed.relative(other.values, base.values, shared=False)
    first, second = (radii.values[[radii.seeds.index(seed) for seed in common]] for radii in (other, base))
    return crossed.relative(first, second)


def _same(other: Radii, base: Radii) -> bool:
    return (other.seeds, other.images) == (base.seeds, base.images) and np.array_equal(other.values, base.values)


def _cell(known: list[dict[Place, Radii]], changes: list[dict[Place, Contrast]], place: int, asked: Place) -> Cell | None:
    radii = known[place].get(asked)
    if radii is None:
        return None
    cell = Cell(f"{radii.mean:.3f}", f"{radii.values.shape[1]} images, {len(radii.seeds)} seed{'s' * (len(radii.seeds) != 1)}")
    if place == 0 or asked not in changes[place]:
        return cell
    if _same(radii, known[0][asked]):
        return replace(cell, difference="same", look="same")
    return contrasted(cell, changes[place][asked], " %")


def _numbers(contrast: Contrast) -> list[float]:
    return [*(round(value, 3) for value in (contrast.estimate, contrast.low, contrast.high)), float(f"{contrast.adjusted:.4g}")]
