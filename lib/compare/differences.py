"""How far two revisions differ, row by row and attack by attack, with intervals.

Where both have the outcome of every single image, of the same images, the difference is paired; otherwise the two accuracies count as
independent, and the interval is wider.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt

import numpy as np

from lib.base.errors import require
from lib.compare.scores import Cell, Scores
from lib.report.findings import Difference, compared
from lib.report.results import in_both
from lib.statistics import CONFIDENCE, combined_p, holm, standing, wilson


@dataclass(frozen=True)
class Change:
    """One row under one attack in two revisions; `difference` is the other revision's accuracy minus that of the base.

    `images` are those that both accuracies are of, or None where the difference is not `paired`. `points` are the differences seed by seed,
    of the seeds that both have. `p` is of these seeds together (`statistics.combined_p`), NaN where it is not known; `adjusted` the same
    with Holm's correction. `same` is whether nothing has changed: not one image where these are known, else no accuracy.
    """

    cell: Cell
    difference: Difference
    paired: bool
    images: int | None
    points: dict[int, float]
    p: float
    same: bool
    adjusted: float = nan

    @property
    def agreeing(self) -> int:
        """How many seeds' differences have the sign of the whole."""
        return sum(np.sign(points) == np.sign(self.difference.points) for points in self.points.values())

    @property
    def certain(self) -> bool:
        """Whether the images alone do not explain it, after the correction for how many differences were tested."""
        return not isnan(self.adjusted) and self.adjusted < 1 - CONFIDENCE


def changes(base: dict[Cell, Scores], other: dict[Cell, Scores]) -> dict[Cell, Change]:
    """Every row and attack that both revisions have; Holm's correction runs over the attacks of one semantics, in all rows that changed."""
    found = {cell: change(cell, base[cell], other[cell]) for cell in base if cell in other}
    moved = {row for (row, _), one in found.items() if not one.same}
    for semantics in dict.fromkeys(column.semantics for _, column in found):
        tested = [cell for cell, one in found.items() if cell[0] in moved and cell[1].semantics == semantics and not isnan(one.p)]
        for cell, adjusted in zip(tested, holm([found[cell].p for cell in tested])):
            found[cell] = replace(found[cell], adjusted=adjusted)
    return found


def change(cell: Cell, base: Scores, other: Scores) -> Change:
    """The difference of two scores, paired by image if it can be."""
    common = [seed for seed in base.accuracies if seed in other.accuracies]
    points = {seed: 100 * (other.accuracies[seed] - base.accuracies[seed]) for seed in common}
    if base.per_image is None or other.per_image is None or base.images != other.images:
        same = base.accuracies == other.accuracies and base.n == other.n
        low, high = unpaired(other.mean, other.n, base.mean, base.n)
        return Change(cell, Difference(other.mean, base.mean, low, high), False, None, points, nan, same)
    both = in_both(other.per_image.sum(0), base.per_image.sum(0))
    require(bool(both.any()), f"no image of {cell[0]} was attacked by {cell[1].group} in both revisions, so that they cannot be compared")
    difference = compared(other.per_image.mean(0), base.per_image.mean(0))
    first, second = _of(other.per_image, other, common)[:, both], _of(base.per_image, base, common)[:, both]
    p = combined_p(standing(first), standing(second)) if common else nan
    same = base.accuracies.keys() == other.accuracies.keys() and np.array_equal(base.per_image, other.per_image, equal_nan=True)
    return Change(cell, difference, True, int(both.sum()), points, p, same)


def unpaired(first: float, n: int, second: float, m: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of `first - second`, independent shares of `n` and of `m` images, from their Wilson intervals (Newcombe 1998, method 10).

    >>> low, high = unpaired(56 / 70, 70, 48 / 80, 80)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    (low, high), (other_low, other_high) = wilson(first, n, confidence), wilson(second, m, confidence)
    below = sqrt((first - low) ** 2 + (other_high - second) ** 2)
    above = sqrt((high - first) ** 2 + (second - other_low) ** 2)
    return first - second - below, first - second + above


def moved(found: Iterable[dict[Cell, Change]]) -> list[str]:
    """The rows in which some revision differs from the base anywhere, in their order."""
    return list(dict.fromkeys(cell[0] for one in found for cell, change in one.items() if not change.same))


def _of(per_image: np.ndarray, scores: Scores, seeds: list[int]) -> np.ndarray:
    """The lines of these seeds."""
    return per_image[[list(scores.accuracies).index(seed) for seed in seeds]]
