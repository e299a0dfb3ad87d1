"""Maps aligned by row with the train split: raw saliency maps and the target interpretations made from them, in HDF5.

Layout: `maps` (N, C, H, W) float32, row i belonging to train image i, and attributes that say where they came from:
`dataset`, `images_digest` (of the train split), `name` (for instance R_smoothgrad) and `provenance`, a JSON object to which every
step adds its own settings. Readable with h5py alone: `h5py.File(path)["maps"][i]`.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from lib.base import h5
from lib.base.errors import require
from lib.base.image_file import Split

KIND = "maps"


@dataclass(frozen=True)
class Header:
    """What a file says of itself; `provenance` maps each step (teacher, saliency, threshold, permute) to its settings."""

    dataset: str
    images_digest: str
    name: str
    provenance: dict

    def after(self, step: str, settings: dict, name: str | None = None) -> "Header":
        """The header of what `step` makes from this file."""
        return replace(self, name=name or self.name, provenance={**self.provenance, step: settings})


def write(path: Path, header: Header, shape: tuple[int, ...], chunks: Iterable[np.ndarray]) -> None:
    """Stream `chunks`, consecutive rows (n, C, H, W) that add up to `shape`, into a new file; non-finite values are refused."""
    with h5.writing(path, KIND) as file:
        file.attrs["dataset"] = header.dataset
        file.attrs["images_digest"] = header.images_digest
        file.attrs["name"] = header.name
        file.attrs["provenance"] = json.dumps(header.provenance, sort_keys=True)
        maps = file.create_dataset("maps", shape, dtype=np.float32)
        row = 0
        for chunk in chunks:
            fits = chunk.shape[1:] == shape[1:] and row + len(chunk) <= shape[0]
            require(fits, f"{path}: expected maps of shape {shape}, got rows {row} to {row + len(chunk) - 1} of shape {chunk.shape}")
            require(bool(np.isfinite(chunk).all()), f"{path}: maps must be finite, rows {row} to {row + len(chunk) - 1} are not")
            maps[row : row + len(chunk)] = chunk
            row += len(chunk)
        require(row == shape[0], f"{path}: expected {shape[0]} maps, got {row}")


@contextmanager
def opened(path: Path) -> Iterator[tuple[Header, h5py.Dataset]]:
    """The header and the still unread `maps` of a complete file; raises `InputError` otherwise."""
    with h5.reading(path, KIND) as file:
        require(isinstance(file.get("maps"), h5py.Dataset), f"{path} has no dataset 'maps'")
        yield _header(file), file["maps"]


def chunks(maps: h5py.Dataset, size: int) -> Iterator[tuple[range, np.ndarray]]:
    """Consecutive rows and their maps, at most `size` at a time."""
    for first in range(0, len(maps), size):
        part = np.asarray(maps[first : first + size])
        yield range(first, first + len(part)), part


def read(path: Path, train: Split) -> tuple[Header, np.ndarray]:
    """Header and all maps (N, C, H, W) float32, after checking that they belong to these train images, row by row."""
    with opened(path) as (header, maps):
        expected = train.images.shape
        require(len(maps) >= len(train), f"{path} has {len(maps)} maps, fewer than the {len(train)} train images")
        require(maps.shape == expected, f"{path} has maps of shape {maps.shape}, the train images have {expected}")
        require(
            header.images_digest == train.digest,
            f"{path} was made from other images (digest {header.images_digest[:12]}, the train split has {train.digest[:12]})",
        )
        values = np.asarray(maps[()], dtype=np.float32)
    require(bool(np.isfinite(values).all()), f"{path} holds values that are not finite")
    return header, values


def _header(file: h5py.File) -> Header:
    text = {name: str(file.attrs[name]) for name in ("dataset", "images_digest", "name", "provenance")}
    return Header(text["dataset"], text["images_digest"], text["name"], json.loads(text["provenance"]))
