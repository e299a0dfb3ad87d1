"""Large target files in shards: what a killed extraction goes on with, and what several machines can share out.

A shard is a target file with some of the rows (lib/targets/target_file.py). Merged, shards give the bytes that one run without them gives.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from lib.base import digests, resume_folder
from lib.base.errors import InputError, require
from lib.base.portions import portion
from lib.targets import target_file
from lib.targets.target_file import Header, Maps, Place

Make = Callable[[range], Iterator[np.ndarray]]
_COPIED_AT_ONCE = 1024


def part(total: int, size: int, index: int, count: int) -> range:
    """The rows of part `index` (1 to `count`) of `total` rows, cut between passes of `size` images.

    >>> part(1050, 100, 1, 2), part(1050, 100, 2, 2)
    (range(0, 600), range(600, 1050))
    """
    passes, _ = portion(total, size, index, count, f"passes of {size} images")
    return range(passes.start * size, min(total, passes.stop * size))


def whole_passes(size: int, images: int) -> int:
    """The smallest multiple of `images`, the size of a pass, that is not below `size`.

    >>> whole_passes(250, 100)
    300
    """
    return -(-size // images) * images


def write(out: Path, header: Header, shape: tuple[int, ...], rows: range, size: int, make: Make, **facts: object) -> str:
    """Write the maps that `make` gives for `rows` of a split, at most `size` rows at a time; what is finished survives a kill.

    Args:
        shape: (N, C, H, W) of the whole split.
        make: maps of consecutive rows, in chunks (n, C, H, W).
        facts: what the maps depend on beside header and code, for JSON (device, versions); finished shards of others are not taken up.

    Returns:
        The digest of the content.
    """
    pieces = [range(first, min(first + size, rows.stop)) for first in range(rows.start, rows.stop, size)]
    if len(pieces) == 1:
        return target_file.write(out, header, (len(rows), *shape[1:]), make(rows), Place(rows.start, shape[0]))
    folder = resume_folder.place(out, ".shards") / _fingerprint(header, facts)
    _forget_others(folder)
    for piece in pieces:
        path = _path(folder, piece)
        if not _finished(path, header, piece, shape):
            target_file.write(path, header, (len(piece), *shape[1:]), make(piece), Place(piece.start, shape[0]))
    found = merge([_path(folder, piece) for piece in pieces], out)
    shutil.rmtree(folder.parent)
    resume_folder.remove_empty(folder.parent)
    return found


def merge(paths: Sequence[Path], out: Path) -> str:
    """Merge shards, in any order, into one file; raises `InputError` where they overlap, leave a gap or do not belong together.

    Returns:
        The digest of the content.
    """
    require(bool(paths), "expected at least one shard to merge, got none")
    require(out.resolve() not in [path.resolve() for path in paths], f"{out} is one of the shards; name another file for the result")
    with ExitStack() as stack:
        found = [(path, *stack.enter_context(target_file.opened(path, shard=True))) for path in paths]
        found.sort(key=lambda one: one[2].place.first)
        (_, header, start), shape = found[0], found[0][2].shape[1:]
        row = start.place.first
        for path, other, maps in found:
            _require_same(found[0][0], header, start, path, other, maps)
            where = f"the shards must follow each other, after row {row - 1} comes {path} with rows from {maps.place.first}"
            require(maps.place.first == row, where)
            row += len(maps)
        parts = (part for _, _, maps in found for _, part in target_file.chunks(maps, _COPIED_AT_ONCE))
        return target_file.write(out, header, (row - start.place.first, *shape), parts, Place(start.place.first, start.place.total))


def _require_same(first: Path, header: Header, start: Maps, path: Path, other: Header, maps: Maps) -> None:
    differing = [key for key in vars(header) if getattr(header, key) != getattr(other, key)]
    require(not differing, f"{path} and {first} do not belong together: they differ in {', '.join(differing)}")
    sizes = [(one.place.total, *one.shape[1:]) for one in (start, maps)]
    require(sizes[0] == sizes[1], f"{path} and {first} do not belong together: they are of sets of shape {sizes[1]} and {sizes[0]}")


def _path(folder: Path, rows: range) -> Path:
    return folder / f"{rows.start:09d}-{rows.stop:09d}.h5"


def _fingerprint(header: Header, facts: dict[str, object]) -> str:
    told = {"header": vars(header), "facts": facts, "code": digests.of_code()}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _forget_others(folder: Path) -> None:
    """Remove what an extraction with other settings, data or code has left for the same result."""
    others = [other for other in folder.parent.glob("*") if other != folder]
    for other in others:
        _say(f"{other} belongs to an extraction with other settings, data or code; those rows are extracted again")
        shutil.rmtree(other)


def _finished(path: Path, header: Header, rows: range, shape: tuple[int, ...]) -> bool:
    """Whether `path` holds exactly these rows, undamaged."""
    if not path.exists():
        return False
    try:
        with target_file.opened(path, shard=True) as (found, maps):
            same = (found, maps.place, maps.shape) == (header, Place(rows.start, shape[0]), (len(rows), *shape[1:]))
            for _ in target_file.chunks(maps, _COPIED_AT_ONCE):
                pass
    except InputError as error:
        _say(f"{error}; rows {rows.start} to {rows.stop - 1} are extracted again")
        return False
    return same


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
