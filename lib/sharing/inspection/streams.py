"""Whole target files read part by part, so that memory does not grow with their size."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np

from lib.targets import target_file
from lib.targets.target_file import Header, Maps

AT_ONCE = 16 * 2**20  # bytes of maps


@contextmanager
def opened(path: Path) -> Iterator[tuple[Header, Maps]]:
    """The header and the still unread maps of a whole set or a shard."""
    with target_file.opened(path, shard=True) as found:
        yield found


def rows_at_once(shape: tuple[int, ...]) -> int:
    """How many maps of a file of `shape` (n, C, H, W) float32 are held in memory.

    >>> rows_at_once((60_000, 1, 28, 28))
    5349
    """
    return max(1, AT_ONCE // (4 * prod(shape[1:])))


def parts(maps: Maps) -> Iterator[tuple[range, np.ndarray]]:
    """All maps of an opened file with their rows in the split, each compared with its digest."""
    return target_file.chunks(maps, rows_at_once(maps.shape))
