"""Other signs: a map keeps how large each value is, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lib.base import per_image_rng


@dataclass(frozen=True)
class Settings:
    """`of`: "whole" turns the sign of every value, which asks for the opposite gradient; "pixels" draws a sign for each value."""

    of: Literal["whole", "pixels"]


def changed(maps: np.ndarray, rows: Sequence[int], settings: Settings, seed: int) -> np.ndarray:
    """`maps` (N, C, H, W) with other signs: all of them, or each with probability 1/2, drawn from (`seed`, row) for every channel.

    >>> changed(np.array([[[[1.0, -2.0, 0.0]]]]), range(1), Settings("whole"), 0).tolist()
    [[[[-1.0, 2.0, 0.0]]]]
    """
    if settings.of == "whole":
        return 0 - maps  # and not -maps: zero has no sign here
    heads = per_image_rng.uniform(seed, "null sign", rows, maps.shape[1:]) < 0.5
    return np.where(heads, maps, 0 - maps)
