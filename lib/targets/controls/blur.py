"""A Gaussian blur: a map keeps its coarse shape and loses its detail."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lib.base.errors import require


@dataclass(frozen=True)
class Settings:
    """`sigma`: standard deviation of the Gaussian in pixels."""

    sigma: float

    def __post_init__(self) -> None:
        require(self.sigma > 0, f"sigma must be positive, got {self.sigma}")


def changed(maps: np.ndarray, rows: Sequence[int], settings: Settings, seed: int) -> np.ndarray:
    """Each channel of `maps` (N, C, H, W) blurred; nothing is random.

    Beyond its border a map goes on as its mirror image, so it keeps its mean. Its deviation falls.
    """
    return ndimage.gaussian_filter(maps, (0, 0, settings.sigma, settings.sigma), mode="reflect")
