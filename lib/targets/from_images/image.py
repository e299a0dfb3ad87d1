"""The image itself as a target: a network without biases has <J_c(x), x> as its label logit, so more of the image is more of the label."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Settings:
    """Nothing to choose."""


def maps(images: np.ndarray, labels: np.ndarray, rows: range, settings: Settings, seed: int) -> np.ndarray:
    """Maps (len(rows), C, H, W) of `images` (N, C, H, W) in [0, 1]; nothing is random.

    As a gradient of the label's logit it says that brightening a pixel raises the logit in proportion to how bright the pixel is.
    It is never negative, and where the image is black it asks for nothing: a network that reads ink out of place as evidence
    against the label cannot agree with it entirely.
    """
    return images[rows.start : rows.stop]
