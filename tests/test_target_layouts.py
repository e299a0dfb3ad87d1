"""The comparison of layouts: sizes that can be counted, maps that come back, known rounding, and input that is refused."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from lib.base.errors import InputError
from tools import layouts, target_layouts
from tools.layouts import PART, Layout
from tools.target_layouts import Measured

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
    layouts.write(path, layout, maps)
    return path.stat().st_size


@pytest.mark.parametrize("count", [3, 70])
@pytest.mark.parametrize("dtype, width", [("float32", 4), ("float16", 2)])
def test_a_contiguous_file_is_its_values_and_a_header(tmp_path, count, dtype, width):
    assert size(tmp_path / "a.h5", Layout(dtype), sparse_maps(count)) == count * 30 * width + HEADER


def test_a_sparse_file_grows_by_a_mask_and_a_start_per_map_and_by_four_bytes_per_value(tmp_path):
    few, many = sparse_maps(40, kept=0.1), sparse_maps(90, kept=0.6)
    stored = [4 * np.count_nonzero(maps.view(np.uint32)) + (4 + 8) * len(maps) for maps in (few, many)]
    sizes = [size(tmp_path / "a.h5", Layout(sparse=True), maps) for maps in (few, many)]
    assert sizes[1] - sizes[0] == stored[1] - stored[0] and 0 < sizes[0] - stored[0] < 3 * HEADER


@pytest.mark.parametrize("layout", [layout for layout in layouts.layouts() if layout.dtype == "float32"], ids=str)
def test_maps_come_back_bit_by_bit_whole_and_by_rows(tmp_path, layout):
    maps, rows = sparse_maps(PART + 70), np.array([0, 1, 2, 63, 64, PART - 1, PART, PART + 69])
    layouts.write(tmp_path / "a.h5", layout, maps)
    with h5py.File(tmp_path / "a.h5") as file:
        assert layouts.whole(file, SHAPE).tobytes() == maps.tobytes()
        assert layouts.some(file, rows, SHAPE).tobytes() == maps[rows].tobytes()


def test_there_is_one_layout_of_each_name_and_the_first_is_what_the_others_are_compared_with():
    names = [str(layout) for layout in layouts.layouts()]
    assert len(set(names)) == len(names) and names[0] == "float32, contiguous"


def test_half_precision_rounds_each_value_by_at_most_a_part_in_2048(tmp_path):
    maps = np.random.default_rng(0).uniform(2.0**-14, 1, (50, *SHAPE)).astype(np.float32)
    found = target_layouts.measured(Layout("float16"), maps, 1, 1, tmp_path)
    assert 2.0**-14 < found.error <= 2.0**-11 and 1 - 2.0**-22 <= found.cosine < 1


def test_half_precision_keeps_what_it_can_represent_and_loses_what_is_too_small():
    maps = np.array([[0.5, -2.0], [1e-9, 1.0], [1e-9, 1e-9]], np.float32)
    assert target_layouts.fidelity(maps[:1], maps[:1].astype(np.float16)) == (1.0, 0.0)
    cosine, error = target_layouts.fidelity(maps[:2], maps[:2].astype(np.float16))
    assert cosine == pytest.approx(1) and error == pytest.approx(1e-9)
    assert target_layouts.fidelity(maps, maps.astype(np.float16)) == (0.0, 1.0)


def test_loading_gives_float32_on_the_device_whatever_is_stored(tmp_path):
    maps = np.round(sparse_maps(70) * 4) / 4
    for layout in (Layout(), Layout("float16"), Layout("float16", sparse=True)):
        layouts.write(tmp_path / "a.h5", layout, maps)
        loaded = target_layouts.loader(tmp_path / "a.h5", SHAPE)()
        assert loaded.dtype == torch.float32 and torch.equal(loaded, torch.from_numpy(maps))


def test_chunks_are_told_when_to_be_filled_unless_that_is_left_to_h5py(tmp_path):
    alloc = h5py.h5d.FILL_TIME_ALLOC
    for layout in (Layout(chunk=2), Layout(chunk=2, filter="gzip-4 + shuffle")):
        layouts.write(tmp_path / "a.h5", layout, sparse_maps(5))
        with h5py.File(tmp_path / "a.h5") as file:
            assert file["maps"].id.get_create_plist().get_fill_time() == alloc and file["maps"].chunks == (2, *SHAPE)
    assert "dcpl" not in Layout(chunk=2, fill=False).settings((5, *SHAPE))


def test_a_filter_that_shuffles_says_so_and_is_asked_to(tmp_path):
    layouts.write(tmp_path / "a.h5", Layout(chunk=2, filter="gzip-1 + shuffle"), sparse_maps(5))
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file["maps"].compression, file["maps"].compression_opts, file["maps"].shuffle) == ("gzip", 1, True)


def test_measuring_leaves_no_file_and_sees_that_a_second_file_is_the_same(tmp_path):
    found = target_layouts.measured(Layout(chunk=64, filter="lzf + shuffle"), sparse_maps(100), 2, 3, tmp_path)
    assert found.repeats and (found.cosine, found.error) == (pytest.approx(1), 0) and not list(tmp_path.iterdir())
    assert min(found.write, found.load, found.batch) > 0


def test_a_second_file_with_other_bytes_is_seen(tmp_path, monkeypatch):
    turns = iter(range(9))

    def forgetful(path: Path, layout: Layout, maps: np.ndarray) -> None:
        layouts.write(path, layout, maps + next(turns))

    monkeypatch.setattr(target_layouts, "write", forgetful)
    assert not target_layouts.measured(Layout(), np.ones((3, *SHAPE), np.float32), 1, 1, tmp_path).repeats


def test_twelve_and_a_half_megabytes_take_a_second_at_100_megabits():
    cells = target_layouts.line(Layout(), Measured(12_500_000, 1.0, 0.5, 0.002, 1.0, 0.0, True), 25_000_000).strip("| ").split(" | ")
    assert cells == ["float32, contiguous", "12.5", "0.500", "1.00", "0.50", "2.00", "1", "0", "yes", "1.0 s", "0.1 s"]


@pytest.mark.parametrize("place, first", [("train/maps", 7), ("maps", 3)])
def test_maps_are_read_from_format_2_and_else_from_format_1(tmp_path, place, first):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["maps"] = np.full((1, *SHAPE), 3, np.float32)
        file[place if place != "maps" else "other"] = np.full((1, *SHAPE), 7, np.float32)
    assert target_layouts.real_maps(tmp_path / "a.h5")[0, 0, 0, 0] == first


@pytest.mark.parametrize(
    "maps, sentence",
    [
        (np.zeros((2, 3, 5), np.float32), r"expected maps \(n, C, H, W\) of float32 in .*, got \(2, 3, 5\) of float32"),
        (np.zeros((1, 2, 3, 5)), "got .* of float64"),
        (np.zeros((0, 2, 3, 5), np.float32), r"got \(0, 2, 3, 5\)"),
        (np.full((1, 2, 3, 5), np.nan, np.float32), "expected finite maps"),
    ],
)
def test_other_maps_are_refused(tmp_path, maps, sentence):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["maps"] = maps
    with pytest.raises(InputError, match=sentence):
        target_layouts.real_maps(tmp_path / "a.h5")


def test_files_without_maps_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = [1]
    with pytest.raises(InputError, match="expected a dataset train/maps or maps in .*a.h5, got images"):
        target_layouts.real_maps(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_text("no HDF5")
    with pytest.raises(InputError, match="expected a target file at .*b.h5, got no readable HDF5 file"):
        target_layouts.real_maps(tmp_path / "b.h5")


def test_maps_repeat_in_their_order_and_never_within_a_chunk():
    maps = np.arange(1024 * 4, dtype=np.float32).reshape(1024, 1, 2, 2)
    made = target_layouts.tiled(maps, 2500)
    assert len(made) == 2500 and (made[1024:2048] == maps).all() and (made[2048:] == maps[:452]).all()
    assert (target_layouts.tiled(maps[:5], 3) == maps[:3]).all()
    with pytest.raises(InputError, match="expected at least 1024 maps, .*, got 1023"):
        target_layouts.tiled(maps[:1023], 2500)


def test_one_interpreter_writes_the_same_files_twice():
    python = Path(sys.executable)
    table = list(target_layouts.compare((python, python), sparse_maps(70)))
    everywhere = [f"| {layout} | the same bytes |" for layout in layouts.layouts() if layout.filter in layouts.FILTERS]
    assert f"h5py {h5py.__version__}" in table[0] and set(everywhere) <= set(table[1:])
    assert all(line.endswith("| the same bytes |") for line in table[1:])


def test_an_interpreter_that_cannot_write_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected .*false to write the layouts with its h5py and hdf5plugin, it said: nothing"):
        target_layouts.written_by(Path("/bin/false"), tmp_path)


def test_the_table_has_a_line_for_each_layout_asked_for(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train/maps"] = sparse_maps(70)
    options = ["--targets", str(tmp_path / "a.h5"), "--count", "70", "--repeats", "1", "--batches", "1"]
    result = CliRunner().invoke(target_layouts.main, [*options, "--only", "contiguous", "--only", "lzf"])
    assert result.exit_code == 0, result.output
    lines = [line.split(" | ") for line in result.output.splitlines() if line.startswith("| float")]
    names = ["float32, contiguous", "float16, contiguous", "float32, chunks of 64, lzf + shuffle"]
    assert [line[0].strip("| ") for line in lines] == names and {len(line) for line in lines} == {len(target_layouts.HEADER)}


def test_a_layout_that_does_not_exist_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "a.h5").touch()
    result = CliRunner().invoke(target_layouts.main, ["--targets", str(tmp_path / "a.h5"), "--only", "xz"])
    assert result.exit_code == 1
    assert result.output == "Error: --only must be part of a layout's name, such as float32, contiguous, got xz\n"
