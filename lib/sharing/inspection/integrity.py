"""Which maps of a file are not what was written, counted instead of refused at the first."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base import h5
from lib.base.errors import InputError
from lib.sharing.inspection import streams
from lib.targets import target_file


@dataclass(frozen=True)
class Integrity:
    """Of `total` maps: positions in the file of those that do not fit their digests, of those with values that are not finite, and the
    sentence that a reader gets about the first of either."""

    total: int
    damaged: list[int]
    infinite: list[int]
    sentence: str


def integrity(path: Path) -> Integrity:
    """Of a file whose digests fit each other; raises `InputError` where they do not, or where the file cannot be read."""
    with streams.opened(path) as (_, maps), h5.reading(path, target_file.KIND, target_file.VERSION) as file:
        data = h5.dataset(file[target_file.SPLIT], "maps", path)
        damaged, infinite = [], []
        size = streams.rows_at_once(maps.shape)
        for first in range(0, len(maps), size):
            part = h5.rows(data, slice(first, first + size), path)
            expected = maps.digests[first : first + size]
            damaged += _positions(first, (target_file.row_digests(part) != expected).any(1))
            infinite += _positions(first, ~np.isfinite(part).reshape(len(part), -1).all(1))
        worst = next(iter([*damaged, *infinite]), None)
        return Integrity(len(maps), damaged, infinite, "" if worst is None else _sentence(maps, worst))


def _positions(first: int, wrong: np.ndarray) -> list[int]:
    return [first + int(place) for place in np.flatnonzero(wrong)]


def _sentence(maps: target_file.Maps, position: int) -> str:
    try:
        maps[position : position + 1]
    except InputError as error:
        return str(error)
    return ""
