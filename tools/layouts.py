"""The layouts that tools.target_layouts compares: how each is written and read. Needs h5py and numpy only."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np

PART = 1024  # maps given to a writer at a time, as an extraction would

FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip-1 + shuffle": {"compression": "gzip", "compression_opts": 1},
    "gzip-4 + shuffle": {"compression": "gzip", "compression_opts": 4},
    "lzf + shuffle": {"compression": "lzf"},
}
PLUGINS: dict[str, tuple[str, dict[str, Any]]] = {  # the filter's class in hdf5plugin and its settings; 2 is bitshuffle
    "zstd-3 + shuffle": ("Zstd", {"clevel": 3}),
    "bitshuffle-lz4": ("Bitshuffle", {"cname": "lz4"}),
    "blosc zstd-5 + bitshuffle": ("Blosc", {"cname": "zstd", "clevel": 5, "shuffle": 2}),
    "blosc lz4-5 + bitshuffle": ("Blosc", {"cname": "lz4", "clevel": 5, "shuffle": 2}),
    "blosc2 zstd-5 + bitshuffle": ("Blosc2", {"cname": "zstd", "clevel": 5, "filters": 2}),
    "blosc2 lz4-5 + bitshuffle": ("Blosc2", {"cname": "lz4", "clevel": 5, "filters": 2}),
}
SIZED = ("none", "gzip-4 + shuffle", "blosc zstd-5 + bitshuffle")  # measured in chunks of every size


@dataclass(frozen=True)
class Layout:
    """One way to store maps: with `chunk` maps in a chunk (None: contiguous), each chunk through `filter`; or `sparse`.

    fill: whether the file is told when to fill chunks, or h5py writes into it what its version thinks best.
    """

    dtype: str = "float32"
    chunk: int | None = None
    filter: str = "none"
    sparse: bool = False
    fill: bool = True

    def __str__(self) -> str:
        shape = "sparse" if self.sparse else f"chunks of {self.chunk}" if self.chunk else "contiguous"
        filtered = f", {self.filter}" if self.filter != "none" else ""
        return f"{self.dtype}, {shape}{filtered}" + ("" if self.fill else ", fill time unsaid")

    def settings(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Arguments of h5py's create_dataset for maps of `shape`."""
        if not self.chunk:
            return {"dtype": self.dtype}
        chunks = (min(self.chunk, shape[0]), *shape[1:])
        made = {"dtype": self.dtype, "chunks": chunks, "shuffle": self.filter.endswith(" + shuffle"), **self._compression()}
        return made | ({"dcpl": _filled_when_allocated()} if self.fill else {})

    def _compression(self) -> Mapping[str, Any]:
        if self.filter in FILTERS:
            return FILTERS[self.filter]
        import hdf5plugin

        name, settings = PLUGINS[self.filter]
        return getattr(hdf5plugin, name)(**settings)


def _filled_when_allocated() -> h5py.h5p.PropDCID:
    """What create_dataset(fill_time="alloc") says; h5py 3.11 has no such argument."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
    return properties


def layouts() -> list[Layout]:
    """What is compared: every filter on chunks of 64 maps, and of 1 and 1024 where that tells something."""
    filters = [*FILTERS, *(PLUGINS if find_spec("hdf5plugin") else [])]
    chunked = [Layout(chunk=64, filter=name) for name in filters]
    sizes = [Layout(chunk=chunk, filter=name) for name in filters if name in SIZED for chunk in (1, 1024)]
    halves = [Layout("float16", 64, "gzip-4 + shuffle"), Layout("float16", sparse=True)]
    return [Layout(), Layout("float16"), Layout(chunk=64, fill=False), *chunked, *sizes, Layout(sparse=True), *halves]


def write(path: Path, layout: Layout, maps: np.ndarray) -> None:
    """A file of `maps` in `layout`, written `PART` maps at a time and opened as lib/base/h5.py does."""
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        if layout.sparse:
            _write_sparse(file, layout, maps)
            return
        stored = file.create_dataset("maps", maps.shape, **layout.settings(maps.shape))
        for first in range(0, len(maps), PART):
            stored[first : first + PART] = maps[first : first + PART].astype(layout.dtype)


def _write_sparse(file: h5py.File, layout: Layout, maps: np.ndarray) -> None:
    """`bits`: which values are stored, eight to a byte; `values`: these; map i has values[starts[i] : starts[i + 1]].

    A value is left out where its bits are all zero, so that -0.0 comes back as it was. How many there are must be known beforehand.
    """
    flat = maps.reshape(len(maps), -1)
    kept = flat.view(np.uint32) != 0
    starts = np.concatenate([[0], np.cumsum(kept.sum(1))])
    file["starts"] = starts
    bits = file.create_dataset("bits", (len(maps), -(-flat.shape[1] // 8)), np.uint8)
    values = file.create_dataset("values", (starts[-1],), layout.dtype)
    for first in range(0, len(maps), PART):
        last = min(first + PART, len(maps))
        bits[first:last] = np.packbits(kept[first:last], axis=1)
        values[starts[first] : starts[last]] = flat[first:last][kept[first:last]].astype(layout.dtype)


def whole(file: h5py.File, shape: tuple[int, ...]) -> np.ndarray:
    """All maps of a file that `write` made, (n, C, H, W), in the type they are stored in; `shape` is (C, H, W)."""
    if "maps" in file:
        return np.asarray(file["maps"][()])
    return _dense(file["bits"][()], file["values"][()], shape)


def some(file: h5py.File, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The maps at ascending `rows`."""
    if "maps" in file:
        return np.asarray(file["maps"][rows])
    starts, stored = file["starts"], file["values"]
    values = np.concatenate([stored[slice(*starts[row : row + 2])] for row in rows])
    return _dense(file["bits"][rows], values, shape)


def _dense(bits: np.ndarray, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    maps = np.zeros((len(bits), int(np.prod(shape))), values.dtype)
    maps[np.unpackbits(bits, axis=1, count=maps.shape[1]).view(bool)] = values
    return maps.reshape(-1, *shape)


def write_all(folder: str) -> None:
    """Write folder/maps.npy in every layout that this interpreter can, and print its versions and the files' names as JSON."""
    maps, names = np.load(Path(folder, "maps.npy"), allow_pickle=False), []
    for place, layout in enumerate(layouts()):
        names.append((str(layout), f"{place}-{os.getpid()}.h5"))
        write(Path(folder, names[-1][1]), layout, maps)
    plugin = "without hdf5plugin"
    if find_spec("hdf5plugin"):
        import hdf5plugin

        plugin = f"hdf5plugin {hdf5plugin.version}"
    print(json.dumps({"versions": f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}, {plugin}", "files": dict(names)}))
