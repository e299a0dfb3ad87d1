"""The comparison of layouts: sizes that can be counted, maps that come back, known rounding."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks import target_layouts
from benchmarks.target_layouts import PART, Layout, layouts, read, write

HEADER = 2048  # what HDF5 puts before the values of a single contiguous dataset
SHAPE = (2, 3, 5)  # 30 values: not a whole number of bytes in a mask


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch) -> None:
    monkeypatch.setenv("DEVICE", "cpu")


def sparse_maps(count: int, kept: float = 0.2) -> np.ndarray:
    """Maps with zeros, of which the first is empty, the second full, and one value of the third is the negative zero."""
    random = np.random.default_rng(0)
    maps = random.standard_normal((count, *SHAPE)).astype(np.float32)
    maps[2:][random.random(maps[2:].shape) > kept] = 0
    maps[0] = 0
    maps[2, 0, 0, 0] = -0.0
    return maps


def size(path: Path, layout: Layout, maps: np.ndarray) -> int:
    write(path, layout, maps)
    return path.stat().st_size


@pytest.mark.parametrize("dtype, width", [("float32", 4), ("float16", 2)])
def test_a_contiguous_file_is_its_values_and_a_header(tmp_path, dtype, width):
    assert size(tmp_path / "a.h5", Layout(dtype), sparse_maps(70)) == 70 * 30 * width + HEADER


def test_a_sparse_file_grows_by_a_mask_and_a_start_per_map_and_by_four_bytes_per_value(tmp_path):
    few, many = sparse_maps(40, kept=0.1), sparse_maps(90, kept=0.6)
    stored = [4 * np.count_nonzero(maps.view(np.uint32)) + (4 + 8) * len(maps) for maps in (few, many)]
    sizes = [size(tmp_path / "a.h5", Layout(sparse=True), maps) for maps in (few, many)]
    assert sizes[1] - sizes[0] == stored[1] - stored[0] and 0 < sizes[0] - stored[0] < 3 * HEADER


@pytest.mark.parametrize("layout", [layout for layout in layouts() if layout.dtype == "float32"], ids=str)
def test_maps_come_back_bit_by_bit_whole_and_by_rows(tmp_path, layout):
    maps, rows = sparse_maps(PART + 70), np.array([0, 1, 2, 63, 64, PART - 1, PART, PART + 69])
    write(tmp_path / "a.h5", layout, maps)
    with h5py.File(tmp_path / "a.h5") as file:
        assert read(file, SHAPE).tobytes() == maps.tobytes()
        assert read(file, SHAPE, rows).tobytes() == maps[rows].tobytes()


def test_half_precision_rounds_each_value_by_at_most_a_part_in_2048(tmp_path):
    maps = np.random.default_rng(0).uniform(2.0**-14, 1, (50, *SHAPE)).astype(np.float32)
    assert 2.0**-14 < target_layouts.measured(Layout("float16"), maps, tmp_path)["relative error"] <= 2.0**-11


def test_loading_gives_float32_on_the_device_whatever_is_stored(tmp_path):
    maps = np.round(sparse_maps(70) * 4) / 4
    for layout in (Layout(), Layout("float16"), Layout("float16", sparse=True)):
        write(tmp_path / "a.h5", layout, maps)
        loaded = target_layouts.load(tmp_path / "a.h5", SHAPE)
        assert loaded.dtype == torch.float32 and torch.equal(loaded, torch.from_numpy(maps))


def test_chunks_are_told_when_to_be_filled_and_filters_to_shuffle(tmp_path):
    write(tmp_path / "a.h5", Layout(chunk=2, filter="gzip-1 + shuffle"), sparse_maps(5))
    with h5py.File(tmp_path / "a.h5") as file:
        maps = file["maps"]
        assert maps.id.get_create_plist().get_fill_time() == h5py.h5d.FILL_TIME_ALLOC and maps.chunks == (2, *SHAPE)
        assert (maps.compression, maps.compression_opts, maps.shuffle) == ("gzip", 1, True)


def test_the_table_has_a_line_for_each_layout_whose_file_comes_out_the_same_every_time(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train/maps"] = sparse_maps(70)
    result = CliRunner().invoke(target_layouts.main, ["--targets", str(tmp_path / "a.h5"), "--count", "100"])
    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.output.splitlines() if line.strip().startswith("float")]
    assert len(lines) == len({str(layout) for layout in layouts()}) == len(layouts()) and "differs" not in result.output
