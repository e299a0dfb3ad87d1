"""Another image of the same class, drawn at random: what `image` offers, less all that is particular to the image."""

from dataclasses import dataclass

import numpy as np

from lib.base import per_image_rng
from lib.base.errors import require


@dataclass(frozen=True)
class Settings:
    """Nothing to choose."""


def maps(images: np.ndarray, labels: np.ndarray, rows: range, settings: Settings, seed: int) -> np.ndarray:
    """Maps (len(rows), C, H, W): for each row one of the other `images` with its label, drawn from (`seed`, row) alone.

    As a gradient of the label's logit it means what the source `image` means, of an image that is not there.

    Raises:
        InputError: an image is the only one of its class.
    """
    return images[[another(labels, row, seed) for row in rows]]


def another(labels: np.ndarray, row: int, seed: int) -> int:
    """A row other than `row` with the same label, each with the same probability.

    >>> another(np.array([0, 1, 1, 0]), 0, seed=0)
    3
    """
    same = np.flatnonzero(labels == labels[row])
    require(len(same) > 1, f"same_class needs two images of every class or more, row {row} is the only one of class {labels[row]}")
    return int(per_image_rng.generator(seed, "source same_class", row).choice(same[same != row]))
