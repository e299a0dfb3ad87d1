"""What a layout of target files costs: bytes, seconds to write and to load, random batches, rounding, and whether the bytes repeat.

Takes real maps, repeats them to as many rows as a training set has, and writes them in each layout: contiguous, in chunks, compressed,
in half precision, and split into a bit mask and the values that are not zero. Filters of the package hdf5plugin are measured where it is
installed. Times are those of files in the system's page cache: reading waits for no disk, and writing ends when the file is closed. The
digest says whether another version of h5py or hdf5plugin, in an environment of its own, writes the same bytes.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
import pandas as pd
import torch

from lib.base import digests
from lib.base.command import command, source
from lib.network import runtime

PART = 1024  # maps given to a writer at a time, as an extraction would
BATCH = 50
BATCHES = 20
REPEATS = 3
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
        return made | ({"fill_time": "alloc"} if self.fill else {})

    def _compression(self) -> Mapping[str, Any]:
        if self.filter in FILTERS:
            return FILTERS[self.filter]
        import hdf5plugin

        name, settings = PLUGINS[self.filter]
        return getattr(hdf5plugin, name)(**settings)


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


def read(file: h5py.File, shape: tuple[int, ...], rows: np.ndarray | None = None) -> np.ndarray:
    """The maps (n, C, H, W) of a file that `write` made, all or those at ascending `rows`, as they are stored; `shape`: (C, H, W)."""
    chosen = slice(None) if rows is None else rows
    if "maps" in file:
        return np.asarray(file["maps"][chosen])
    starts, stored = file["starts"][()], file["values"]
    values = stored[()] if rows is None else np.concatenate([stored[starts[row] : starts[row + 1]] for row in rows])
    bits = file["bits"][chosen]
    maps = np.zeros((len(bits), int(np.prod(shape))), values.dtype)
    maps[np.unpackbits(bits, axis=1, count=maps.shape[1]).view(bool)] = values
    return maps.reshape(-1, *shape)


def load(path: Path, shape: tuple[int, ...]) -> torch.Tensor:
    """All maps of a file on the project's device, as a float32 tensor."""
    with h5py.File(path, "r") as file:
        maps = torch.from_numpy(read(file, shape)).to(runtime.device()).float()
    if maps.is_cuda:
        torch.cuda.synchronize()
    return maps


def error(maps: np.ndarray, stored: np.ndarray) -> float:
    """The largest |stored - map| / |map|; maps of zeros are left out.

    >>> error(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[3.0, 0.0], [0.0, 0.0]]))
    0.8
    """
    before, after = (part.reshape(len(part), -1).astype(np.float64) for part in (maps, stored))
    length = np.linalg.norm(before, axis=1)
    return float((np.linalg.norm(after - before, axis=1)[length > 0] / length[length > 0]).max(initial=0))


def measured(layout: Layout, maps: np.ndarray, folder: Path) -> dict[str, object]:
    """A line of the table, by files of `folder` that are removed again; times are the best of several."""
    path, shape = folder / "maps.h5", maps.shape[1:]
    random = np.random.default_rng(0)
    rows = [np.sort(random.choice(len(maps), min(BATCH, len(maps)), replace=False)) for _ in range(BATCHES)]
    try:
        written = [(_seconds(lambda: write(path, layout, maps)), digests.of_file(path)) for _ in range(REPEATS)]
        loads = [_seconds(lambda: load(path, shape)) for _ in range(REPEATS)]
        with h5py.File(path, "r") as file:
            batches = [_seconds(lambda: [read(file, shape, batch) for batch in rows]) for _ in range(REPEATS)]
            rounding = error(maps, read(file, shape))
        size, digest_set = path.stat().st_size, {digest for _, digest in written}
    finally:
        path.unlink(missing_ok=True)
    return {
        "layout": str(layout),
        "MB": size / 1e6,
        "size": size / maps.nbytes,
        "write, s": min(seconds for seconds, _ in written),
        "load, s": min(loads),
        "batch, ms": 1000 * min(batches) / BATCHES,
        "relative error": rounding,
        "100 Mbit/s, s": size * 8 / 1e8,
        "1 Gbit/s, s": size * 8 / 1e9,
        "digest": min(digest_set)[:12] if len(digest_set) == 1 else "differs",
    }


@command(__doc__)
@source("--targets", "A target file.")
@click.option("--count", type=click.IntRange(min=1), default=60000, help="As many maps, by repetition.")
def main(targets: Path, count: int) -> None:
    with h5py.File(targets, "r") as file:
        maps = np.resize(file["train/maps"][()], (count, *file["train/maps"].shape[1:]))
    click.echo(
        f"{(maps == 0).mean():.1%} zeros; {runtime.device()}, {torch.get_num_threads()} thread(s), {h5py.version.info.splitlines()[1]}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        table = pd.DataFrame([measured(layout, maps, Path(folder)) for layout in layouts()])
    click.echo(table.to_string(index=False, float_format="{:.3g}".format))


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
