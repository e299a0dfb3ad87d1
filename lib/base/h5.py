"""HDF5 files that are either complete or absent, say what they are, and hold numbers and nothing else.

Every file of the project carries three attributes: `kind` (what it holds), `schema_version` (of that kind) and `complete`. A writer works
under a temporary name and renames at the end, so a killed process never leaves a file that looks finished. Data are contiguous and
unfiltered: such files are byte-identical across HDF5 versions (docs/decisions/target-layout.md).

A fourth, `digest`, is "sha256:" and the SHA-256 of all bytes of the file, taken with 64 zeros in its place. It is compared before HDF5
sees the file. Maps and images do without: they carry digests by row and by split, so that a reader of some rows need not read all.

A finished file is never changed, only replaced as a whole. So readers take no lock: that works on read-only and network storage too.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from lib.base import files
from lib.base.errors import InputError, require

SCHEMA_VERSION = 1
NUMBERS = "iufb"
FORMER = {"outcomes": "radii", "outcomes_part": "radii_part"}  # kinds of earlier versions, and what stands in their place
WITHOUT_DIGEST = ("maps", "images", "published outcomes")  # the last are kept in Git, and written by earlier versions
Value = TypeVar("Value", str, int, float)
_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    int: ((int, np.integer), "a whole number"),
    float: ((int, float, np.integer, np.floating), "a number"),
}
DESCRIPTIONS = 16 * 2**20  # bytes, more than any file here has beside its data
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, SystemError)
_MARK, _ZEROS = b"sha256:", 64 * b"0"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_END = {0: 40, 1: 44, 2: 28, 3: 28}  # where it stands in a file at which byte it ends, by version of the superblock (HDF5 specification)
_DEFLATED = 1032  # to how much one byte of a compressed dataset can grow, at most (zlib)


@contextmanager
def writing(path: Path, kind: str, version: int = SCHEMA_VERSION, nbytes: int = 0) -> Iterator[h5py.File]:
    """Open a new file of `kind` for writing; it appears under `path` only when the block ends without an exception.

    Args:
        nbytes: of the data to come, if they may be more than `DESCRIPTIONS`: a disk without so much room is refused at once.
    """
    sealed = kind not in WITHOUT_DIGEST
    with files.writing(path) as part:
        with h5py.File(part, "w", libver=("earliest", "v110"), locking="best-effort") as file, _room(file, nbytes):
            tell(file, kind=kind, schema_version=version)
            if sealed:
                tell(file, digest=(_MARK + _ZEROS).decode())
            yield file
            file.attrs["complete"] = True
        if sealed:
            seal(part)


@contextmanager
def _room(file: h5py.File, nbytes: int) -> Iterator[None]:
    """Take the room for `nbytes` and what describes them before anything is written, and give back at the end what is left of it.

    HDF5 cannot drop what it could not write: on a disk that gets full it tries again when it closes the file, and crashes the process.
    The bytes of the file are the same without this.
    """
    descriptor = file.id.get_vfd_handle()
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, nbytes + DESCRIPTIONS)
    yield
    file.flush()
    os.ftruncate(descriptor, file.id.get_filesize())


@contextmanager
def reading(path: Path, kind: str, version: int = SCHEMA_VERSION) -> Iterator[h5py.File]:
    """Open a complete file of `kind` read-only, or raise `InputError` saying why it is not one, or why it is not to be trusted."""
    require(path.is_file(), f"expected a {kind} file at {path}, found nothing there")
    try:
        _require_end(path)
        sealed = kind in WITHOUT_DIGEST or _is_sealed(path)
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(f"{path} is not a readable HDF5 file (truncated, or of another format): {error}") from error
    with file:
        with _decoding(path):
            _check(file, path, kind, version)
            require(sealed, f"{path} carries no digest, so nothing says whether it is what was written; make it anew")
            _refuse_foreign(file, path)
        yield file


def seal(path: Path) -> None:
    """Put the digest of a closed file into the place that `writing` left for it."""
    place, _, digest = _digests(path)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(digest.encode())


def array(node: h5py.File | h5py.Group, name: str, path: Path) -> np.ndarray:
    """The whole dataset `name`, or `InputError` naming the file that lacks it or is damaged there."""
    with _decoding(path):
        return np.asarray(dataset(node, name, path)[()])


def flags(node: h5py.File | h5py.Group, name: str, path: Path) -> np.ndarray:
    """The whole dataset `name` as bool, or `InputError` where it holds anything but 0 and 1."""
    values = array(node, name, path)
    wrong = values[(values != 0) & (values != 1)]
    require(not len(wrong), f"{path}: {node.name} {name!r} must hold 0 and 1 only, got {wrong[:1].tolist()}")
    return values.astype(bool)


def numbers(node: h5py.File | h5py.Group, name: str, path: Path, low: float = -np.inf, high: float = np.inf) -> np.ndarray:
    """The whole dataset `name`, or `InputError` where a value is not finite or not in [low, high]."""
    values = array(node, name, path)
    wrong = values[~(np.isfinite(values) & (values >= low) & (values <= high))]
    require(not len(wrong), f"{path}: {node.name} {name!r} must be finite and in [{low:g}, {high:g}], got {wrong[:1].tolist()}")
    return values


def dataset(node: h5py.File | h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """The still unread dataset `name`, or `InputError` naming the file that lacks it."""
    with _decoding(path):
        found = node.get(name)
    require(isinstance(found, h5py.Dataset), f"{path} has no dataset {name!r}")
    return found


def group(node: h5py.File | h5py.Group, name: str, path: Path) -> h5py.Group:
    """The group `name`, or `InputError` naming the file that lacks it."""
    with _decoding(path):
        found = node.get(name)
    require(isinstance(found, h5py.Group), f"{path} has no group {name!r}")
    return found


def numbered(node: h5py.File | h5py.Group, name: str, path: Path) -> dict[int, h5py.Group]:
    """The groups in the group `name`, which are called by numbers, in the order of the numbers."""
    outer = group(node, name, path)
    for key in outer:
        require(key.isascii() and key.isdigit(), f"{path}: the groups in {name} must be called by numbers, got {key!r}")
    return {int(key): group(outer, key, path) for key in sorted(outer, key=int)}


def rows(data: h5py.Dataset, chosen: slice | np.ndarray, path: Path) -> np.ndarray:
    """Some rows of a dataset; raises `InputError` where the file cannot give them."""
    with _decoding(path):
        return np.asarray(data[chosen])


def tell(node: h5py.File | h5py.Group, **attributes: str | float) -> None:
    """Write attributes, text as UTF-8 of fixed length: HDF5 can crash on damaged text of variable length, and not on this."""
    for name, value in attributes.items():
        if isinstance(value, str):
            text = value.encode()
            node.attrs.create(name, text, dtype=h5py.string_dtype("utf-8", max(1, len(text))))
        else:
            node.attrs[name] = value


def attribute(node: h5py.File | h5py.Group, name: str, path: Path, kind: type[Value] = str) -> Value:  # type: ignore[assignment]
    """The attribute `name`, or `InputError` naming the file that lacks it or has something of another kind there."""
    with _decoding(path):
        require(name in node.attrs, f"{path}: {node.name} has no attribute {name!r}")
        value = node.attrs[name]
        value = value.decode() if isinstance(value, bytes) else value
        types, called = _TYPES[kind]
        require(isinstance(value, types), f"{path}: attribute {name!r} of {node.name} must be {called}, got {value!r}")
        return kind(value)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """What HDF5 raises on damaged metadata is of many kinds; a person gets one."""
    try:
        yield
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged: {' '.join(str(error).split())[:200]}") from error


def _require_end(path: Path) -> None:
    """HDF5 takes no notice of what follows its own bytes."""
    with path.open("rb") as file:
        head = file.read(64)
    size, place = path.stat().st_size, _END.get(head[8]) if len(head) == 64 and head.startswith(_SIGNATURE) else None
    unreadable = f"{path} is not a readable HDF5 file (truncated, or of another format)"
    require(place is not None, unreadable)
    end = int.from_bytes(head[place : place + 8], "little")  # type: ignore[operator]
    require(end <= size, f"{unreadable}: it has {size} bytes of {end}")
    require(end == size, f"{path} must end after {end} bytes, there are {size - end} more")


def _is_sealed(path: Path) -> bool:
    """Whether the file carries a digest, which fits then; raises `InputError` where it does not fit."""
    place, stored, digest = _digests(path)
    if place < len(_MARK):
        return False
    require(stored == digest, f"{path} was changed after it was written: its digest is {digest[:12]}, its writer stored {stored[:12]}")
    return True


def _digests(path: Path) -> tuple[int, str, str]:
    """Where a file carries its digest, the one that it carries, and the one of its bytes."""
    data = path.read_bytes()
    place = data.find(_MARK) + len(_MARK)
    state = hashlib.sha256(data[:place] + _ZEROS)
    state.update(memoryview(data)[place + len(_ZEROS) :])
    return place, data[place : place + len(_ZEROS)].decode("ascii", "replace"), state.hexdigest()


def _check(file: h5py.File, path: Path, kind: str, version: int) -> None:
    found = attribute(file, "kind", path) if "kind" in file.attrs else None
    former = " of an earlier version; make it anew" if kind == FORMER.get(str(found)) else ""
    require(found == kind, f"expected a {kind} file at {path}, found kind {found!r}{former}")
    other = attribute(file, "schema_version", path, int)
    advice = "; it needs a newer version of this project" if other > version else "; make it anew"
    require(other == version, f"{path} has schema version {other}, this code reads {version}{advice}")
    require(bool(file.attrs.get("complete", False)), f"{path} is incomplete: its writer was stopped before the end")


def _refuse_foreign(file: h5py.File, path: Path) -> None:
    """Links that lead elsewhere, data kept in other files, and anything that is no number: none of it is ever written here."""
    links: list[tuple[str, object]] = []
    file.visititems_links(lambda name, link: links.append((name, link)))  # an exception must not leave a visit
    for name, link in links:
        require(isinstance(link, h5py.HardLink), f"{path}: {name} is a {_kind(link)}, expected the data themselves")
    nodes: list[tuple[str, h5py.Group | h5py.Dataset | h5py.Datatype]] = [("/", file)]
    file.visititems(lambda name, node: nodes.append((name, node)))
    for name, node in nodes:
        _require_plain(node, f"{path}: {name}")
        if isinstance(node, h5py.Dataset):
            _require_stored(node, f"{path}: {name}", path.stat().st_size)


def _kind(link: object) -> str:
    return {h5py.SoftLink: "soft link", h5py.ExternalLink: "link to another file"}.get(type(link), "link of an unknown kind")


def _require_plain(node: h5py.Group | h5py.Dataset | h5py.Datatype, where: str) -> None:
    require(not isinstance(node, h5py.Datatype), f"{where} is a named type, expected numbers")
    if isinstance(node, h5py.Dataset):
        require(not node.is_virtual and not node.external, f"{where} keeps its data in other files, expected them in this one")
        require(node.dtype.kind in NUMBERS + "S" and node.dtype.subdtype is None, f"{where} holds {node.dtype}, expected plain numbers")
        require(h5py.check_ref_dtype(node.dtype) is None, f"{where} holds references, expected plain numbers")
    for name in node.attrs:
        kind = node.attrs.get_id(name).dtype
        plain = kind.kind in NUMBERS + "US" or h5py.check_string_dtype(kind) is not None
        require(plain, f"{where} has an attribute {name!r} of type {kind}, expected text or numbers")


def _require_stored(data: h5py.Dataset, where: str, size: int) -> None:
    """Values that were never written read as zeros, so a few bytes could claim any number of them."""
    claimed = prod(data.shape) * data.dtype.itemsize
    whole = claimed == data.id.get_storage_size() <= size if data.chunks is None else claimed <= _DEFLATED * size
    require(whole, f"{where} must be stored whole and unfiltered, {claimed} bytes, the file has fewer")
