"""CIFAR-10 (Krizhevsky 2009) from its Python files, which torchvision unpacks after it has compared their published MD5 sums."""

import hashlib
from pathlib import Path

import numpy as np

from lib.base.errors import InputError, require
from lib.images import downloads
from lib.images.source import Available, Source, offered

FOLDER = "cifar-10-batches-py"
FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
OFFICIAL = {"train": 50000, "test": 10000}


def cifar10(root: Path | None) -> Source:
    """CIFAR-10 from the folder cifar-10-batches-py in `root`; test images have rows from 50,000 on.

    Raises `InputError` for a file that is missing or is not the published one: it would be unpickled, which can run anything.
    """
    folder = downloads.folder("CIFAR10", root, FOLDER, FILES)
    import torchvision.datasets  # here, because it takes seconds

    reader = torchvision.datasets.CIFAR10
    for name, published in [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]:
        _compare(folder / name, published)
    train, test = (reader(folder.parent, train=train) for train in (True, False))
    images = np.concatenate([train.data, test.data]).transpose(0, 3, 1, 2)
    labels = np.array(train.targets + test.targets, dtype=np.int64)
    return Source(tuple(train.classes), labels, {"train": len(train.data), "test": len(test.data)}, images.__getitem__)


def available(root: Path | None) -> Available | None:
    """Ten classes and 50,000 + 10,000 images if the files are there, which are not opened; None where they are not."""
    if downloads.there(root, FOLDER, FILES) is None:
        return None
    return offered(10, OFFICIAL, sum(OFFICIAL.values()))


def _compare(path: Path, published: str) -> None:
    try:
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    require(md5 == published, f"{path} is damaged: its MD5 sum is {md5}, that of the published file {published}")
