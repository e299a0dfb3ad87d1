"""Test images from wherever they are: one of our image files, or folders named after the classes."""

import sys
from pathlib import Path

import numpy as np

from lib.base import image_file
from lib.base.errors import require
from lib.base.image_file import Split
from lib.images.division import choose_rows
from lib.images.imagefolder import imagefolder


def read(path: Path, count: int | None = None, size: int | None = None) -> Split:
    """The images of `path` to evaluate on: the test split of an HDF5 image file, or the first `count` (None: all) of class folders.

    Class folders lie in `path`, or in train/ and test/ inside it, whatever their spelling, of which test/ is read. Class k is the k-th
    folder in alphabetical order. The images are mixed so that the first n of them hold the classes in their shares, always in the same
    way.

    Args:
        size: of class folders only: the largest centred square of each image, resized to `size` x `size`.

    Raises:
        InputError: the file or folder is not usable, or the test images are not clear, or there are fewer than `count` images.
    """
    require(path.is_dir() or size is None, f"images of class folders can be resized, those of the file {path} cannot")
    found = _folders(path, count, size) if path.is_dir() else image_file.read(path, "test")
    require(count is None or count <= len(found), f"{count} images are asked for, {path} has {len(found)}")
    return found


def _folders(path: Path, count: int | None, size: int | None) -> Split:
    source = imagefolder(path, size)
    expected = f"expected a folder test beside train in {path}, got {', '.join(map(repr, source.official))}"
    require(not source.official or "test" in source.official, f"{expected}; name the folder to evaluate on itself")
    first = len(source.labels) - source.official.get("test", len(source.labels))
    labels = source.labels[first:]
    wanted = len(labels) if count is None else min(count, len(labels))
    chosen = choose_rows(labels, {"test": wanted}, np.random.default_rng(0), str(path))["test"]
    images, labels = source.read(first + chosen), labels[chosen]
    for remark in source.remarks:
        print(remark, file=sys.stderr, flush=True)
    digest = image_file.digest(images, labels)
    return Split(path.resolve().name, images, labels, first + chosen, len(source.classes), digest)
