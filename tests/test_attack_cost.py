"""The benchmark counts exactly what a model was asked, and the attacks that it compares get the same work. No timing here."""

import mmap
import os
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from classifiers import grey, half_space, random_linear, seen
from click.testing import CliRunner

from lib.attacks import strict
from lib.base import image_file
from lib.base.errors import InputError
from lib.evaluation.threats import Threat
from lib.evaluation.work import Work
from lib.network import architecture, checkpoint
from lib.network.batches import Batch
from tools import attack_cost, attack_memory
from tools.attack_cost import autoattack, counted, foolbox_pgd, lines, measured, ours

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # foolbox imports a namespace that SciPy will drop
    import foolbox  # noqa: F401

SHAPE = (1, 4, 4)
N, STEPS, RESTARTS = 10, 7, 3


def settings(**changes) -> strict.Settings:
    usual = {"seed": 0, "steps": STEPS, "restarts": RESTARTS, "strict_losses": ["margin"], "strict_step": 5.0}
    return strict.Settings(**usual | changes)


def work_of(model, count: int = N, batch_size: int = 4, shape: tuple[int, int, int] = SHAPE) -> Work:
    images = grey(count, shape)
    with torch.no_grad():
        return Work(Batch(images, model(images).argmax(1)), np.arange(count), batch_size)


def untouchable():
    """A half-space from which every image is far: no attack of these radii fools it."""
    return half_space(torch.ones(SHAPE), -100.0).eval()


def radii(*epsilons: float, norm: str = "linf") -> list[Threat]:
    return [Threat(norm, epsilon, None) for epsilon in epsilons]


def test_a_pass_counts_each_of_its_images_once():
    model, images = random_linear(4, SHAPE), grey(6, SHAPE).requires_grad_(True)
    with counted(model) as passes, torch.no_grad():
        model(images)
    assert (passes.forward, passes.backward, passes.with_parameters) == (6, 0, 0)
    with counted(model) as passes:
        torch.autograd.grad(model(images).sum(), images)
        torch.autograd.grad(model(images[:2]).sum(), images)
    assert (passes.forward, passes.backward, passes.with_parameters) == (8, 8, 0)
    with counted(model) as passes:
        model(images[:5]).sum().backward()
        torch.autograd.grad(model(images).sum(), images)
    assert (passes.forward, passes.backward, passes.with_parameters) == (11, 11, 5)


def test_several_gradients_of_one_pass_are_several_backward_passes():
    model, images = random_linear(4, SHAPE), grey(3, SHAPE).requires_grad_(True)
    with counted(model) as passes:
        logits = model(images)
        for label in range(4):
            torch.autograd.grad(logits[:, label].sum(), images, retain_graph=True)
    assert (passes.forward, passes.backward) == (3, 12)


def test_foolbox_is_asked_norm_by_norm_and_answers_in_the_order_of_the_threats():
    """Grey images at a distance of 0.05 (Linf) and 0.2 (L2) of a half-space, two batches.

    A step is 0.025 of the radius, so that 100 of them reach the far side of a ball from any start that is drawn.
    """
    model = half_space(torch.ones(SHAPE), 16 * 0.55).eval()
    attacked = Work(Batch(torch.full((N, *SHAPE), 0.5), torch.zeros(N, dtype=torch.int64)), np.arange(N), 6)
    mixed = [*radii(0.1, norm="linf"), *radii(0.15, 0.3, norm="l2"), *radii(0.04, norm="linf")]
    assert foolbox_pgd(model, attacked, mixed, settings(steps=100)).tolist() == [[False] * N, [True] * N, [False] * N, [True] * N]


def test_nothing_is_counted_afterwards():
    model = random_linear(4, SHAPE).eval()
    with counted(model) as passes:
        pass
    model(grey(2, SHAPE)).sum().backward()
    assert (passes.forward, passes.backward, passes.with_parameters) == (0, 0, 0)


def test_where_nothing_falls_the_strict_attack_looks_at_every_iterate_and_differentiates_no_parameter():
    """steps gradients and the last iterate, for each restart and radius: (steps + 1) forward, steps backward."""
    model, walks = untouchable(), N * RESTARTS * 2
    attacked = work_of(model)
    with counted(model) as passes:
        standing = ours(model, attacked, radii(0.1, 0.2), settings())
    assert standing.shape == (2, N) and standing.all()
    assert (passes.forward, passes.backward, passes.with_parameters) == (walks * (STEPS + 1), walks * STEPS, 0)


def test_foolbox_does_the_same_number_of_steps_and_differentiates_parameters():
    """As many steps, and one look at the last iterate; fooled or not, every image takes part in all of it."""
    for model in (untouchable(), random_linear(4, SHAPE).eval()):
        attacked = work_of(model)
        with counted(model) as passes:
            standing = foolbox_pgd(model, attacked, radii(0.1, 0.2), settings())
        walks = N * RESTARTS * 2
        assert (passes.forward, passes.backward, passes.with_parameters) == (walks * (STEPS + 1), walks * STEPS, walks * STEPS)
        assert standing.shape == (2, N) and standing.all() == (len(model.weight) == 2)


@pytest.mark.parametrize("norm, distance", [("linf", 0.05), ("l2", 0.2)])
def test_what_fell_is_not_attacked_again_at_larger_radii(norm, distance):
    """Grey images in front of a half-space: all stand just below the distance, all fall above it in the first restart."""
    model = half_space(torch.ones(SHAPE), 16 * 0.55)
    attacked = Work(Batch(torch.full((N, *SHAPE), 0.5), torch.zeros(N, dtype=torch.int64)), np.arange(N), 4)
    with counted(model) as below:
        assert ours(model, attacked, radii(0.9 * distance, norm=norm), settings()).all()
    with counted(model) as passes:
        standing = ours(model, attacked, radii(0.9 * distance, 1.5 * distance, 2 * distance, norm=norm), settings())
    assert standing.sum(1).tolist() == [N, 0, 0]
    at_the_second = passes.forward - below.forward
    assert N <= at_the_second <= N * (STEPS + 1), "one restart at the second radius, none at the third"


def test_each_attack_is_counted_once_and_timed_as_often_as_asked():
    model = untouchable()
    plan = {"threats": radii(0.1), "settings": settings()}
    attacked = work_of(model)
    with seen(model) as batches:
        (found,) = measured([partial(ours, **plan)], model, attacked, repeats=2)
    walks = N * RESTARTS
    assert found.passes.forward == walks * (STEPS + 1)
    assert sum(map(len, batches)) == 3 * found.passes.forward
    assert found.seconds > 0 and found.standing.all()


def test_measuring_leaves_no_gradients_behind():
    model = random_linear(4, SHAPE).eval()
    plan = {"threats": radii(0.1), "settings": settings()}
    measured([partial(foolbox_pgd, **plan)], model, work_of(model), repeats=1)
    assert model.weight.grad is None and model.weight.requires_grad


def test_a_line_says_shares_of_all_images_and_costs_per_attacked_one():
    passes = attack_cost.Passes(forward=80, backward=40, with_parameters=10)
    standing = np.array([[True, True, False, False], [True, False, False, False]])
    found = attack_cost.Measured(0.2, passes, standing)
    slow = attack_cost.Measured(0.6, passes, standing)
    first, second = lines("NR", ["one", "other"], [found, slow], radii(0.1, 0.25), images=5)
    assert (first["attacked"], first["ms"], first["forward"], first["backward"]) == ("4 of 5", "50.0", "20", "10")
    assert (first["with parameters"], first["L∞ 0.1"], first["L∞ 0.25"]) == ("25 %", "40.0", "20.0")
    assert (first["ratio"], second["ratio"]) == ("1.00", "3.00")


def test_autoattack_says_which_images_stand_at_each_radius_and_leaves_the_random_state():
    model = random_linear(10, (3, 4, 6))
    attacked = work_of(model, count=3, shape=(3, 4, 6))
    attacked.batch.images.data = attacked.batch.images.contiguous(memory_format=torch.channels_last)  # as all images come
    state = torch.get_rng_state()
    standing = autoattack(model, attacked, radii(1e-6, 3.0, norm="l2"), "custom")
    assert standing.tolist() == [[True] * 3, [False] * 3]
    assert torch.equal(torch.get_rng_state(), state)


def test_radii_must_be_ascending_numbers():
    assert [threat.epsilon for threat in attack_cost.threats("l2", "0.5,1")] == [0.5, 1.0]
    with pytest.raises(InputError, match="--radii belong to --norm linf or l2"):
        attack_cost.threats("table", "1")
    with pytest.raises(InputError, match="--radii must ascend, got '1,0.5'"):
        attack_cost.threats("l2", "1,0.5")
    with pytest.raises(InputError, match="must be numbers with commas between them, got '1;2'"):
        attack_cost.threats("l2", "1;2")


def test_the_peak_is_what_a_block_needs_beyond_what_was_there():
    kept = np.ones(40 * 2**17)  # 40 MiB that are in use before
    # What NumPy asks for may come out of memory that was freed before.
    with attack_memory.peak(torch.device("cpu")) as mib, mmap.mmap(-1, 64 * 2**20) as passing:
        for page in range(0, len(passing), mmap.PAGESIZE):
            passing[page] = 1
    assert 60 < mib[0] < 70 and kept.sum() > 0


@pytest.fixture
def trained(tmp_path, shipped) -> list[str]:
    """A tiny network, images that it classifies correctly, and the words that name both; the current folder has params.yaml."""
    described = architecture.Model("cnn", 0.06, None, 0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = architecture.build(described, (1, 28, 28), 10).eval()
    images = np.random.default_rng(1).integers(0, 256, (60, 1, 28, 28), dtype=np.uint8)
    with torch.no_grad():
        labels = model(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    image_file.write(tmp_path / "images.h5", "toy", 10, {"test": (images, labels, np.arange(60))})
    checkpoint.write(tmp_path / "NR", model, described, (1, 28, 28), 10, [{"epoch": 1}])
    return ["--images", str(tmp_path / "images.h5"), "--steps", "2", "--batch-size", "4"]


def test_the_command_prints_a_line_per_row_and_attack(trained, tmp_path):
    words = [*trained, "--models", str(tmp_path), "--rows", "NR", "--norm", "linf", "--radii", "0.001", "--restarts", "1", "--count", "6"]
    result = CliRunner().invoke(attack_cost.main, [*words, "--repeats", "1", "--autoattack", "none"])
    assert result.exit_code == 0, result.output
    table = [text.split() for text in result.stdout.splitlines() if text.strip().startswith("NR")]
    assert [(cells[1], cells[2:5], cells[6:9]) for cells in table] == [
        ("strict", ["6", "of", "6"], ["1.00", "3", "2"]),
        ("foolbox", ["6", "of", "6"], [table[1][6], "3", "2"]),
    ]


def test_the_memory_command_prints_a_number(trained, tmp_path):
    result = CliRunner().invoke(attack_memory.main, [*trained, "--model", str(tmp_path / "NR"), "--single", "6", "0.001", "1"])
    assert result.exit_code == 0, result.output
    assert 0 <= float(result.stdout) < 1000
    assert attack_memory.cases(60, "0.1,0.2")[0] == (50, "0.1", 1)
