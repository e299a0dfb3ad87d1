"""Square blocks of a map change places: what is inside a block stays, where it is and what surrounds it goes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.base import per_image_rng
from lib.base.errors import require


@dataclass(frozen=True)
class Settings:
    """`size` of a block in pixels, a divisor of the maps' height and width; 1 moves whole pixels, all channels together."""

    size: int

    def __post_init__(self) -> None:
        require(self.size > 0, f"block size must be positive, got {self.size}")


def changed(maps: np.ndarray, rows: Sequence[int], settings: Settings, seed: int) -> np.ndarray:
    """The blocks of each of `maps` (N, C, H, W) in an order drawn from (`seed`, row); channels move together.

    A map keeps its values, so its mean and deviation. Within a block it keeps its structure, so its high frequencies in part.

    Raises:
        InputError: the size does not divide height and width.
    """
    count, channels, height, width = maps.shape
    fits = height % settings.size == 0 and width % settings.size == 0
    require(fits, f"block size must divide the height and width of the maps, got {settings.size} for maps of {height}x{width}")
    grid = (height // settings.size, width // settings.size)
    cut = maps.reshape(count, channels, grid[0], settings.size, grid[1], settings.size).transpose(0, 2, 4, 1, 3, 5)
    blocks = cut.reshape(count, grid[0] * grid[1], channels, settings.size, settings.size)
    stream = f"null blocks {settings.size}"
    shuffled = [one[per_image_rng.generator(seed, stream, row).permutation(len(one))] for one, row in zip(blocks, rows, strict=True)]
    return np.stack(shuffled).reshape(cut.shape).transpose(0, 3, 1, 4, 2, 5).reshape(maps.shape)
