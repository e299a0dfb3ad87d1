"""Maps aligned by row with the train split: raw saliency maps and the target interpretations made from them, in HDF5 (format 2).

Layout: the group `train` with `maps` (n, C, H, W) float32, map i belonging to train image `first_row` + i of `rows`, and `row_digests`
(n, 16) uint8, the BLAKE2b-128 of each map's bytes. A file with fewer maps than `rows` is a shard. Attributes say where they came from:
`dataset`, `name` (for instance R_smoothgrad) and `provenance`, a JSON object to which every step adds its own settings; of the group,
`images_digest` (which images) and `digest` (which maps, whatever made them); `header_digest` covers all of these. Text is UTF-8 of fixed
length, which h5py gives as bytes. Every map that is read is compared with its digest. Readable with h5py alone:
`h5py.File(path)["train/maps"][i]`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import h5py
import numpy as np

from lib.base import h5, json_text
from lib.base.errors import InputError, require
from lib.base.image_file import Opened, Split

KIND = "maps"
VERSION = 2
SPLIT = "train"
DIGEST_SIZE = 16
_CHECKED_AT_ONCE = 4096


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


@dataclass(frozen=True)
class Place:
    """Which maps of the whole set a file holds: those of images `first` and on, of `total` in the split."""

    first: int
    total: int


class Maps:
    """The maps of an opened file, read and checked when asked for: `maps[4:9]` or `maps[array of positions, ascending]`."""

    def __init__(self, path: Path, data: h5py.Dataset, digests: np.ndarray, place: Place) -> None:
        self.path, self.place, self.digests, self.shape = path, place, digests, tuple(data.shape)
        self._data = data

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        """(n, C, H, W) float32; raises `InputError` naming the first map that is not what was written, or not finite."""
        values = h5.rows(self._data, chosen, self.path)
        wrong = np.flatnonzero((row_digests(values) != self.digests[chosen]).any(1))
        if len(wrong):
            row = int(np.arange(len(self))[chosen][wrong[0]])
            raise InputError(self._changed(row, values[wrong[0]]))
        require(bool(np.isfinite(values).all()), f"{self.path}: dataset {SPLIT}/maps holds values that are not finite")
        return values

    def _changed(self, row: int, found: np.ndarray) -> str:
        """The sentence about a map that does not fit its digest; it may stand in the place of another."""
        elsewhere = np.flatnonzero((self.digests == row_digests(found[None])).all(1))
        what = f"is the map of row {elsewhere[0]}: rows were permuted" if len(elsewhere) else "was changed after it was written"
        return f"{self.path}: dataset {SPLIT}/maps, row {row} {what} (its digest differs)"


def row_digests(maps: np.ndarray) -> np.ndarray:
    """BLAKE2b-128 of the bytes of each map, little-endian float32 in the order C, H, W: (n, 16) uint8."""
    plain = np.ascontiguousarray(maps, "<f4").reshape(len(maps), -1)
    found = b"".join(hashlib.blake2b(row.data, digest_size=DIGEST_SIZE).digest() for row in plain)
    return np.frombuffer(found, np.uint8).reshape(len(maps), DIGEST_SIZE)


def content_digest(shape: tuple[int, ...], digests: np.ndarray) -> str:
    """SHA-256 over the shape (as JSON) and the row digests: which maps these are, whoever made them, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(list(shape)).encode() + digests.tobytes()).hexdigest()


def write(path: Path, header: Header, shape: tuple[int, ...], chunks: Iterable[np.ndarray], place: Place | None = None) -> str:
    """Stream `chunks`, consecutive rows (n, C, H, W) that add up to `shape`, into a new file; non-finite values are refused.

    Args:
        place: which rows of the whole set these are; None: all of them.

    Returns:
        The digest of the content. How the maps are cut into chunks changes nothing in the file.
    """
    place = place or Place(0, shape[0])
    fits = place.first >= 0 and place.first + shape[0] <= place.total
    require(fits, f"{path}: rows {place.first} to {place.first + shape[0] - 1} are not all among the {place.total} of the split")
    with h5.writing(path, KIND, VERSION, nbytes=4 * prod(shape) + DIGEST_SIZE * shape[0]) as file:
        group = file.create_group(SPLIT)
        maps = group.create_dataset("maps", shape, dtype="<f4")
        digests = _streamed(path, maps, shape, chunks)
        group["row_digests"] = digests
        found = content_digest(shape, digests)
        h5.tell(group, images_digest=header.images_digest, first_row=place.first, rows=place.total, digest=found)
        h5.tell(file, dataset=header.dataset, name=header.name, provenance=json.dumps(header.provenance, sort_keys=True))
        h5.tell(file, header_digest=_header_digest(header, place, found))
    return found


def _streamed(path: Path, maps: h5py.Dataset, shape: tuple[int, ...], chunks: Iterable[np.ndarray]) -> np.ndarray:
    """Fill `maps` and return the row digests."""
    row, digests = 0, [np.empty((0, DIGEST_SIZE), np.uint8)]
    for chunk in chunks:
        fits = chunk.shape[1:] == shape[1:] and row + len(chunk) <= shape[0]
        require(fits, f"{path}: expected maps of shape {shape}, got rows {row} to {row + len(chunk) - 1} of shape {chunk.shape}")
        require(bool(np.isfinite(chunk).all()), f"{path}: maps must be finite, rows {row} to {row + len(chunk) - 1} are not")
        maps[row : row + len(chunk)] = chunk
        digests.append(row_digests(chunk))
        row += len(chunk)
    require(row == shape[0], f"{path}: expected {shape[0]} maps, got {row}")
    return np.concatenate(digests)


def _header_digest(header: Header, place: Place, content: str) -> str:
    """SHA-256 over everything that a file says of itself, as JSON with sorted keys."""
    told = {**vars(header), "first_row": place.first, "rows": place.total, "digest": content}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@contextmanager
def opened(path: Path, shard: bool = False) -> Iterator[tuple[Header, Maps]]:
    """The header and the still unread maps of a complete file, of which a shard is none unless `shard` says so; else `InputError`."""
    with h5.reading(path, KIND, VERSION) as file:
        group = h5.group(file, SPLIT, path)
        data, digests = h5.dataset(group, "maps", path), h5.array(group, "row_digests", path)
        header, place = _header(file, group, path), _place(group, path)
        good = data.ndim == 4 and data.size > 0 and data.dtype == np.dtype("<f4")
        require(good, f"{path}: dataset {SPLIT}/maps must be (n, C, H, W) float32, got {data.shape} {data.dtype}")
        stored = data.id.get_storage_size() == data.nbytes
        require(stored, f"{path}: dataset {SPLIT}/maps must be stored whole and unfiltered, {data.nbytes} bytes, the file has fewer")
        expected = (len(data), DIGEST_SIZE)
        fits = digests.shape == expected and digests.dtype == np.uint8
        require(fits, f"{path}: dataset {SPLIT}/row_digests must be {expected} uint8, got {digests.shape} {digests.dtype}")
        _compare_digests(file, group, path, header, place, content_digest(data.shape, digests))
        last = place.first + len(data) - 1
        whole = f"{path} is a shard, rows {place.first} to {last} of {place.total}; merge all shards first"
        require(shard or len(data) == place.total, whole)
        yield header, Maps(path, data, digests, place)


def _compare_digests(file: h5py.File, group: h5py.Group, path: Path, header: Header, place: Place, found: str) -> None:
    stored = h5.attribute(group, "digest", path)
    same = stored == found
    require(same, f"{path}: dataset {SPLIT}/row_digests was changed: its digest is {found[:12]}, its writer stored {stored[:12]}")
    told = h5.attribute(file, "header_digest", path)
    require(told == _header_digest(header, place, found), f"{path}: what the file says of itself was changed after it was written")


def chunks(maps: Maps, size: int) -> Iterator[tuple[range, np.ndarray]]:
    """Consecutive rows of the split and their maps, at most `size` at a time."""
    for first in range(0, len(maps), size):
        part = maps[first : first + size]
        yield range(maps.place.first + first, maps.place.first + first + len(part)), part


def read(path: Path, train: Split) -> tuple[Header, np.ndarray]:
    """Header and all maps (N, C, H, W) float32, after checking that they belong to these train images, row by row."""
    with opened(path) as (header, maps):
        fit(path, header, maps, train)
        values = np.empty(maps.shape, np.float32)
        for rows, part in chunks(maps, _CHECKED_AT_ONCE):
            values[rows.start : rows.stop] = part
    return header, values


def fit(path: Path, header: Header, maps: Maps, train: Split | Opened) -> None:
    """Raise `InputError` unless these maps belong to these train images."""
    expected = train.images.shape
    require(maps.place.total >= len(train), f"{path} has {maps.place.total} maps, fewer than the {len(train)} train images")
    same = (maps.place.total, *maps.shape[1:]) == expected
    require(same, f"{path} has maps of shape {(maps.place.total, *maps.shape[1:])}, the train images have {expected}")
    require(
        header.images_digest == train.digest,
        f"{path} was made from other images (digest {header.images_digest[:12]}, the train split has {train.digest[:12]})",
    )


def _header(file: h5py.File, group: h5py.Group, path: Path) -> Header:
    dataset, name, told = (h5.attribute(file, key, path) for key in ("dataset", "name", "provenance"))
    provenance = json_text.parsed(told, f"{path}: attribute 'provenance'")
    return Header(dataset, h5.attribute(group, "images_digest", path), name, provenance)


def _place(group: h5py.Group, path: Path) -> Place:
    return Place(*(h5.attribute(group, key, path, int) for key in ("first_row", "rows")))
