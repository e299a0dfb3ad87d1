"""How far two revisions differ, row by row and attack by attack, by the rule of all comparisons (lib/statistics/crossed.py).

Where both have the outcome of every single image, of the same images and under common seeds, the difference is paired; with other images
or other seeds the two are independent samples, and the interval is wider; without single images there is none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import nan
from typing import Literal

import numpy as np

from lib.base.errors import require
from lib.compare.scores import Cell, Scores
from lib.report.results import in_both
from lib.statistics import crossed
from lib.statistics.crossed import Contrast

Kind = Literal["paired", "independent", "unknown"]


@dataclass(frozen=True)
class Change:
    """One row under one attack in two revisions: the accuracies `before` and `after` (fractions) and their `contrast`, in points.

    `points` are the differences seed by seed, of the seeds that both have. `same` is whether nothing has changed: not one image where
    these are known, else no accuracy.
    """

    cell: Cell
    before: float
    after: float
    contrast: Contrast
    kind: Kind
    points: dict[int, float]
    same: bool


def changes(base: dict[Cell, Scores], other: dict[Cell, Scores]) -> dict[Cell, Change]:
    """Every row and attack that both revisions have; Holm's correction runs over the attacks of one semantics, in all rows that changed."""
    known = {cell: change(cell, base[cell], other[cell]) for cell in base if cell in other}
    rows = {row for (row, _), difference in known.items() if not difference.same}
    for semantics in dict.fromkeys(column.semantics for _, column in known):
        tested = [cell for cell in known if cell[0] in rows and cell[1].semantics == semantics and known[cell].kind != "unknown"]
        for cell, contrast in zip(tested, crossed.corrected([known[cell].contrast for cell in tested])):
            known[cell] = replace(known[cell], contrast=contrast)
    return known


def change(cell: Cell, base: Scores, other: Scores) -> Change:
    """The difference of two scores, paired by seed and image if it can be."""
    common = [seed for seed in base.accuracies if seed in other.accuracies]
    points = {seed: 100 * (other.accuracies[seed] - base.accuracies[seed]) for seed in common}
    if base.per_image is None or other.per_image is None:
        same = base.accuracies == other.accuracies and base.n == other.n
        difference = 100 * (other.mean - base.mean)
        contrast = Contrast(difference, nan, nan, nan, 1.0, min(base.n, other.n), min(len(base.accuracies), len(other.accuracies)))
        return Change(cell, base.mean, other.mean, contrast, "unknown", points, same)
    if base.images != other.images or not common:
        contrast = crossed.points(_asked(other.per_image), _asked(base.per_image), shared=False)
        return Change(cell, base.mean, other.mean, contrast, "independent", points, False)
    both = in_both(other.per_image.sum(0), base.per_image.sum(0))
    require(bool(both.any()), f"no image of {cell[0]} was attacked by {cell[1].group} in both revisions, so that they cannot be compared")
    contrast = crossed.points(_of(other, common)[:, both], _of(base, common)[:, both])
    same = base.accuracies.keys() == other.accuracies.keys() and np.array_equal(base.per_image, other.per_image, equal_nan=True)
    return Change(cell, base.mean, other.mean, contrast, "paired", points, same)


def moved(changed: Iterable[dict[Cell, Change]]) -> list[str]:
    """The rows in which some revision differs from the base anywhere, in their order."""
    return list(dict.fromkeys(cell[0] for changes in changed for cell, change in changes.items() if not change.same))


def _of(scores: Scores, seeds: list[int]) -> np.ndarray:
    """The outcomes of these seeds, (seeds, n)."""
    assert scores.per_image is not None
    return scores.per_image[[list(scores.accuracies).index(seed) for seed in seeds]]


def _asked(per_image: np.ndarray) -> np.ndarray:
    """The images that were attacked under every seed."""
    return per_image[:, ~np.isnan(per_image).any(0)]
