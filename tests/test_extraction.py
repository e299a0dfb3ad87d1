"""Stage extract-saliency: the same bytes however the rows are shared out, and a file that says what its teacher was worth."""

import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from classifiers import half_space
from click.testing import CliRunner, Result
from project import SHIPPED, edited

from lib.base import image_file
from lib.base.errors import InputError
from lib.base.image_file import Split
from lib.network import architecture, checkpoint
from lib.network.architecture import Model
from lib.targets import target_file
from lib.targets.extraction import shards, teachers
from stages import extract_saliency

PIXELS = np.random.default_rng(0).integers(0, 256, (57, 1, 28, 28), dtype=np.uint8)
LABELS = np.arange(57) % 4
SMOOTHGRAD = {"samples": 3, "sigma": 0.15, "clamp": False, "include_clean": False, "of": "logits"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An untrained network, 47 train images and 10 validation images; passes of 5 images."""
    shutil.copy(SHIPPED, tmp_path / "params.yaml")
    with edited(tmp_path) as document:
        document["saliency"]["batch_size"] = 5
        document["saliency"]["methods"]["smoothgrad"]["samples"] = 3
    monkeypatch.chdir(tmp_path)
    parts = {"train": slice(0, 47), "validation": slice(47, 57)}
    image_file.write(Path("images.h5"), "toy", 4, {name: (PIXELS[at], LABELS[at], np.arange(57)[at]) for name, at in parts.items()})
    torch.manual_seed(0)
    settings = Model("cnn", 0.1, None, 0.5, "relu", "logits", None, None, None)
    checkpoint.write(Path("R"), architecture.build(settings, (1, 28, 28), 4), settings, (1, 28, 28), 4, [{"epoch": 1}])
    return tmp_path


def extract(out: str, *words: object) -> Result:
    call = ["R", "smoothgrad", 0, "--images", "images.h5", "--model", "R", "--out", out, *words]
    return CliRunner().invoke(extract_saliency.main, [str(word) for word in call])


def test_one_run_small_shards_and_merged_parts_give_the_same_bytes(project):
    assert extract("whole.h5").exit_code == 0
    for size in (1, 5, 12, 1000):
        assert extract(f"{size}.h5", "--shard", size).exit_code == 0
        assert Path(f"{size}.h5").read_bytes() == Path("whole.h5").read_bytes()
    for index in (1, 2, 3):
        assert extract(f"part{index}.h5", "--part", index, 3, "--shard", 5 * index).exit_code == 0
    shards.merge([Path(f"part{index}.h5") for index in (3, 1, 2)], Path("merged.h5"))
    assert Path("merged.h5").read_bytes() == Path("whole.h5").read_bytes()


def test_the_file_says_where_it_comes_from(project):
    assert extract("maps.h5").exit_code == 0
    header, maps = target_file.read(Path("maps.h5"), image_file.read(Path("images.h5"), "train"))
    teacher = header.provenance.pop("teacher")
    assert header.provenance == {
        "preset": "strict",
        "saliency": {"method": "smoothgrad", "seed": 0, "batch_size": 5, **SMOOTHGRAD},
    }
    accuracy = teacher.pop("accuracy")
    assert teacher == {"name": "R", "seed": 0, "weights_sha256": checkpoint.digest(Path("R"))}
    assert (accuracy.pop("clean"), accuracy.pop("robust")) <= (1, 1)
    assert accuracy == {"split": "validation", "images": 10, "norm": "l2", "epsilon": 1.5, "step_size": 0.5, "steps": 5}
    assert maps.shape == (47, 1, 28, 28) and maps.std() > 0
    json.dumps(header.provenance)


@pytest.mark.parametrize("part, sentence", [((4, 3), "1 <= I <= K <= 10"), ((1, 11), "1 <= I <= K <= 10")])
def test_a_part_that_does_not_exist_is_refused(project, part, sentence):
    result = extract("maps.h5", "--part", *part)
    assert result.exit_code == 1 and sentence in result.output and not Path("maps.h5").exists()


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "many"])
def test_a_pass_of_no_images_is_refused(project, size):
    with edited(project) as document:
        document["saliency"]["batch_size"] = size
    result = extract("maps.h5")
    assert result.exit_code == 1 and f"saliency.batch_size must be a positive integer, got {size!r}" in result.output


# What a teacher is worth


@pytest.mark.parametrize("epsilon, robust", [(0.15, 0.6), (0.35, 0.3)])
def test_accuracies_of_a_half_space_are_known(epsilon, robust):
    """Ten images: six right, three of these 0.2 away from the boundary in L2 and three 0.5; steps far beyond the radius."""
    distances = np.array([-0.4] * 4 + [0.2] * 3 + [0.5] * 3)
    direction = torch.ones(1, 4, 4)  # of length 4: the half-space ends where the mean pixel is 0.5
    pixels = np.round(255 * (0.5 + distances / 4)).astype(np.uint8)
    images = np.broadcast_to(pixels[:, None, None, None], (10, 1, 4, 4)).copy()
    validation = Split("toy", images, np.ones(10, np.int64), np.arange(10), 2, "")
    plan = teachers.Accuracy(images=100, norm="l2", epsilon=epsilon, step_size=0.1, steps=20)
    for size in (3, 10):
        found = teachers.measured(half_space(direction, 8.0), validation, plan, size, replication=0)
        assert (found["clean"], found["robust"], found["images"]) == (0.6, robust, 10)
    few = teachers.measured(half_space(direction, 8.0), validation, teachers.Accuracy(5, "l2", 0.15, 0.1, 20), 10, replication=0)
    assert (few["clean"], few["images"]) == (0.2, 5)


@pytest.mark.parametrize("change, sentence", [({"images": 0}, "images must be positive"), ({"epsilon": 0.0}, "epsilon must be positive")])
def test_unusable_settings_are_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        teachers.Accuracy(**{"images": 5, "norm": "l2", "epsilon": 1.5, "step_size": 0.5, "steps": 5, **change})


# Memory


def test_memory_for_images_and_maps_does_not_grow_with_their_number(tmp_path):
    """Peak of what numpy allocates while maps are made, written, opened and copied, for 300 and for 3,000 rows: 24 kB each."""

    def peak(count: int) -> int:
        shape, path = (count, 3, 32, 64), tmp_path / f"{count}.h5"
        header = target_file.Header("toy", "a" * 64, "R_simple", {})
        tracemalloc.start()
        target_file.write(path, header, shape, (np.full((50, *shape[1:]), first, np.float32) for first in range(0, count, 50)))
        with target_file.opened(path) as (found, maps):
            target_file.write(tmp_path / "copy.h5", found, shape, (part for _, part in target_file.chunks(maps, 50)))
        return [tracemalloc.get_traced_memory()[1], tracemalloc.stop()][0]

    few, many = peak(300), peak(3000)
    assert many < few + 1_000_000 < 3000 * 3 * 32 * 64 * 4 / 10


def test_images_are_read_row_by_row_with_the_digest_of_the_split(tmp_path):
    image_file.write(tmp_path / "images.h5", "toy", 4, {"train": (PIXELS, LABELS, np.arange(57))})
    whole = image_file.read(tmp_path / "images.h5", "train")
    with image_file.opened(tmp_path / "images.h5", "train") as found:
        part = found.rows(range(10, 20))
        assert (len(found), found.digest, found.images.shape) == (57, whole.digest, (57, 1, 28, 28))
    assert np.array_equal(part.images, PIXELS[10:20]) and part.labels.tolist() == LABELS[10:20].tolist() and part.digest == whole.digest
