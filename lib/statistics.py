"""Intervals: how far a measured accuracy may be from the one that more images, or more training seeds, would show.

Two sources of chance are kept apart: the test images (Wilson, Newcombe) and the training seeds (Student's t). Restarts of an attack
are neither, and never enter an interval.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy.special import ndtri, stdtrit

from lib.base.errors import require

CONFIDENCE = 0.95


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


def newcombe(first: float, second: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of `first - second`, two shares among `n` images each (Newcombe 1998, method 10), as fractions.

    The two shares are taken as independent. Both are measured on the same images here, so the interval is, if anything, too wide.

    >>> low, high = newcombe(0.5, 0.5, 100)
    >>> round(low, 3), round(high, 3)
    (-0.136, 0.136)
    """
    low_first, high_first = wilson(first, n, confidence)
    low_second, high_second = wilson(second, n, confidence)
    difference = first - second
    return (
        difference - sqrt((first - low_first) ** 2 + (high_second - second) ** 2),
        difference + sqrt((high_first - first) ** 2 + (second - low_second) ** 2),
    )


def t_half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the width of Student's t interval around the mean of `values`, one per independently trained network.

    Raises `InputError` for fewer than two values, whose spread is unknown.

    >>> round(t_half_width([1.0, 2.0, 3.0]), 3)
    2.484
    """
    require(len(values) >= 2, f"an interval over seeds needs at least two of them, got {len(values)}")
    quantile = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    return quantile * float(np.std(values, ddof=1)) / sqrt(len(values))


def _normal_quantile(confidence: float) -> float:
    require(0 < confidence < 1, f"confidence must lie between 0 and 1, got {confidence}")
    return float(ndtri((1 + confidence) / 2))
