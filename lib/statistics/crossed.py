"""How far two networks' means lie apart, with an interval over images and over training seeds.

Both are samples: other test images and other seeds would have given other numbers. Every seed meets every image, so the two are crossed
random effects without replication (Clark 1973, "The language-as-fixed-effect fallacy"; Searle, Casella and McCulloch 1992, ch. 4). With
`s` seeds and `n` images the variance of a mean is

    max(MS_seed + max(MS_image - MS_rest, 0), MS_rest) / (s n),

mean squares of the two-way table. Its degrees of freedom are Satterthwaite's (1946), at least s - 1 (Hillis 2007, who has readers in the
place of seeds). The maxima stand for estimates that cannot be: images that add less than nothing, and a mean that varies less than if
neither seeds nor images added anything, (s - 1) (n - 1) degrees of freedom. The test is Student's t with the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import expm1, isfinite, log, nan, sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

from lib.base.errors import require
from lib.statistics.intervals import CONFIDENCE, holm

ROUNDING = 1e-9  # mean squares that differ by less are equal


@dataclass(frozen=True)
class Contrast:
    """`first` against `second`: `estimate` with its 95 % interval `low` to `high`, in percent of `second` or in percentage points.

    With one of the `seeds` the interval is of images only, with one of the `images` of seeds only, with one of both there is none (NaN).
    `p` is two-sided, against no difference, `adjusted` after Holm's correction (`corrected`; NaN before). Without any spread (two networks
    that agree everywhere) the interval is empty and p is 1.
    """

    estimate: float
    low: float
    high: float
    df: float
    p: float
    images: int
    seeds: int
    adjusted: float = nan

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.p < 1 and (self.low > 0 or self.high < 0)

    @property
    def decided(self) -> bool:
        """Whether that holds after Holm's correction too."""
        return self.clear and self.adjusted < 1 - CONFIDENCE


def relative(first: np.ndarray, second: np.ndarray, shared: bool = True) -> Contrast:
    """How much larger the mean of `first` is than that of `second`, in percent.

    The interval is that of the logarithm of the ratio, whose variance is taken from `first` and `second` divided by their means (delta
    method). NaN, with p = 1, where either mean is zero.

    Args:
        first, second: (seeds, n) values from 0 on, finite.
        shared: whether both are of the same seeds and images, in the same order; otherwise the two are independent samples.

    Raises:
        InputError: values of another shape or sign.

    >>> found = relative(np.array([[2.0, 4.1, 6.0], [2.1, 4.0, 6.2]]), np.array([[1.0, 2.0, 3.0], [1.1, 2.0, 3.0]]))
    >>> round(found.estimate, 1), found.low < 101.7 < found.high, found.seeds, found.images
    (101.7, True, 2, 3)
    """
    _require(first, second, shared)
    means = first.mean(), second.mean()
    if min(means) == 0:
        return Contrast(nan, nan, nan, nan, 1.0, *_counts(first, second))
    error, df = _error(first / means[0], second / means[1], shared)
    ratio = _contrast(log(means[0] / means[1]), error, df, _counts(first, second))
    estimate, low, high = (100 * expm1(logarithm) for logarithm in (ratio.estimate, ratio.low, ratio.high))
    return replace(ratio, estimate=estimate, low=low, high=high)


def points(first: np.ndarray, second: np.ndarray, shared: bool = True) -> Contrast:
    """How much larger the accuracy `first` is than `second`, in percentage points.

    A few images that all agree show little: the interval is that after one more image on which only the first is right and one on which
    only the second is (Bonett and Price 2012), under every seed.

    Args:
        first, second: (seeds, n) shares in [0, 1] of how far each image counts as correct.
        shared: as in `relative`.

    >>> found = points(np.ones((2, 98)), np.ones((2, 98)))
    >>> found.estimate, round(found.low, 1), round(found.high, 1)
    (0.0, -2.8, 2.8)
    """
    _require(first, second, shared)
    require(max(first.max(), second.max()) <= 1, "accuracies must lie in [0, 1], some are larger")
    more, less = (np.pad(values, [(0, 0), (0, 2)]) for values in (first, second))
    more[:, -2], less[:, -1] = 1, 1
    error, df = _error(more, less, shared)
    shares = _contrast(float(more.mean() - less.mean()), error, df, _counts(first, second))
    estimate = 100 * float(first.mean() - second.mean())
    return replace(shares, estimate=estimate, low=100 * shares.low, high=100 * shares.high)


def over_seeds(values: np.ndarray) -> Contrast:
    """The mean of `values` (seeds,), with Student's t interval: the same rule where each seed gave one number.

    >>> found = over_seeds(np.array([1.0, 2.0, 3.0]))
    >>> found.estimate, round(found.low, 3), round(found.p, 4)
    (2.0, -0.484, 0.0742)
    """
    return _contrast(float(values.mean()), *spread(values[:, None]), (1, len(values)))


def corrected(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The same contrasts with Holm's correction over all of them."""
    return [replace(contrast, adjusted=p) for contrast, p in zip(contrasts, holm([contrast.p for contrast in contrasts]))]


def spread(values: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of `values` (seeds, n), and its degrees of freedom; NaN for a single value."""
    seeds, images = values.shape
    centred = values - values.mean()
    by_seed, by_image = centred.mean(1), centred.mean(0)
    if 1 in (seeds, images):
        count = max(seeds, images)
        return (float(np.std(values, ddof=1)) / sqrt(count), count - 1.0) if count > 1 else (nan, nan)
    free = (seeds - 1.0) * (images - 1)
    seed = images * float((by_seed**2).sum()) / (seeds - 1)
    image = seeds * float((by_image**2).sum()) / (images - 1)
    rest = float(((centred - by_seed[:, None] - by_image) ** 2).sum()) / free
    least = rest * (1 + ROUNDING)
    total, uncertain = seed, seed**2 / (seeds - 1)
    if image > least:
        total, uncertain = total + image - rest, uncertain + image**2 / (images - 1) + rest**2 / free
    if total <= least:
        return sqrt(rest / (seeds * images)), free
    return sqrt(total / (seeds * images)), max(total**2 / uncertain, seeds - 1.0)


def _error(first: np.ndarray, second: np.ndarray, shared: bool) -> tuple[float, float]:
    """Standard error of the difference of two means, and its degrees of freedom (Welch 1947 for independent samples)."""
    if shared:
        return spread(first - second)
    parts = [spread(first), spread(second)]
    total, uncertain = sum(error**2 for error, _ in parts), sum(error**4 / df for error, df in parts)
    return sqrt(total), total**2 / uncertain if uncertain else nan


def _contrast(estimate: float, error: float, df: float, counts: tuple[int, int]) -> Contrast:
    if not isfinite(error) or error <= 1e-12:  # rounding
        return Contrast(estimate, *((estimate, estimate) if isfinite(error) else (nan, nan)), df, 1.0, *counts)
    half = float(stdtrit(df, (1 + CONFIDENCE) / 2)) * error
    return Contrast(estimate, estimate - half, estimate + half, df, float(2 * stdtr(df, -abs(estimate) / error)), *counts)


def _counts(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Images and seeds; the smaller numbers of two samples."""
    return min(first.shape[1], second.shape[1]), min(len(first), len(second))


def _require(first: np.ndarray, second: np.ndarray, shared: bool) -> None:
    shapes = f"{first.shape} and {second.shape}"
    require(first.ndim == second.ndim == 2 and min(first.size, second.size) > 0, f"expected values of shape (seeds, n), got {shapes}")
    require(not shared or first.shape == second.shape, f"expected values of the same seeds and images, got shapes {shapes}")
    for values in (first, second):
        require(bool(np.isfinite(values).all() and (values >= 0).all()), "expected finite values from 0 on, got others")
