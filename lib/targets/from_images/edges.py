"""Edges of the image: the length of its brightness gradient by Sobel filters (Rodriguez-Munoz et al. 2024 regularise towards edges)."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Settings:
    """Nothing to choose."""


def maps(images: np.ndarray, labels: np.ndarray, rows: range, settings: Settings, seed: int) -> np.ndarray:
    """Maps (len(rows), C, H, W), in units of intensity per pixel; each channel by itself, pixels beyond the border repeat it.

    An edge has no side: the map is never negative and says where the label's logit should depend on the image, not in which
    direction. Nothing is random.

    >>> ramp = np.tile(np.arange(5) / 4, (1, 1, 3, 1))
    >>> maps(ramp, np.zeros(1), range(1), Settings(), 0)[0, 0, 1].tolist()
    [0.125, 0.25, 0.25, 0.25, 0.125]
    """
    own = images[rows.start : rows.stop]
    return np.hypot(_slope(own, along=2, across=3), _slope(own, along=3, across=2))


def _slope(images: np.ndarray, along: int, across: int) -> np.ndarray:
    """A Sobel filter over two axes only; scipy's own would also smooth over channels and images."""
    smooth = ndimage.correlate1d(images, [0.25, 0.5, 0.25], axis=across, mode="nearest")
    return ndimage.correlate1d(smooth, [-0.5, 0, 0.5], axis=along, mode="nearest")
