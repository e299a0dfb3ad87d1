"""A user's own maps become a target set: aligned by row with the train images, checked, and described by the file that they came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib.base import digests, image_file, params
from lib.base.errors import require
from lib.base.image_file import Opened
from lib.sharing.inspection import own_maps, streams
from lib.sharing.inspection.own_maps import Stored
from lib.targets import target_file

Order = Literal["split", "source"]


@dataclass(frozen=True)
class Imported:
    """How many `maps` were written, how many of them are all zero, and the `digest` of the content."""

    maps: int
    zero: int
    digest: str


def imported(
    path: Path, images: Path, name: str, out: Path, dataset: str | None = None, order: Order = "split", note: str = ""
) -> Imported:
    """Write the maps in `path` as the target set `name` to `out`, part by part.

    Args:
        dataset: which array of an .npz or HDF5 file.
        order: "split": row i is train image i; "source": row i is image i of the dataset that the train images were chosen from.
        note: a sentence for the provenance.

    Raises:
        InputError: the maps are no finite floating-point numbers, or not as many or not of the shape that the images ask for.
    """
    require(bool(params.NAME.fullmatch(name)), f"names use letters, digits and underscores only, got {name!r}")
    require(out.resolve() not in (path.resolve(), images.resolve()), f"{out} is what is read; name another file for the result")
    with image_file.opened(images, "train") as train, own_maps.opened(path, dataset) as stored:
        rows = _rows(path, stored, train, order)
        zero = _Zeros()
        parts = zero.counted(_parts(path, stored, rows, train.images.shape))
        told = {"file": path.name, "sha256": digests.of_file(path), "order": order, "note": note}
        told |= {} if dataset is None else {"dataset": dataset}
        header = target_file.Header(train.dataset, train.digest, name, {"import": told})
        found = target_file.write(out, header, train.images.shape, parts)
    return Imported(len(rows), zero.count, found)


def _rows(path: Path, stored: Stored, train: Opened, order: Order) -> np.ndarray:
    """Which row of `stored` belongs to each train image."""
    expected, one = train.images.shape[1:], stored.shape[1:]
    plain = one if len(one) == 3 else (1, *one)
    require(plain == expected, f"{path} has maps of shape {one}, the train images have {expected}")
    if order == "split":
        require(len(stored) == len(train), f"{path} has {len(stored)} maps, there are {len(train)} train images")
        return np.arange(len(train))
    needed = int(train.source_rows.max()) + 1
    require(len(stored) >= needed, f"{path} has {len(stored)} maps, the train images come from rows up to {needed - 1} of their dataset")
    return train.source_rows


def _parts(path: Path, stored: Stored, rows: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    size = streams.rows_at_once(shape)
    for first in range(0, len(rows), size):
        yield own_maps.rows(stored, rows[first : first + size], path)


class _Zeros:
    """Counts the maps that are all zero on their way into the file."""

    def __init__(self) -> None:
        self.count = 0

    def counted(self, parts: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for part in parts:
            self.count += int((~part.reshape(len(part), -1).any(1)).sum())
            yield part
