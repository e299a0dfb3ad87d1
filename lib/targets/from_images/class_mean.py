"""The mean image of the image's own class (Ganz et al. 2023 use class means as targets), as seen from the image or from all images."""

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Settings:
    """`minus`: what is taken off the mean of the class, "image" the image itself, "all" the mean of all images."""

    minus: Literal["image", "all"] = "image"


def maps(images: np.ndarray, labels: np.ndarray, rows: range, settings: Settings, seed: int) -> np.ndarray:
    """Maps (len(rows), C, H, W): mean of all `images` (N, C, H, W) with the image's label, minus `minus`; nothing is random.

    As a gradient of the label's logit the way from the image says that the logit rises towards the typical image of the class, so
    it asks for less of what only this image has. The way from the mean of all images says that it rises with what sets the class
    apart, and is the same for all images of a class.

    >>> images = np.array([0.0, 1.0, 0.8]).reshape(3, 1, 1, 1)
    >>> maps(images, np.array([0, 0, 1]), range(3), Settings(), 0).ravel().tolist()
    [0.5, -0.5, 0.0]
    """
    own, chosen = images[rows.start : rows.stop], labels[rows.start : rows.stop]
    start = own if settings.minus == "image" else np.broadcast_to(images.mean(0, dtype=np.float64), own.shape)
    result = np.empty_like(own)
    for label in np.unique(chosen):
        mean = images[labels == label].mean(0, dtype=np.float64)  # of the whole split, whichever rows are asked for
        result[chosen == label] = mean - start[chosen == label]
    return result
