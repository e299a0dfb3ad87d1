"""The torch Dataset of target files, alone and in worker processes; and the code that the page about target files shows."""

import hashlib
import os
import pickle
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from project import ROOT
from torch.utils.data import DataLoader

from lib.base import h5, image_file
from lib.base.errors import InputError
from lib.sharing.target_dataset import TargetMaps
from lib.targets import target_file
from lib.targets.target_file import Header, Place

random = np.random.default_rng(0)
COUNT, SHAPE = 10, (1, 4, 5)
MAPS = random.standard_normal((COUNT, *SHAPE)).astype(np.float32)
IMAGES = random.integers(0, 256, (COUNT, *SHAPE), dtype=np.uint8)
LABELS = np.arange(COUNT) % 3
PAGE = ROOT / "docs/how-to/work-with-target-files.md"


def images(folder: Path, pixels: np.ndarray = IMAGES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    image_file.write(folder / "images.h5", "toy", 3, {"train": (pixels, LABELS, np.arange(COUNT))})
    return folder / "images.h5"


def targets(folder: Path, maps: np.ndarray = MAPS, place: Place | None = None) -> Path:
    header = Header("toy", image_file.digest(IMAGES, LABELS), "R_simple", {"teacher": {"name": "R"}})
    target_file.write(folder / "targets.h5", header, maps.shape, [maps], place)
    return folder / "targets.h5"


def damage(path: Path, row: int) -> None:
    with h5py.File(path, "r+") as file:
        file["train/maps"][row, 0, 0, 0] += 1


def test_a_map_is_what_was_written_as_a_tensor(tmp_path):
    with TargetMaps(targets(tmp_path)) as data:
        assert len(data) == COUNT and data.shape == MAPS.shape and data.header.name == "R_simple"
        for row in (0, 3, COUNT - 1, -1, -COUNT, np.int64(4), torch.tensor(5)):
            assert data[row].dtype == torch.float32 and np.array_equal(data[row], MAPS[row])
        assert np.array_equal(torch.stack(list(data)), MAPS)


@pytest.mark.parametrize("row", [COUNT, -COUNT - 1])
def test_a_row_out_of_range_is_an_index_error_as_in_a_list(tmp_path, row):
    with pytest.raises(IndexError, match=f"has 10 maps, none is number {row}"):
        TargetMaps(targets(tmp_path))[row]


def test_a_row_must_be_a_whole_number(tmp_path):
    with pytest.raises(TypeError):
        TargetMaps(targets(tmp_path))[1.0]


def test_with_images_each_map_comes_with_its_image_and_label(tmp_path):
    with TargetMaps(targets(tmp_path), images(tmp_path)) as data:
        image, label, target = data[-3]
    assert torch.equal(image, torch.from_numpy(IMAGES[-3]).float() / 255) and (label, type(label)) == (LABELS[-3], int)
    assert np.array_equal(target, MAPS[-3])


def test_worker_processes_read_every_row_once_in_order(tmp_path):
    data = TargetMaps(targets(tmp_path), images(tmp_path))
    assert np.array_equal(data[0][2], MAPS[0])  # open in this process before there are others
    batches = list(DataLoader(data, batch_size=3, num_workers=2))
    assert np.array_equal(torch.cat([batch[2] for batch in batches]), MAPS)
    assert torch.cat([batch[1] for batch in batches]).tolist() == LABELS.tolist()
    assert np.array_equal(data[-1][2], MAPS[-1])
    data.close()


def test_a_child_process_does_not_use_the_handle_of_its_parent(tmp_path):
    data = TargetMaps(targets(tmp_path))
    data[0]
    parent = data._open
    child = os.fork()
    if child == 0:
        good = np.array_equal(data[2], MAPS[2]) and data._open[0] == os.getpid() != parent[0] and data._open[2] is not parent[2]
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(data[4], MAPS[4]) and data._open is parent


def test_a_pickled_dataset_opens_the_file_anew(tmp_path):
    data = TargetMaps(targets(tmp_path))
    data[0]
    copy = pickle.loads(pickle.dumps(data))
    assert copy._open is None and np.array_equal(copy[1], MAPS[1])


def test_a_closed_dataset_holds_no_file_open_and_opens_it_again_when_asked(tmp_path):
    path = targets(tmp_path)

    def handles() -> int:
        return sum(os.path.realpath(f"/proc/self/fd/{one}") == str(path.resolve()) for one in os.listdir("/proc/self/fd"))

    data = TargetMaps(path)
    assert handles() == 0
    assert np.array_equal(data[0], MAPS[0]) and handles() == 1
    data.close()
    data.close()
    assert handles() == 0 and np.array_equal(data[1], MAPS[1]) and handles() == 1
    data.close()


def test_a_changed_map_is_refused_when_it_is_read_and_others_are_not(tmp_path):
    path = targets(tmp_path)
    damage(path, 6)
    with TargetMaps(path) as data:
        assert np.array_equal(data[5], MAPS[5])
        with pytest.raises(InputError, match=f"{path}: dataset train/maps, row 6 was changed after it was written"):
            data[6]


def test_a_changed_map_is_refused_in_a_worker_process_too(tmp_path):
    path = targets(tmp_path)
    damage(path, 6)
    with pytest.raises(InputError, match="row 6 was changed after it was written"):
        list(DataLoader(TargetMaps(path), num_workers=1))


def test_another_datasets_targets_and_shards_are_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="was made from other images"):
        TargetMaps(targets(tmp_path), images(tmp_path, 255 - IMAGES))
    shard = targets(tmp_path, MAPS[:4], Place(0, COUNT))
    with pytest.raises(InputError, match="is a shard, rows 0 to 3 of 10; merge all shards first"):
        TargetMaps(shard)


def test_a_file_that_was_replaced_meanwhile_is_refused(tmp_path):
    data = TargetMaps(targets(tmp_path))
    targets(tmp_path, 2 * MAPS)
    with pytest.raises(InputError, match="was replaced by another file while it was in use"):
        data[0]


# The page


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page's code finds the files that it names."""
    shutil.move(images(tmp_path / "data"), tmp_path / "data/mnist5k.h5")
    (tmp_path / "data/targets/0").mkdir(parents=True)
    shutil.move(targets(tmp_path), tmp_path / "data/targets/0/R_smoothgrad.h5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_reads_a_file_with_h5py_and_with_the_dataset_in_ten_lines_each(folder):
    plain, dataset, _ = blocks("python")
    assert all(len(code.strip().splitlines()) <= 10 for code in (plain, dataset))
    found: dict = {}
    exec(plain, found)
    assert np.array_equal(found["maps"], MAPS) and found["provenance"] == {"teacher": {"name": "R"}}
    found = {}
    exec(dataset, found)
    image, label, target = found["batch"]
    assert sorted(map(tuple, target.flatten(1).tolist())) == sorted(map(tuple, MAPS.reshape(COUNT, -1).tolist()))


def test_the_page_computes_both_digests_with_hashlib_alone(folder):
    found: dict = {}
    exec(blocks("python")[2], found)
    path = Path("data/targets/0/R_smoothgrad.h5")
    with h5py.File(path, "r") as file:
        assert found["content"] == h5.attribute(file["train"], "digest", path)
    assert found["rows"][3] == hashlib.blake2b(MAPS[3].tobytes(), digest_size=16).digest()
    damage(path, 3)
    with pytest.raises(AssertionError):
        exec(blocks("python")[2], {})
