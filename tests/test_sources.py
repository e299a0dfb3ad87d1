"""Targets without a teacher: closed forms, brute force in whole numbers, networks whose gradient is known, and the stages around them."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from project import ROOT, SHIPPED
from ruamel.yaml import YAML
from scipy import stats
from torch import nn

from lib.base import image_file, params
from lib.base.errors import InputError
from lib.network import checkpoint, input_gradients
from lib.targets import target_file
from lib.targets.from_images import class_mean, edges, image, other_class, same_class

NAMES = ("image", "class_mean", "other_class", "same_class", "edges")
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 2, 6, 5), dtype=np.uint8)
IMAGES = np.divide(PIXELS, 255, dtype=np.float32)
LABELS = np.random.default_rng(1).integers(0, 4, 60)


def made(name: str, rows: range = range(60), images: np.ndarray = IMAGES, labels: np.ndarray = LABELS, seed: int = 0) -> np.ndarray:
    source = importlib.import_module(f"lib.targets.from_images.{name}")
    return source.maps(images, labels, rows, source.Settings(), seed)


# What all sources have in common


@pytest.mark.parametrize("name", NAMES)
def test_a_map_depends_on_its_row_and_not_on_the_rows_it_is_made_with(name, monkeypatch):
    whole = made(name)
    assert whole.shape == IMAGES.shape and whole.dtype == np.float32 and np.isfinite(whole).all() and whole.std() > 0.05
    monkeypatch.setattr(other_class, "BLOCK", 7)
    for size in (1, 7, 59):
        parts = [made(name, range(60)[first : first + size]) for first in range(0, 60, size)]
        assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", NAMES)
def test_a_source_leaves_images_and_labels_alone(name):
    images, labels = IMAGES.copy(), LABELS.copy()
    made(name, images=images, labels=labels)
    assert np.array_equal(images, IMAGES) and np.array_equal(labels, LABELS)


@pytest.mark.parametrize("name", NAMES)
def test_only_same_class_draws_at_random(name):
    assert np.array_equal(made(name), made(name))
    assert np.array_equal(made(name), made(name, seed=1)) == (name != "same_class")


# One by one


def test_a_network_without_biases_has_the_label_logit_along_the_image():
    """Why the image is a direction that raises the logit where the logit is positive: f(x) = <J(x), x> for ReLU without biases."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(60, 9, bias=False), nn.ReLU(), nn.Linear(9, 4, bias=False)).double()
    images, labels = torch.from_numpy(IMAGES).double(), torch.from_numpy(LABELS)
    along = (input_gradients.of_label(model, images, labels) * torch.from_numpy(made("image"))).flatten(1).sum(1)
    torch.testing.assert_close(along, model(images).gather(1, labels[:, None])[:, 0].detach())


def test_the_image_source_gives_the_image():
    assert np.array_equal(image.maps(IMAGES, LABELS, range(10, 15), image.Settings(), 0), IMAGES[10:15])


def test_an_image_plus_its_class_mean_map_is_the_mean_of_its_class():
    found = class_mean.maps(IMAGES, LABELS, range(60), class_mean.Settings(), 0) + IMAGES
    for label in range(4):
        expected = np.mean([one for one, its in zip(IMAGES.astype(np.float64), LABELS, strict=True) if its == label], axis=0)
        np.testing.assert_allclose(found[label == LABELS], np.broadcast_to(expected, found[label == LABELS].shape), atol=1e-6)


def test_seen_from_all_images_a_class_has_one_map_and_the_classes_weighed_by_their_size_add_up_to_nothing():
    settings = class_mean.Settings("all")
    found = class_mean.maps(IMAGES, LABELS, range(60), settings, 0)
    for label in range(4):
        expected = IMAGES[label == LABELS].mean(0, np.float64) - IMAGES.mean(0, np.float64)
        np.testing.assert_allclose(found[label == LABELS], np.broadcast_to(expected, found[label == LABELS].shape), atol=1e-6)
    np.testing.assert_allclose(found.sum(0, np.float64), 0, atol=1e-5)
    assert np.array_equal(class_mean.maps(IMAGES, LABELS, range(20, 33), settings, 0), found[20:33])


def test_the_maps_of_a_class_add_up_to_nothing_towards_its_mean():
    found = made("class_mean")
    for label in range(4):
        np.testing.assert_allclose(found[label == LABELS].sum(0, np.float64), 0, atol=1e-5)


def test_the_neighbour_is_the_nearest_of_another_class_by_brute_force():
    whole = PIXELS.astype(int)
    for row, found in enumerate(other_class.nearest_of_another_class(IMAGES, LABELS, range(60))):
        distances = [int(((whole[row] - one) ** 2).sum()) if its != LABELS[row] else 10**9 for one, its in zip(whole, LABELS, strict=True)]
        assert found == distances.index(min(distances))


def test_of_equally_near_neighbours_the_first_is_taken_whatever_the_block(monkeypatch):
    images = np.zeros((9, 1, 1, 2), np.float32)
    images[[3, 5, 8]] = [[[[0.2, 0.0]]], [[[0.0, 0.2]]], [[[0.2, 0.0]]]]
    labels = np.array([0, 0, 0, 1, 0, 1, 0, 0, 2])
    for block in (1, 2, 4, 100):
        monkeypatch.setattr(other_class, "BLOCK", block)
        assert other_class.nearest_of_another_class(images, labels, range(3)).tolist() == [3, 3, 3]
        assert other_class.nearest_of_another_class(images, labels, range(3, 9)).tolist() == [8, 3, 0, 3, 3, 3]


def test_moving_along_an_other_class_map_leads_away_from_the_neighbour_and_raises_a_nearest_class_logit():
    """Of the network whose logits are minus the squared distance to the nearest image of each class."""
    rows = range(60)
    step = 0.1 * other_class.maps(IMAGES, LABELS, rows, other_class.Settings(), 0)
    flat = IMAGES.reshape(60, -1).astype(np.float64)

    def margin(points: np.ndarray) -> np.ndarray:
        distances = ((points[:, None] - flat[None]) ** 2).sum(2)
        by_class = np.stack([distances[:, label == LABELS].min(1) for label in range(4)], 1)
        others = np.where(np.arange(4) == LABELS[:, None], np.inf, by_class)
        return others.min(1) - by_class[np.arange(60), LABELS]

    assert (margin(flat + step.reshape(60, -1)) > margin(flat) + 1e-6).mean() > 0.9
    assert (margin(flat - step.reshape(60, -1)) < margin(flat) - 1e-6).all()


def test_other_class_wants_two_classes():
    with pytest.raises(InputError, match="other_class needs images of two classes or more, all 60 have label 0"):
        made("other_class", labels=np.zeros(60, int))


def test_same_class_gives_another_image_of_the_class():
    for seed in range(5):
        rows = [same_class.another(LABELS, row, seed) for row in range(60)]
        assert all(LABELS[found] == LABELS[row] and found != row for row, found in enumerate(rows))
        assert np.array_equal(made("same_class", seed=seed), IMAGES[rows])


def test_every_other_image_of_the_class_is_drawn_equally_often():
    labels = np.array([0, 1, 0, 0, 0, 0])
    drawn = [same_class.another(labels, 2, seed) for seed in range(2000)]
    counts = np.bincount(drawn, minlength=6)
    assert counts[[1, 2]].tolist() == [0, 0]
    assert stats.chisquare(counts[[0, 3, 4, 5]]).pvalue > 0.001


def test_same_class_wants_a_second_image():
    with pytest.raises(InputError, match="row 2 is the only one of class 5"):
        made("same_class", range(2, 3), labels=np.array([0, 0, 5, *LABELS[3:]]))


@pytest.mark.parametrize("across, down", [(1.0, 0.0), (0.0, 1.0), (0.6, -0.8)])
def test_inside_a_ramp_the_edges_are_its_slope_in_any_direction(across, down):
    rows, columns = np.mgrid[0:7, 0:9]
    ramp = (0.05 * (across * columns + down * rows))[None, None].astype(np.float32)
    found = edges.maps(ramp, np.zeros(1), range(1), edges.Settings(), 0)
    np.testing.assert_allclose(found[0, 0, 1:-1, 1:-1], 0.05, atol=1e-6)


def test_a_step_has_an_edge_on_both_sides_and_a_constant_image_has_none():
    images = np.full((2, 2, 5, 6), 0.3, np.float32)
    images[1, 0, :, 3:] = 0.8
    found = edges.maps(images, np.zeros(2), range(2), edges.Settings(), 0)
    np.testing.assert_allclose(found[1, 0], np.tile([0, 0, 0.25, 0.25, 0, 0], (5, 1)), atol=1e-6)
    assert np.abs(found[0]).max() < 1e-6 and np.abs(found[1, 1]).max() < 1e-6  # and channels do not mix


# The stages


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, sections for all sources, and 28x28 images of four classes."""
    document = YAML(typ="safe").load(SHIPPED.read_text())
    document["model"]["width"] = 0.06
    document["sources"] = {name: {} for name in NAMES}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(document, file)
    pixels = np.random.default_rng(2).integers(0, 256, (50, 1, 28, 28), dtype=np.uint8)
    labels = np.arange(50) % 4
    parts = {"train": slice(0, 30), "validation": slice(30, 40), "test": slice(40, 50)}
    image_file.write(tmp_path / "images.h5", "toy", 4, {name: (pixels[at], labels[at], np.arange(50)[at]) for name, at in parts.items()})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(stage: str, *words: object) -> Result:
    return CliRunner().invoke(importlib.import_module(f"stages.{stage}").main, [str(word) for word in words])


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_writes_what_the_source_makes_in_chunks_of_any_size(name, project):
    train = image_file.read(Path("images.h5"), "train")
    for chunk in (7, 1000):
        result = invoke("make_targets", name, 3, "--images", "images.h5", "--out", f"{chunk}.h5", "--chunk", chunk)
        assert result.exit_code == 0, result.output
        header, maps = target_file.read(Path(f"{chunk}.h5"), train)
        recorded = {"minus": "image"} if name == "class_mean" else {}
        assert (header.dataset, header.name, header.provenance) == ("toy", name, {"source": {"name": name, "seed": 3, **recorded}})
        pixels = (torch.from_numpy(train.images).float() / 255).numpy()  # what training sees
        assert np.array_equal(maps, made(name, range(30), pixels, train.labels, seed=3))


def test_an_unknown_source_and_unknown_settings_are_refused(project):
    result = invoke("make_targets", "diffusion", 0, "--images", "images.h5", "--out", "new")
    assert result.output == "Error: target source must be a file in lib/targets/from_images, got 'diffusion'\n"
    with params.changed({"sources.edges": {"sigma": 1}}):
        result = invoke("make_targets", "edges", 0, "--images", "images.h5", "--out", "new")
    assert result.output == "Error: params.yaml: sources.edges has unknown keys sigma; known are \n"
    assert not Path("new").exists()


def test_an_untrained_network_is_the_same_each_time_and_like_no_other(project):
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        assert invoke("initial_network", seed, "--images", "images.h5", "--out", name).exit_code == 0
    first, again, other = (checkpoint.digest(Path(name)) for name in "abc")
    assert first == again != other
    model = checkpoint.read(Path("a"), torch.device("cpu"))
    assert model(torch.zeros(1, 1, 28, 28)).shape == (1, 4)
    line, values = Path("a/history.csv").read_text().splitlines()
    assert line == "epoch,validation_loss,validation_accuracy,selected" and values.startswith("0,1.") and values.endswith(",1")


def test_an_untrained_network_starts_where_no_teacher_and_no_student_starts(project):
    """With a learning rate of nothing a trained network is the one it started from."""
    assert invoke("initial_network", 0, "--images", "images.h5", "--out", "untrained").exit_code == 0
    with params.changed({"training.learning_rate": 1e-30, "training.epochs": 1, "training.batch_size": 30}):
        assert invoke("train_teacher", "NR", 0, "--images", "images.h5", "--out", "teacher").exit_code == 0
        assert invoke("train_jr", "JR", 0, "--images", "images.h5", "--out", "student").exit_code == 0
    starts = [checkpoint.read(Path(name), torch.device("cpu")).state_dict() for name in ("untrained", "teacher", "student")]
    for name, values in starts[0].items():
        assert all((values != other[name]).float().mean() > 0.9 for other in starts[1:]), name


def test_targets_are_made_and_disturbed_without_torch():
    """They are cheap stages, and importing torch takes longer than their work."""
    modules = [f"stages.{name}" for name in ("make_targets", "disturb_targets")]
    modules += [
        f"lib.targets.{file.parent.name}.{file.stem}"
        for file in (ROOT / "lib/targets").glob("*/[a-z]*.py")
        if "extraction" not in str(file)
    ]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert len(modules) >= 11 and subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
