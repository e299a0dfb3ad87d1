"""What a dataset says about itself before it is divided: classes, labels, official splits, and how its images are read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from lib.base.splits import SPLITS


@dataclass(frozen=True)
class Source:
    """A dataset before it is divided: `labels` (N,) int64 of all its images and `read`: rows (n,) -> images (n, C, H, W) uint8.

    `official` has the number of images of each of its official splits, in the order of the rows, which begin with train; empty: it
    has none. `remarks` are sentences on what was skipped and converted; `read` may add to them.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    official: dict[str, int]
    read: Callable[[np.ndarray], np.ndarray]
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Available:
    """What a dataset offers: its number of classes, and the number of images of each pool by the splits that share it.

    The keys of `pools` divide train, validation and test among them: ("train", "validation") and ("test",) with an official test split.
    """

    classes: int
    pools: dict[tuple[str, ...], int]


def offered(classes: int, official: dict[str, int], total: int) -> Available:
    """What a source of so many classes and images has, given the sizes of its official splits."""
    return Available(classes, {splits: len(rows) for splits, rows in pools(official, total).items()})


def pools(official: dict[str, int], total: int) -> dict[tuple[str, ...], range]:
    """The rows that splits are drawn from, by the splits that share them: an official split is one, those that are not share train.

    >>> pools({"train": 60, "test": 10}, 70)
    {('train', 'validation'): range(0, 60), ('test',): range(60, 70)}
    >>> pools({}, 70)
    {('train', 'validation', 'test'): range(0, 70)}
    """
    sizes = official or {"train": total}
    rows = [range(end - size, end) for size, end in zip(sizes.values(), accumulate(sizes.values()))]
    sharing = [tuple(split for split in SPLITS if split == name or (name == "train" and split not in sizes)) for name in sizes]
    return dict(zip(sharing, rows))
