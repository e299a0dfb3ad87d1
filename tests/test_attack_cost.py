"""The benchmark counts exactly what a model was asked, and the attacks that it compares answer for the same images. No timing here."""

import mmap
import os
import warnings
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
import torch
from classifiers import grey, half_space, random_linear
from click.testing import CliRunner
from torch import nn

from benchmarks import attack_cost, attack_memory
from benchmarks.attack_cost import Measured, Passes, counted, foolbox_attack, lines, measured, ours
from lib.attacks.best import Best
from lib.attacks.search import Settings
from lib.attacks.work import Work
from lib.base import image_file, params
from lib.network import architecture, checkpoint
from lib.network.batches import Batch

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # foolbox imports a namespace that SciPy will drop
    import foolbox  # noqa: F401

SHAPE = (1, 4, 4)
PLAN = Settings(seed=0, gradients=50, classes=1, steps=40, worth=0.03)


def facing(count: int = 6) -> tuple[nn.Module, Work]:
    """Grey images at a distance of 0.05 (L∞) and 0.2 (L2) of a half-space, in batches of 4."""
    images, labels = torch.full((count, *SHAPE), 0.5), torch.zeros(count, dtype=torch.int64)
    return half_space(torch.ones(SHAPE), 16 * 0.55), Work(Batch(images, labels), np.arange(count), 4)


def known(*radii: float) -> Best:
    """What is known of as many images."""
    _, work = facing(len(radii))
    best = Best.unknown(work, "linf")
    best.radius[:] = torch.tensor(radii)
    return best


def test_a_pass_counts_each_of_its_images_once():
    model, images = random_linear(4, SHAPE), grey(6, SHAPE).requires_grad_(True)
    with counted(model) as passes, torch.no_grad():
        model(images)
    assert passes == Passes(forward=6, backward=0)
    with counted(model) as passes:
        torch.autograd.grad(model(images).sum(), images)
        torch.autograd.grad(model(images[:2]).sum(), images)
    assert passes == Passes(forward=8, backward=8)


def test_several_gradients_of_one_pass_are_several_backward_passes_and_nothing_is_counted_afterwards():
    model, images = random_linear(4, SHAPE), grey(3, SHAPE).requires_grad_(True)
    with counted(model) as passes:
        logits = model(images)
        for label in range(4):
            torch.autograd.grad(logits[:, label].sum(), images, retain_graph=True)
    model(images).sum().backward()
    assert passes == Passes(forward=3, backward=12)


@pytest.mark.parametrize("name, norm, distance", [("ddn", "l2", 0.2), ("fmn", "linf", 0.05)])
def test_foolbox_finds_the_distance_of_every_image(name, norm, distance):
    """Behind a tanh the half-space is where it was, but not linear: FMN would step onto the boundary of a linear one and stay there."""
    plane, work = facing()
    radius = foolbox_attack(nn.Sequential(plane, nn.Tanh()).eval(), work, norm, name, steps=200).radius.numpy()
    assert (radius > distance * (1 - 1e-5)).all() and (radius < 1.02 * distance).all()


def test_an_attack_is_measured_on_a_model_as_it_is_evaluated_which_comes_back_as_it_was():
    model, work = facing()
    found = measured(partial(ours, settings=PLAN), model.train(), work, "linf")
    assert found.passes.backward == 6 * 42 and found.seconds > 0 and found.best.radius.isfinite().all()
    assert model.training and model.weight.requires_grad and model.weight.grad is None


def test_a_line_compares_mean_radii_with_the_best_of_all_attacks_image_by_image():
    first = Measured(known(0.25, 0.5), 0.2, Passes(forward=80, backward=40))
    second = Measured(known(0.5, 0.25), 0.2, Passes(forward=80, backward=40))
    mine, theirs = lines("NR", "linf", {"search": first, "fmn": second})
    assert [line["above best known"] for line in (mine, theirs)] == ["50.00 %"] * 2
    expected = {"row": "NR", "norm": "Linf", "attack": "search", "images": "2", "gradients": "20", "forward": "40", "ms": "100.0"}
    assert mine == expected | {"mean radius": "0.3750", "above best known": "50.00 %"}


def test_the_peak_is_what_a_block_needs_beyond_what_was_there():
    kept = np.ones(40 * 2**17)  # 40 MiB that are in use before
    # What NumPy asks for may come out of memory that was freed before.
    with attack_memory.peak(torch.device("cpu")) as mib, mmap.mmap(-1, 64 * 2**20) as passing:
        for page in range(0, len(passing), mmap.PAGESIZE):
            passing[page] = 1
    assert 60 < mib[0] < 70 and kept.sum() > 0


@pytest.fixture
def trained(tmp_path, shipped) -> list[str]:
    """A tiny network and images that it classifies correctly; the current folder has params.yaml."""
    described = architecture.Model("cnn", 0.06, None, 0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = architecture.build(described, (1, 28, 28), 10).eval()
    images = np.random.default_rng(1).integers(0, 256, (60, 1, 28, 28), dtype=np.uint8)
    with torch.no_grad():
        labels = model(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    image_file.write(tmp_path / "images.h5", "toy", 10, {"test": (images, labels, np.arange(60))})
    checkpoint.write(tmp_path / "NR", model, described, (1, 28, 28), 10, [{"epoch": 1}])
    return ["--images", str(tmp_path / "images.h5"), "--batch-size", "4"]


def test_the_command_prints_a_line_per_row_norm_and_attack(trained, tmp_path):
    words = [*trained, "--models", str(tmp_path), "--rows", "NR", "--count", "6", "--long", "100", "--steps", "3"]
    with params.changed({"attacks.search": asdict(PLAN)}):
        result = CliRunner().invoke(attack_cost.main, words)
    assert result.exit_code == 0, result.output
    table = [text.split() for text in result.stdout.splitlines() if text.startswith(" NR") or text.startswith("NR")]
    assert [cells[1] for cells in table] == ["L2"] * 4 + ["Linf"] * 3
    assert [" ".join(cells[2:-6]) for cells in table] == [
        "search 6",
        "long search 6",
        "ddn 6",
        "fmn 6",
        "search 6",
        "long search 6",
        "fmn 6",
    ]


def test_the_memory_command_prints_a_number(trained, tmp_path):
    with params.changed({"attacks.search": asdict(PLAN)}):
        result = CliRunner().invoke(attack_memory.main, [*trained, "--model", str(tmp_path / "NR"), "--single", "6"])
    assert result.exit_code == 0, result.output
    assert 0 <= float(result.stdout) < 1000
