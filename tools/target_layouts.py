"""What a layout of target files costs: bytes, seconds to write and to load, random batches, rounding, and whether the bytes repeat.

Takes real maps, repeats them to as many rows as a training set has, and writes them in each layout: contiguous, in chunks, compressed,
in half precision, and split into a bit mask and the values that are not zero. Filters of the package hdf5plugin are measured where it is
installed. Times are those of files in the system's page cache: reading waits for no disk, and writing ends when the file is closed.

With --pythons, two interpreters write the same maps instead, and the table says in which layouts their files are the same, byte by byte.
Each needs h5py, and hdf5plugin for its filters: uv venv A && uv pip install --python A/bin/python h5py==3.11 hdf5plugin
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
import torch

from lib.base.command import command
from lib.base.errors import InputError, require
from lib.network import digests, runtime
from tools.layouts import PART, Layout, layouts, some, whole, write

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("train/maps", "maps")  # of format 2 and of format 1
BATCH = 50
HEADER = ("layout", "MB", "size", "write, s", "load, s", "batch, ms", "worst cosine", "relative error", "repeats", "100 Mbit/s", "1 Gbit/s")


@dataclass(frozen=True)
class Measured:
    """A layout's file in bytes, the best seconds over repeats (a batch: of 50 maps), the worst map against float32, and repetition."""

    size: int
    write: float
    load: float
    batch: float
    cosine: float
    error: float
    repeats: bool


def real_maps(path: Path) -> np.ndarray:
    """All maps of a target file of format 2 or 1, (n, C, H, W) float32; `InputError` for anything else."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"expected a target file at {path}, got no readable HDF5 file: {error}") from error
    with file:
        there = [place for place in PLACES if isinstance(file.get(place), h5py.Dataset)]
        require(bool(there), f"expected a dataset {' or '.join(PLACES)} in {path}, got {', '.join(file) or 'an empty file'}")
        maps = file[there[0]]
        fits = maps.ndim == 4 and maps.dtype == np.float32 and maps.size > 0
        require(fits, f"expected maps (n, C, H, W) of float32 in {path}, got {maps.shape} of {maps.dtype}")
        values = np.asarray(maps[()])
    require(bool(np.isfinite(values).all()), f"expected finite maps in {path}, got some that are not")
    return values


def tiled(maps: np.ndarray, count: int) -> np.ndarray:
    """`count` maps: all of `maps` in their order, again and again."""
    most = max(layout.chunk or 1 for layout in layouts())
    enough = len(maps) >= min(count, most)
    require(enough, f"expected at least {most} maps, so that no chunk holds a map twice and compresses too well, got {len(maps)}")
    return np.resize(maps, (count, *maps.shape[1:]))


def loader(path: Path, shape: tuple[int, ...]) -> Callable[[], torch.Tensor]:
    """An action that loads all maps of a file onto the project's device, as a float32 tensor, and returns when they are there."""
    device = runtime.device()

    def load() -> torch.Tensor:
        with h5py.File(path, "r") as file:
            maps = torch.from_numpy(whole(file, shape)).to(device).float()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return maps

    return load


def fidelity(maps: np.ndarray, stored: np.ndarray) -> tuple[float, float]:
    """The smallest cosine of a map and its stored copy, and the largest |stored - map| / |map|; maps of zeros are left out.

    >>> fidelity(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[3.0, 0.0], [0.0, 0.0]]))
    (0.6, 0.8)
    """
    cosines, errors = [1.0], [0.0]
    for first in range(0, len(maps), PART):
        before, after = (part[first : first + PART].reshape(-1, maps[0].size).astype(np.float64) for part in (maps, stored))
        before, after = (part[before.any(1)] for part in (before, after))
        length, other = np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)
        cosines += list((before * after).sum(1) / np.maximum(length * other, np.finfo(float).tiny))
        errors += list(np.linalg.norm(after - before, axis=1) / length)
    return float(min(cosines)), float(max(errors))


def measured(layout: Layout, maps: np.ndarray, repeats: int, batches: int, folder: Path) -> Measured:
    """Everything about one layout, in files of `folder` that are removed again."""
    path, shape = folder / "maps.h5", maps.shape[1:]
    rows = [np.sort(np.random.default_rng(turn).choice(len(maps), min(BATCH, len(maps)), replace=False)) for turn in range(batches)]
    try:
        writes = [(_seconds(lambda: write(path, layout, maps)), digests.of_file(path)) for _ in range(max(repeats, 2))]
        load = loader(path, shape)
        loads = min(_seconds(load) for _ in range(repeats))
        with h5py.File(path, "r") as file:
            random = min(_seconds(lambda: [some(file, batch, shape) for batch in rows]) for _ in range(repeats))
            kept = fidelity(maps, whole(file, shape))
        size, repeating = path.stat().st_size, len({digest for _, digest in writes}) == 1
    finally:
        path.unlink(missing_ok=True)
    return Measured(size, min(seconds for seconds, _ in writes), loads, random / batches, *kept, repeating)


def line(layout: Layout, found: Measured, plain: int) -> str:
    """A row of the table; `plain` is how many bytes the float32 values have."""
    costs = [f"{found.size / 1e6:.1f}", f"{found.size / plain:.3f}", f"{found.write:.2f}", f"{found.load:.2f}", f"{1000 * found.batch:.2f}"]
    kept = [f"1 - {1 - found.cosine:.0e}", f"{found.error:.0e}"] if found.error else ["1", "0"]
    wire = [f"{found.size * 8 / rate:.1f} s" for rate in (1e8, 1e9)]
    return row([str(layout), *costs, *kept, "yes" if found.repeats else "NO", *wire])


def row(cells: list[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def head(cells: tuple[str, ...]) -> str:
    """The first two lines of a Markdown table: names, and all but the first column set to the right."""
    return row(list(cells)) + "\n" + row(["---"] + ["---:"] * (len(cells) - 1))


def written_by(python: Path, folder: Path) -> dict[str, Any]:
    """What `write_all` prints under another interpreter, which sees its own packages and this project."""
    code = f"from tools.layouts import write_all; write_all({str(folder)!r})"
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(python), "-c", code], cwd=ROOT, env=alone, capture_output=True, encoding="utf-8", errors="replace")
    said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    require(done.returncode == 0, f"expected {python} to write the layouts with its h5py and hdf5plugin, it said: {said}")
    return json.loads(done.stdout.splitlines()[-1])


def compared(left: bytes, right: bytes) -> str:
    """How two files differ.

    >>> compared(b"abc", b"abd"), compared(b"abc", b"abc"), compared(b"ab", b"abc")
    ('1 byte differs', 'the same bytes', 'other lengths: 2 and 3')
    """
    if len(left) != len(right):
        return f"other lengths: {len(left)} and {len(right)}"
    count = int((np.frombuffer(left, np.uint8) != np.frombuffer(right, np.uint8)).sum())
    return f"{count} byte{'s differ' if count > 1 else ' differs'}" if count else "the same bytes"


def compare(pythons: tuple[Path, Path], maps: np.ndarray) -> Iterator[str]:
    """Lines of the table of --pythons."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "maps.npy", maps)
        left, right = (written_by(python, folder) for python in pythons)
        yield f"{left['versions']} against {right['versions']}; {len(maps)} maps\n\n| layout | files |\n|---|---|"
        for layout, file in left["files"].items():
            if layout in right["files"]:
                yield row([layout, compared((folder / file).read_bytes(), (folder / right["files"][layout]).read_bytes())])


@command(__doc__)
@click.option(
    "--targets", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, required=True, help="A target file."
)
@click.option("--count", type=click.IntRange(min=1), default=60000, help="As many maps, by repetition.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, help="Times are the best of so many.")
@click.option("--batches", type=click.IntRange(min=1), default=20, help=f"Random batches of {BATCH} maps.")
@click.option("--only", multiple=True, help="Part of a layout's name; all layouts without it.")
@click.option("--pythons", type=click.Path(exists=True, path_type=Path), nargs=2, help="Two interpreters whose files are compared instead.")
def main(
    targets: tuple[Path, ...], count: int, repeats: int, batches: int, only: tuple[str, ...], pythons: tuple[Path, Path] | None
) -> None:
    chosen = [layout for layout in layouts() if not only or any(part in str(layout) for part in only)]
    require(bool(chosen), f"--only must be part of a layout's name, such as {Layout()}, got {', '.join(only)}")
    if not (pythons or find_spec("hdf5plugin")):
        click.echo("hdf5plugin is not installed here: its filters are left out.")
    for path in targets:
        maps = tiled(real_maps(path), count)
        click.echo(f"\n{path}: {len(maps)} maps {maps.shape[1:]}, {(maps == 0).mean():.1%} zeros; best of {repeats}; {_machine()}\n")
        if pythons:
            for text in compare(pythons, maps):
                click.echo(text)
            continue
        click.echo(head(HEADER))
        with tempfile.TemporaryDirectory() as folder:
            for layout in chosen:
                found = measured(layout, maps, repeats, batches, Path(folder))
                click.echo(line(layout, found, maps.nbytes))


def _machine() -> str:
    return f"{runtime.device()}, {torch.get_num_threads()} thread(s), h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}"


def _seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
