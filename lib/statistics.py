"""Intervals and tests: how far a measured accuracy may be from the one that more images, or more training seeds, would show.

Two sources of chance are kept apart: the test images (Wilson for one accuracy; Bonett and Price, and McNemar, for two techniques on the
same images) and the training seeds (Student's t). Restarts of an attack are neither, and never enter an interval or a test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit
from scipy.stats import binomtest

from lib.base.errors import require

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Discordant:
    """On how many images only the `first`, and on how many only the `second`, of two techniques stands (McNemar's b and c)."""

    first: int
    second: int

    @property
    def p(self) -> float:
        """McNemar's exact test, two-sided: were the discordant images tossed by a fair coin? (McNemar 1947, by the binomial.)

        >>> round(Discordant(10, 2).p, 5)
        0.03857
        """
        return min(1.0, 2 * min(self.p_above, Discordant(self.second, self.first).p_above))

    @property
    def p_above(self) -> float:
        """The exact probability that a fair coin gives `first` or more of the discordant images."""
        total = self.first + self.second
        return float(binomtest(self.first, total, alternative="greater").pvalue) if total else 1.0

    @property
    def g(self) -> float:
        """Cohen's g, b / (b + c) - 1/2, in [-1/2, 1/2]: how lopsided the discordant images are; NaN where there are none.

        >>> round(Discordant(10, 2).g, 3)
        0.333
        """
        total = self.first + self.second
        return self.first / total - 0.5 if total else nan


def wilson(share: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a `share` observed among `n` images (Wilson 1927), as fractions.

    Unlike the normal approximation it stays inside [0, 1] and has a width even at 0 and 1.

    >>> low, high = wilson(0.5, 100)
    >>> round(low, 3), round(high, 3)
    (0.404, 0.596)
    """
    require(0 <= share <= 1, f"a share must lie in [0, 1], got {share}")
    require(n > 0, f"an interval needs at least one image, got {n}")
    z = _normal_quantile(confidence)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def paired(first: np.ndarray, second: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of the mean of `first - second`, (n,) scores in [0, 1] of two techniques on the same n images.

    Wald's interval after one more image has been added on which only the first is right, and one on which only the second is
    (Bonett & Price 2012): so it has a width even where all images agree, and a handful of images in one direction is not enough.

    >>> low, high = paired(np.ones(98), np.ones(98))
    >>> round(low, 3), round(high, 3)
    (-0.028, 0.028)
    """
    require(first.shape == second.shape, f"paired scores must be of the same images, got shapes {first.shape} and {second.shape}")
    differences = np.append(first.astype(float) - second, [1.0, -1.0])
    mean = float(differences.mean())
    half = _normal_quantile(confidence) * float(differences.std()) / sqrt(len(differences))
    return mean - half, mean + half


def t_half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the width of Student's t interval around the mean of independent `values`.

    Raises `InputError` for fewer than two values, whose spread is unknown.

    >>> round(t_half_width([1.0, 2.0, 3.0]), 3)
    2.484
    """
    require(len(values) >= 2, f"a t interval needs at least two values, got {len(values)}")
    quantile = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    return quantile * float(np.std(values, ddof=1)) / sqrt(len(values))


def standing(scores: np.ndarray) -> np.ndarray:
    """Whether each image stands (n,) bool, given in which share of the runs it does (n,): in more than half of them.

    A worst case gives 0 or 1 and is left as it is. The paper's attack is a mean over runs (three, in the paper), for which McNemar's
    test has no place: here an image stands if it does in the majority of the runs.

    >>> standing(np.array([0, 1 / 3, 1 / 2, 2 / 3, 1])).tolist()
    [False, False, False, True, True]
    """
    return scores > 0.5


def discordant(first: np.ndarray, second: np.ndarray) -> Discordant:
    """The discordant counts of two (n,) bool outcomes on the same images; raises `InputError` for different shapes."""
    require(first.shape == second.shape, f"paired outcomes must be of the same images, got shapes {first.shape} and {second.shape}")
    return Discordant(int((first & ~second).sum()), int((second & ~first).sum()))


def combined_p(first: np.ndarray, second: np.ndarray) -> float:
    """One two-sided p value for two techniques' outcomes (seeds, n) bool: the seeds' exact McNemar tests, combined by Stouffer.

    The normal scores of the one-sided p values are summed in each direction, and twice the smaller p value counts (at most 1).
    All seeds are tested on the same images and so are not independent: the sum is divided by the square root of the sum of the
    correlations between seeds (Strube 1985), not of the number of seeds. A seed that repeats another one therefore adds nothing.
    This says what other images would change, not other seeds.

    >>> first, second = np.arange(12) < 10, np.arange(12) >= 10
    >>> round(combined_p(first[None], second[None]), 5), round(combined_p(np.stack([first] * 3), np.stack([second] * 3)), 5)
    (0.03857, 0.03857)
    """
    require(first.shape == second.shape and first.ndim == 2, f"outcomes must be two (seeds, n), got {first.shape} and {second.shape}")
    counts = [discordant(one, other) for one, other in zip(first, second)]
    signs = first.astype(float) - second
    width = sqrt(_correlation(signs).sum())
    above = sum(_score(count) for count in counts)
    below = sum(_score(Discordant(count.second, count.first)) for count in counts)
    return min(1.0, 2 * float(ndtr(-max(above, below) / width)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm 1979): a family of tests judged by these makes any false claim with at most the nominal chance.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, dtype=float)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted.tolist()


def _score(count: Discordant) -> float:
    """The normal score of `count.p_above`.

    A p value of exactly 1 (no image in this direction) has none, and would outvote every other seed; there the p value that one
    more image would have given stands in, 1 - 2^-(c + 1). Scores end where the p value leaves the range of floating point.
    """
    complement = Discordant(count.second + 1, max(count.first, 1) - 1).p_above
    score = -ndtri(count.p_above) if count.p_above < 0.5 else ndtri(complement)
    return float(np.clip(score, -37, 37))


def _correlation(signs: np.ndarray) -> np.ndarray:
    """How far the seeds' signs (seeds, n) fall on the same images (seeds, seeds), if these had been tossed by a fair coin.

    Negative values count as 0: that seeds contradict each other must not make their sum more certain.
    """
    products = signs @ signs.T
    lengths = np.sqrt(np.maximum(np.diag(products), 1))
    return np.maximum(products / np.outer(lengths, lengths), np.eye(len(signs)))


def _normal_quantile(confidence: float) -> float:
    require(0 < confidence < 1, f"confidence must lie between 0 and 1, got {confidence}")
    return float(ndtri((1 + confidence) / 2))
