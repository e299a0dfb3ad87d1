"""Images and labels of one dataset in one HDF5 file, split into train, validation and test.

Layout: for each split a group with `images` (N, C, H, W) uint8, `labels` (N,) int64 and `source_rows` (N,) int64, the position
of each image in the dataset it came from. Row i of a target file belongs to row i of the train split, for ever. A split's `digest` covers
its pixels and labels, its `header_digest` the rest (files of earlier versions have none).
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from lib.base import h5
from lib.base.errors import require
from lib.base.splits import SPLITS

KIND = "images"
_HASHED_AT_ONCE = 4096


@dataclass(frozen=True)
class Split:
    """One split: `images` (N, C, H, W) uint8, `labels` and `source_rows` (N,) int64; `digest` names exactly these pixels and labels."""

    dataset: str
    images: np.ndarray
    labels: np.ndarray
    source_rows: np.ndarray
    classes: int
    digest: str

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Opened:
    """One split of an open file, its `images` (N, C, H, W) still unread; its digest has been compared."""

    path: Path
    dataset: str
    images: h5py.Dataset
    labels: np.ndarray
    source_rows: np.ndarray
    classes: int
    digest: str

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: range) -> Split:
        """The images of consecutive rows with their labels; `digest` stays that of the whole split."""
        part = slice(chosen.start, chosen.stop)
        images = h5.rows(self.images, part, self.path)
        return Split(self.dataset, images, self.labels[part], self.source_rows[part], self.classes, self.digest)


def digest(images: np.ndarray | h5py.Dataset, labels: np.ndarray) -> str:
    """SHA-256 over shape, pixels and labels in row order, as 64 hexadecimal digits; memory for some thousand images at most."""
    state = hashlib.sha256(repr(images.shape).encode())
    for first in range(0, len(images), _HASHED_AT_ONCE):
        state.update(np.ascontiguousarray(images[first : first + _HASHED_AT_ONCE]).data)
    state.update(np.ascontiguousarray(labels).data)
    return state.hexdigest()


def write(path: Path, dataset: str, classes: int, splits: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Write `splits`: name -> (images, labels, source_rows)."""
    for name, (images, labels, source_rows) in splits.items():
        _check(path, name, images, labels, source_rows, classes)
    with h5.writing(path, KIND, nbytes=sum(array.nbytes for split in splits.values() for array in split)) as file:
        h5.tell(file, dataset=dataset, classes=classes)
        for name, (images, labels, source_rows) in splits.items():
            group, content = file.create_group(name), digest(images, labels)
            h5.tell(group, digest=content, header_digest=_header_digest(dataset, classes, name, content, source_rows))
            group["images"] = images
            group["labels"] = labels
            group["source_rows"] = source_rows


def read(path: Path, split: str) -> Split:
    """Read one of train, validation, test; raises `InputError` for a missing, truncated or inconsistent file."""
    with opened(path, split) as found:
        return found.rows(range(len(found)))


@contextmanager
def opened(path: Path, split: str) -> Iterator[Opened]:
    """One of train, validation, test, to be read row by row; raises `InputError` for a missing, truncated or inconsistent file."""
    require(split in SPLITS, f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    with h5.reading(path, KIND) as file:
        require(split in file, f"{path} has no split {split!r}")
        group = h5.group(file, split, path)
        images = h5.dataset(group, "images", path)
        labels, source_rows = (h5.array(group, name, path) for name in ("labels", "source_rows"))
        dataset, classes = h5.attribute(file, "dataset", path), h5.attribute(file, "classes", path, int)
        _check(path, split, images, labels, source_rows, classes)
        stored, found = h5.attribute(group, "digest", path), digest(images, labels)
        require(
            stored == found, f"{path}, split {split}: the digest is {found[:12]}, its writer stored {stored[:12]}: the data were changed"
        )
        if "header_digest" in group.attrs:
            same = h5.attribute(group, "header_digest", path) == _header_digest(dataset, classes, split, found, source_rows)
            require(same, f"{path}, split {split}: classes, source_rows or what it says of itself were changed after it was written")
        yield Opened(path, dataset, images, labels, source_rows, classes, found)


def _header_digest(dataset: str, classes: int, split: str, content: str, source_rows: np.ndarray) -> str:
    """SHA-256 over these four as a JSON list, followed by the source rows."""
    told = json.dumps([dataset, int(classes), split, content]).encode()
    return hashlib.sha256(told + source_rows.astype("<i8").tobytes()).hexdigest()


def _check(path: Path, split: str, images: np.ndarray | h5py.Dataset, labels: np.ndarray, source_rows: np.ndarray, classes: int) -> None:
    where = f"{path}, split {split}"
    pixels = images.ndim == 4 and images.dtype == np.uint8
    require(pixels, f"{where}: images must be (N, C, H, W) uint8, got {images.shape} {images.dtype}")
    for name, values in {"labels": labels, "source_rows": source_rows}.items():
        good = values.ndim == 1 and np.issubdtype(values.dtype, np.integer)
        require(good, f"{where}: {name} must be whole numbers (N,), got {values.shape} {values.dtype}")
    require(len(images) == len(labels), f"{where}: {len(images)} images but {len(labels)} labels")
    require(len(images) > 0, f"{where}: it must not be empty")
    require(len(source_rows) == len(images), f"{where}: {len(images)} images but {len(source_rows)} source_rows")
    low, high = int(labels.min()), int(labels.max())
    require(low >= 0 and high < classes, f"{where}: labels must lie in 0..{classes - 1}, got {low}..{high}")
