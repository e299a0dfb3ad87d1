"""Intervals: how far a measured accuracy may be from the one that more images, or more training seeds, would show.

Two sources of chance are kept apart: the test images (Wilson for one accuracy, Bonett and Price for the difference of two) and the
training seeds (Student's t). Restarts of an attack are neither, and never enter an interval.
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


def _normal_quantile(confidence: float) -> float:
    require(0 < confidence < 1, f"confidence must lie between 0 and 1, got {confidence}")
    return float(ndtri((1 + confidence) / 2))
