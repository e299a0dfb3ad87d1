"""A user's own maps in .npy, .npz or HDF5, row by row, without running or following anything that such a file may name.

Pickles are not loaded, links are not followed, and data that lie in other files are not read.
"""

import pickle
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np

from lib.base.errors import InputError, require

Stored: TypeAlias = "np.ndarray | h5py.Dataset"
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, pickle.UnpicklingError)
BYTES = (2, 4, 8)


@contextmanager
def opened(path: Path, name: str | None = None) -> Iterator[Stored]:
    """The array in `path`, (N, C, H, W) or (N, H, W) of float16, 32 or 64, its values still unread.

    Args:
        name: which array of an .npz, or the path of the dataset in an HDF5 file; None: the only array of an .npz.

    Raises:
        InputError: the file is damaged, of another format, or holds something else.
    """
    kinds = {".npy": _npy, ".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5}
    require(path.is_file(), f"expected a file of maps at {path}, found nothing there")
    require(path.suffix in kinds, f"expected maps in a file {', '.join(kinds)}, got {path}")
    with kinds[path.suffix](path, name) as found:
        number = found.dtype.kind == "f" and found.dtype.itemsize in BYTES
        require(number, f"{path}: maps must be float16, float32 or float64, got {found.dtype}")
        require(found.ndim in (3, 4) and min(found.shape) > 0, f"{path}: maps must be (N, C, H, W) or (N, H, W), got {found.shape}")
        yield found


def rows(stored: Stored, chosen: np.ndarray, path: Path) -> np.ndarray:
    """Maps (n, C, H, W) float32 of some rows in any order, checked; with (N, H, W) C is 1."""
    with _reading(path):
        whole = len(chosen) and chosen[-1] - chosen[0] + 1 == len(chosen) and bool((np.diff(chosen) == 1).all())
        values = np.asarray(stored[chosen[0] : chosen[-1] + 1]) if whole else np.stack([np.asarray(stored[row]) for row in chosen])
    finite = np.isfinite(values).reshape(len(values), -1).all(1)
    require(bool(finite.all()), f"{path}: maps must be finite, row {chosen[finite.argmin()]} is not")
    with np.errstate(over="ignore"):
        plain = values.astype(np.float32)
    fits = np.isfinite(plain).reshape(len(plain), -1).all(1)
    require(bool(fits.all()), f"{path}: maps are kept as float32, and row {chosen[fits.argmin()]} has values too large for it")
    return plain if plain.ndim == 4 else plain[:, None]


@contextmanager
def _npy(path: Path, name: str | None) -> Iterator[np.ndarray]:
    require(name is None, f"{path} holds one array without a name, got the name {name!r}")
    yield _mapped(path, path)


@contextmanager
def _npz(path: Path, name: str | None) -> Iterator[np.ndarray]:
    """Unpacked into a file first, since an array inside a ZIP cannot be read from its middle."""
    with _reading(path), zipfile.ZipFile(path) as archive:
        known = [one.removesuffix(".npy") for one in archive.namelist()]
        listed = f"it has {', '.join(known) or 'none'}"
        require(name is not None or len(known) == 1, f"{path}: name one array with --dataset, {listed}")
        chosen = name or known[0]
        require(f"{chosen}.npy" in archive.namelist(), f"{path} has no array {chosen!r}, {listed}")
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "array.npy"
            with archive.open(f"{chosen}.npy") as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            found = _mapped(plain, path)
            yield found
            del found


@contextmanager
def _hdf5(path: Path, name: str | None) -> Iterator[h5py.Dataset]:
    require(name is not None, f"{path}: name the dataset of the maps with --dataset, as its path inside the file")
    with _reading(path):
        file = h5py.File(path, "r", locking=False)
    with file:
        with _reading(path):
            found = _followed(file, str(name), path)
        yield found


def _mapped(file: Path, path: Path) -> np.ndarray:
    """The array in `file`, called `path` in sentences, without loading it."""
    with _reading(path):
        require(file.stat().st_size > 0, f"{path} is empty")
        found = np.load(file, mmap_mode="r", allow_pickle=False)
        require(isinstance(found, np.ndarray), f"{path} does not hold one array")
        return found


def _followed(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """The dataset `name`, reached through groups of this file alone."""
    node: h5py.Group | h5py.Dataset = file
    for part in name.strip("/").split("/"):
        require(isinstance(node, h5py.Group), f"{path}: {node.name} is a dataset, so there is no {name!r}")
        link = node.get(part, getlink=True)
        require(link is not None, f"{path} has no dataset {name!r}")
        require(isinstance(link, h5py.HardLink), f"{path}: {part} in {name!r} is a link, expected the data themselves")
        node = node[part]
    require(isinstance(node, h5py.Dataset), f"{path}: {name!r} is no dataset")
    outside = node.is_virtual or node.external
    require(not outside, f"{path}: {name!r} keeps its data in other files, expected them in this one")
    return node


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What h5py, numpy and zipfile raise on damaged or foreign files is of many kinds; a person gets one."""
    try:
        yield
    except InputError:
        raise
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path} is not a readable {path.suffix} file of numbers: {reason}") from error
