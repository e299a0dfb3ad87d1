"""Where images come from, and how they are divided into train, validation and test.

A source knows the labels of everything it has and reads only the images that were chosen: labels are divided first, then decoded.
To add a dataset, write a function `Data -> Source` and list it in `SOURCES`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base.errors import require
from lib.base.splits import SPLITS
from lib.images import cifar10, imagefolder, mnist, summary
from lib.images.division import choose_rows
from lib.images.source import Available, Source, pools

LARGEST = 10_000  # pixels a side: one such image takes 300 MB


@dataclass(frozen=True)
class Data:
    """The section `data` of params.yaml: which dataset, how many images per split, and the seed that chooses them."""

    dataset: str
    root: str | None
    image_size: int | None
    train: int
    validation: int
    test: int
    seed: int

    def __post_init__(self) -> None:
        require(self.dataset in SOURCES, f"dataset must be one of {', '.join(SOURCES)}, got {self.dataset!r}")
        for name in SPLITS:
            require(getattr(self, name) > 0, f"{name} must be a positive number of images, got {getattr(self, name)}")
        require(self.seed >= 0, f"seed must not be negative, got {self.seed}")
        side = f"image_size must be null or a number of pixels from 1 to {LARGEST}, got {self.image_size}"
        require(self.image_size is None or 0 < self.image_size <= LARGEST, side)
        folder = self.dataset == "imagefolder"
        require(folder or self.image_size is None, f"image_size is for imagefolder only, {self.dataset} has its own; got {self.image_size}")
        require(not folder or self.root is not None, "root must name the folder of images when dataset is imagefolder, got null")

    @property
    def folder(self) -> Path | None:
        return None if self.root is None else Path(os.path.expanduser(self.root))


@dataclass(frozen=True)
class Prepared:
    """Each split's images (n, C, H, W) uint8, labels (n,) int64 and rows (n,) in the source; `remarks` say what was understood."""

    classes: tuple[str, ...]
    splits: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    remarks: list[str]


def prepare(data: Data) -> Prepared:
    """The images of `data`, divided and decoded.

    Raises `InputError` if the files are missing or unreadable, or if the source has fewer images than `data` asks for.
    """
    source = SOURCES[data.dataset](data)
    rows = split_rows(source, data)
    images = source.read(np.concatenate(list(rows.values())))
    ends = np.cumsum([len(chosen) for chosen in rows.values()])
    parts = zip(rows, np.split(images, ends[:-1]), strict=True)
    splits = {name: (part, source.labels[rows[name]], rows[name]) for name, part in parts}
    origin = summary.origin(pools(source.official, len(source.labels)))
    remarks = [origin, *summary.table(source.classes, splits), *source.remarks, *summary.repeated(splits)]
    return Prepared(source.classes, splits, remarks)


def split_rows(source: Source, data: Data) -> dict[str, np.ndarray]:
    """The rows of train, validation and test: disjoint, stratified, determined by `data.seed`; see `choose_rows`.

    A split comes from the official split of its name where there is one, otherwise from train, or from everything if there is none.
    Raises `InputError` if a pool is too small, or if some class would have no training image.
    """
    generator = np.random.default_rng(data.seed)
    rows: dict[str, np.ndarray] = {}
    for splits, pool in pools(source.official, len(source.labels)).items():
        wanted = {name: getattr(data, name) for name in splits}
        called = f"the {splits[0]} split of {data.dataset}" if source.official else data.dataset
        chosen = choose_rows(source.labels[pool.start : pool.stop], wanted, generator, called)
        rows |= {name: pool.start + picked for name, picked in chosen.items()}
    examples = np.bincount(source.labels[rows["train"]], minlength=len(source.classes))
    absent = source.classes[int(examples.argmin())]
    require(bool(examples.all()), f"{data.train} training images leave class {absent!r} without an example; ask for more")
    return {name: rows[name] for name in SPLITS}


def available(data: Data) -> Available | None:
    """What the dataset has, without opening an image or fetching a file: None where it is not here, or does not say.

    Raises `InputError` where the files are here and prepare-data would refuse them for their labels, names or folders.

    >>> available(Data("mnist5k", None, None, train=1, validation=1, test=1, seed=0))
    Available(classes=10, pools={('train', 'validation', 'test'): 5000})
    """
    return AVAILABLE[data.dataset](data) if data.dataset in AVAILABLE else None


SOURCES: dict[str, Callable[[Data], Source]] = {
    "mnist5k": lambda data: mnist.mnist5k(),
    "mnist": lambda data: mnist.mnist(data.folder),
    "cifar10": lambda data: cifar10.cifar10(data.folder),
    "imagefolder": lambda data: imagefolder.imagefolder(Path(str(data.folder)), data.image_size),
}
AVAILABLE: dict[str, Callable[[Data], Available | None]] = {
    "mnist5k": lambda data: Available(10, {SPLITS: 5000}),
    "mnist": lambda data: mnist.available(data.folder),
    "cifar10": lambda data: cifar10.available(data.folder),
    "imagefolder": lambda data: imagefolder.available(Path(str(data.folder))),
}
