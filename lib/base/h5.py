"""HDF5 files that are either complete or absent, and say what they are.

Every file of the project carries three attributes: `kind` (what it holds), `schema_version` and `complete`. A writer works under
a temporary name and renames at the end, so a killed process never leaves a file that looks finished. Data are contiguous and
unfiltered: such files are byte-identical across HDF5 versions, and gradients hardly compress.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from lib.base.errors import InputError, require

SCHEMA_VERSION = 1


@contextmanager
def writing(path: Path, kind: str) -> Iterator[h5py.File]:
    """Open a new file of `kind` for writing; it appears under `path` only when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with h5py.File(part, "w", libver=("earliest", "v110")) as file:
            file.attrs["kind"] = kind
            file.attrs["schema_version"] = SCHEMA_VERSION
            yield file
            file.attrs["complete"] = True
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def reading(path: Path, kind: str) -> Iterator[h5py.File]:
    """Open a complete file of `kind` read-only, or raise `InputError` saying why it is not one."""
    require(path.is_file(), f"expected a {kind} file at {path}, found nothing there")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} is not a readable HDF5 file (truncated, or of another format): {error}") from error
    with file:
        found = file.attrs.get("kind")
        require(found == kind, f"expected a {kind} file at {path}, found kind {found!r}")
        version = int(file.attrs.get("schema_version", 0))
        require(version == SCHEMA_VERSION, f"{path} has schema version {version}, this code reads {SCHEMA_VERSION}")
        require(bool(file.attrs.get("complete", False)), f"{path} is incomplete: its writer was stopped before the end")
        yield file


def array(file: h5py.File | h5py.Group, name: str, path: Path) -> np.ndarray:
    """The whole dataset `name`, or `InputError` naming the file that lacks it."""
    node = file.get(name)
    require(isinstance(node, h5py.Dataset), f"{path} has no dataset {name!r}")
    return np.asarray(node[()])
