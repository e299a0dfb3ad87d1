"""Intervals of single numbers: how far a measured accuracy may be from the one that more images, or more training seeds, would show.

Test images (Wilson) and training seeds (Student's t) are kept apart here; what compares two networks counts both
(lib/statistics/crossed.py). Restarts of an attack are neither, and never enter an interval or a test.
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


def t_half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the width of Student's t interval around the mean of independent `values`.

    Raises `InputError` for fewer than two values, whose spread is unknown.

    >>> round(t_half_width([1.0, 2.0, 3.0]), 3)
    2.484
    """
    require(len(values) >= 2, f"a t interval needs at least two values, got {len(values)}")
    quantile = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    return quantile * float(np.std(values, ddof=1)) / sqrt(len(values))


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


def _normal_quantile(confidence: float) -> float:
    require(0 < confidence < 1, f"confidence must lie between 0 and 1, got {confidence}")
    return float(ndtri((1 + confidence) / 2))
