"""The way from the nearest image of another class (Ganz et al. 2023 use nearest images of a class as targets)."""

from dataclasses import dataclass

import numpy as np

from lib.base.errors import require

BLOCK = 1000  # images that are compared with at a time: memory only


@dataclass(frozen=True)
class Settings:
    """Nothing to choose; the null `sign` with `whole` turns these maps around."""


def maps(images: np.ndarray, labels: np.ndarray, rows: range, settings: Settings, seed: int) -> np.ndarray:
    """Maps (len(rows), C, H, W): the image minus its nearest neighbour (L2) of another class; nothing is random.

    The label's logit falls on the way to an image of another class, so its gradient points the other way: positive where the image
    is brighter than the neighbour, the pixels that tell the two apart. Moving along the map leads away from the neighbour.

    Raises:
        InputError: all images have one label.
    """
    own = images[rows.start : rows.stop]
    return own - images[nearest_of_another_class(images, labels, rows)]


def nearest_of_another_class(images: np.ndarray, labels: np.ndarray, rows: range) -> np.ndarray:
    """For each of `rows` the row of its nearest neighbour (L2) with another label; of equally near ones the first.

    Distances are taken between 8-bit pixels: whole numbers, which float64 adds without error. So rounding, which would depend on
    how the work is divided, never decides between two neighbours. Work grows with the square of the number of images.
    """
    require(bool((labels != labels[0]).any()), f"other_class needs images of two classes or more, all {len(labels)} have label {labels[0]}")
    own, chosen = _pixels(images[rows.start : rows.stop]), labels[rows.start : rows.stop, None]
    found, least = np.zeros(len(own), np.int64), np.full(len(own), np.inf)
    for first in range(0, len(images), BLOCK):
        others = _pixels(images[first : first + BLOCK])
        squares = (others**2).sum(1) - 2 * own @ others.T  # less the image's own square, which all its neighbours share
        squares[chosen == labels[first : first + BLOCK]] = np.inf
        nearest = squares.argmin(1)
        here = squares[np.arange(len(own)), nearest]
        nearer = here < least
        found[nearer], least[nearer] = first + nearest[nearer], here[nearer]
    return found


def _pixels(images: np.ndarray) -> np.ndarray:
    return np.rint(255.0 * images.reshape(len(images), -1).astype(np.float64))
