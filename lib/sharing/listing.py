"""Directory objects: DVC stores a folder as a JSON list of its files, `[{"md5": …, "relpath": …}]`, under the name <md5>.dir.

`dvc checkout` writes each file to folder/relpath and does not look at the path, so a list from a stranger can lead anywhere.
"""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath

from lib.base.errors import InputError, require
from lib.sharing.remote_store import LISTING, Store

LARGEST = 100_000_000  # bytes; a million files


@dataclass(frozen=True)
class Entry:
    """One file of a folder: the hash of its content, and its path below the folder."""

    md5: str
    path: str


def read(store: Store, oid: str) -> list[Entry]:
    """The entries of the directory object `oid`; `InputError` says what is wrong with it."""
    path = store.path(oid)
    size = store.fs.size(path)
    require(size <= LARGEST, f"{oid} has {size} bytes, a list of files has fewer")
    try:
        data = json.loads(store.fs.cat_file(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{oid} is not a JSON list of files") from error
    good = isinstance(data, list) and all(_is_entry(one) for one in data)
    require(good, f"{oid} must list files as objects with md5 and relpath")
    return [Entry(one["md5"], one["relpath"]) for one in data]


def leads_out(path: str) -> bool:
    """Whether a file of this path, below some folder, may lie outside of that folder.

    >>> [leads_out(path) for path in ("a/b.h5", "..b", "../b", "a/../../b", "/b", "")]
    [False, False, True, True, True, True]
    """
    parts = path.split("/")
    return PurePosixPath(path).is_absolute() or any(part in ("", ".", "..") for part in parts) or "\0" in path


def is_listing(oid: str) -> bool:
    """Whether the object called `oid` is the list of a folder's files."""
    return oid.endswith(LISTING)


def _is_entry(data: object) -> bool:
    return isinstance(data, dict) and isinstance(data.get("md5"), str) and isinstance(data.get("relpath"), str)
