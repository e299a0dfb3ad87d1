"""HDF5 files that are either complete or absent, say what they are, and hold numbers and nothing else.

Every file of the project carries three attributes: `kind` (what it holds), `schema_version` (of that kind) and `complete`. A writer works
under a temporary name and renames at the end, so a killed process never leaves a file that looks finished. Data are contiguous and
unfiltered: such files are byte-identical across HDF5 versions (docs/decisions/target-layout.md).

A finished file is never changed, only replaced as a whole. So readers take no lock: that works on read-only and network storage too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lib.base import files
from lib.base.errors import InputError, require

SCHEMA_VERSION = 1
NUMBERS = "iufb"
DESCRIPTIONS = 16 * 2**20  # bytes, more than any file here has beside its data
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, SystemError)


@contextmanager
def writing(path: Path, kind: str, version: int = SCHEMA_VERSION, nbytes: int = 0) -> Iterator[h5py.File]:
    """Open a new file of `kind` for writing; it appears under `path` only when the block ends without an exception.

    Args:
        nbytes: of the data to come, if they may be more than `DESCRIPTIONS`: a disk without so much room is refused at once.
    """
    with files.writing(path) as part, h5py.File(part, "w", libver=("earliest", "v110"), locking="best-effort") as file, _room(file, nbytes):
        tell(file, kind=kind, schema_version=version)
        yield file
        file.attrs["complete"] = True


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
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(f"{path} is not a readable HDF5 file (truncated, or of another format): {error}") from error
    with file:
        with _decoding(path):
            _check(file, path, kind, version)
            _refuse_foreign(file, path)
        yield file


def array(node: h5py.File | h5py.Group, name: str, path: Path) -> np.ndarray:
    """The whole dataset `name`, or `InputError` naming the file that lacks it or is damaged there."""
    with _decoding(path):
        return np.asarray(dataset(node, name, path)[()])


def dataset(node: h5py.File | h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """The still unread dataset `name`, or `InputError` naming the file that lacks it."""
    with _decoding(path):
        found = node.get(name)
    require(isinstance(found, h5py.Dataset), f"{path} has no dataset {name!r}")
    return found


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


def attribute(node: h5py.File | h5py.Group, name: str, path: Path) -> Any:
    """The attribute `name`, text or a number, or `InputError` naming the file that lacks it."""
    with _decoding(path):
        require(name in node.attrs, f"{path}: {node.name} has no attribute {name!r}")
        value = node.attrs[name]
        return value.decode() if isinstance(value, bytes) else value


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """What HDF5 raises on damaged metadata is of many kinds; a person gets one."""
    try:
        yield
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged: {' '.join(str(error).split())[:200]}") from error


def _check(file: h5py.File, path: Path, kind: str, version: int) -> None:
    found = attribute(file, "kind", path) if "kind" in file.attrs else None
    require(found == kind, f"expected a {kind} file at {path}, found kind {found!r}")
    other = int(attribute(file, "schema_version", path))
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


def _kind(link: object) -> str:
    return {h5py.SoftLink: "soft link", h5py.ExternalLink: "link to another file"}.get(type(link), "link of an unknown kind")


def _require_plain(node: h5py.Group | h5py.Dataset | h5py.Datatype, where: str) -> None:
    require(not isinstance(node, h5py.Datatype), f"{where} is a named type, expected numbers")
    if isinstance(node, h5py.Dataset):
        require(not node.is_virtual and not node.external, f"{where} keeps its data in other files, expected them in this one")
        require(node.dtype.kind in NUMBERS and node.dtype.subdtype is None, f"{where} holds {node.dtype}, expected plain numbers")
        require(h5py.check_ref_dtype(node.dtype) is None, f"{where} holds references, expected plain numbers")
    for name in node.attrs:
        kind = node.attrs.get_id(name).dtype
        plain = kind.kind in NUMBERS + "US" or h5py.check_string_dtype(kind) is not None
        require(plain, f"{where} has an attribute {name!r} of type {kind}, expected text or numbers")
