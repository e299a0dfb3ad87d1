"""Arithmetic of robust radii: which images stand at a radius, how far a perturbation can reach at all, and the mean over images.

The robust radius of an image in a norm is the length of the shortest adversarial perturbation that any attack found: 0 where the image
is misclassified as it is, infinite where none was found. The share of images with a larger radius than epsilon is the robust accuracy at
epsilon, so the mean radius is the area under that security curve.
"""

import numpy as np

# A point of the ball that was projected onto it in float32 may be longer than its radius by this share.
ROUNDING = 1e-5


def stands(radius: np.ndarray, epsilon: float) -> np.ndarray:
    """Which images (n,) bool no perturbation of length `epsilon` is known to fool.

    >>> stands(np.array([0.0, 0.2, 0.25, np.inf], np.float32), 0.2).tolist()
    [False, False, True, True]
    """
    return radius > epsilon * (1 + ROUNDING)


def capped(radius: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Radii (n,) with those that are infinite at their image's `reach`, which bounds what the true one can be: finite, ready for a mean.

    >>> capped(np.array([0.5, np.inf]), np.array([1.0, 0.9])).tolist()
    [0.5, 0.9]
    """
    return np.minimum(radius, reach)


def curve(radius: np.ndarray, points: int, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """The security curve: `points` radii from 0 to `largest`, evenly spaced, and the robust accuracy at each, both (points,).

    >>> [values.tolist() for values in curve(np.array([0.0, 0.5, np.inf, 1.0]), 3, 1.0)]
    [[0.0, 0.5, 1.0], [0.75, 0.5, 0.25]]
    """
    at = np.linspace(0, largest, points)
    return at, np.array([stands(radius, epsilon).mean() for epsilon in at])
