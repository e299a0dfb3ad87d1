"""The wrapper around pyautoattack: the same numbers as its own driver, none of its traps."""

import logging
import sys

import numpy as np
import pytest
import torch
from classifiers import grey, half_space, random_linear, rounding, seen, smooth
from pyautoattack import AutoAttack
from torch import Tensor, nn

from lib.attacks import autoattack, pgd
from lib.attacks.paper import Rules
from lib.base.errors import InputError
from lib.evaluation.threats import Threat
from lib.evaluation.work import Work
from lib.network.batches import Batch
from lib.network.model_state import evaluating

SHAPE = (1, 8, 8)
LITE = {"seed": 0, "attacks": ["apgd-ce", "apgd-t", "square"], "images": None, "iterations": 10, "targets": 3, "queries": 50}


def settings(**changes) -> autoattack.Settings:
    return autoattack.Settings(**{**LITE, "square_images": None, **changes})


def problem(count: int = 40, seed: int = 5) -> tuple[nn.Module, Tensor, Tensor]:
    """A network with four classes whose gradient turns within the ball."""
    model = smooth(4, SHAPE, seed=seed).eval()
    model[1].weight.data *= 6
    images = grey(count, SHAPE, low=0.0, high=1.0)
    with torch.no_grad():
        return model, images, model(images).argmax(1)


def attack(model: nn.Module, images: Tensor, labels: Tensor, threats: list[Threat], batch_size: int = 100, **changes):
    work = Work(Batch(images, labels), np.arange(len(images)), batch_size)
    with evaluating(model):
        return autoattack.records(model, work, threats, settings(**changes))


@pytest.mark.parametrize("norm, epsilon", [("l2", 0.5), ("linf", 0.06)])
def test_each_attack_leaves_what_pyautoattacks_own_driver_leaves(norm, epsilon, caplog):
    """Its accuracies after each attack are only logged; ours are kept. Square comes first, with few queries, to leave work."""
    model, images, labels = problem()
    names = ["square", "apgd-ce", "apgd-t", "fab-t"]
    (record,) = attack(model, images, labels, [Threat(norm, epsilon, 1.0)], attacks=names, iterations=2, queries=4)
    tracing = sys.gettrace()
    with torch.random.fork_rng(), evaluating(model), caplog.at_level(logging.DEBUG, "auto-attack"):
        driver = AutoAttack(model, norm=autoattack.NORMS[norm], eps=epsilon, seed=0, version="custom", attacks=names)
        driver.apgd.n_restarts = driver.fab.n_restarts = 1
        driver.apgd.n_iter = driver.apgd_targeted.n_iter = driver.fab.n_iter = 2
        driver.apgd_targeted.n_target_classes = driver.fab.n_target_classes = 3
        driver.square.n_queries = 4
        adversarial, _ = driver.run_standard_evaluation(images, labels, batch_size=100)
        left = (model(adversarial).argmax(1) == labels).numpy()
    sys.settrace(tracing)  # its driver switches tracing off, and with it the measurement of coverage
    said = [float(line.split(": ")[1].split("%")[0]) for line in caplog.messages if line.startswith("robust accuracy after")]
    assert [100 * line.mean() for line in record.correct] == pytest.approx(said, abs=0.01)
    assert np.array_equal(record.correct[-1], left)
    assert 0.05 < record.accuracy < 0.95 and record.correct[0].mean() > record.accuracy


def test_restarts_and_targets_are_those_of_the_standard_version():
    model, images, labels = problem(4)
    made = autoattack._ensemble(model, Work(Batch(images, labels), np.arange(4), 4), Threat("linf", 0.1, 1.0), settings(), 4)
    standard = AutoAttack(model, norm="Linf", eps=0.1, seed=0, version="standard")
    for name in ("apgd", "apgd_targeted", "fab", "square"):
        assert getattr(made, name).n_restarts == getattr(standard, name).n_restarts == 1
    assert made.apgd_targeted.n_target_classes == made.fab.n_target_classes == 3
    many = settings(targets=9, iterations=100, queries=5000)
    made = autoattack._ensemble(model, Work(Batch(images, labels), np.arange(4), 4), Threat("linf", 0.1, 1.0), many, 10)
    for name in ("apgd", "apgd_targeted", "fab"):
        assert getattr(made, name).n_iter == getattr(standard, name).n_iter
    assert made.apgd_targeted.n_target_classes == standard.apgd_targeted.n_target_classes
    assert made.square.n_queries == standard.square.n_queries


def test_nothing_global_changes_and_the_same_seed_gives_the_same_outcomes():
    model, images, labels = problem(12)
    state, tracing = torch.get_rng_state(), sys.gettrace()
    first = attack(model, images, labels, [Threat("l2", 0.5, 1.0)])
    assert torch.equal(torch.get_rng_state(), state) and sys.gettrace() is tracing
    torch.manual_seed(99)
    assert np.array_equal(attack(model, images, labels, [Threat("l2", 0.5, 1.0)])[0].correct, first[0].correct)


def test_survivors_shrink_with_every_attack_and_radius_and_only_they_are_attacked_again():
    model, images, labels = problem()
    threats = [Threat("linf", 0.08, 1.0), Threat("linf", 0.04, 1.0), Threat("l2", 0.5, 1.0), Threat("linf", 0.06, None)]
    found = attack(model, images, labels, threats)
    assert [(one.norm, one.epsilon) for one in found] == [("linf", 0.08), ("linf", 0.04), ("l2", 0.5)]
    for record in found:
        assert record.attack == "lite" and record.semantics == "autoattack" and record.aggregate == "worst"
        assert (record.correct[1:] <= record.correct[:-1]).all() and record.correct.shape == (3, 40)
        assert record.noticed("violation").max() <= rounding(record.epsilon, record.norm, SHAPE)
    assert (found[0].correct[0] <= found[1].correct[-1]).all() and found[0].accuracy < found[1].accuracy
    attacked = ~np.isnan(found[0].telemetry["violation"])
    assert np.array_equal(attacked, found[1].correct[-1])


def test_square_is_tried_on_so_many_survivors_only():
    model, images, labels = problem()
    (record,) = attack(model, images, labels, [Threat("l2", 0.3, 1.0)], square_images=5)
    before = record.correct[-2]
    assert before.sum() > 5
    assert np.flatnonzero(record.telemetry["square_asked"] == 1).tolist() == np.flatnonzero(before)[:5].tolist()
    assert np.array_equal(record.correct[-1][np.flatnonzero(before)[5:]], before[np.flatnonzero(before)[5:]])


def test_only_the_first_images_are_attacked_where_that_is_asked():
    model, images, labels = problem()
    work = Work(Batch(images, labels), np.arange(40), 40)
    with evaluating(model):
        (record,) = autoattack.records(model, work, [Threat("l2", 0.5, 1.0)], settings(images=10))
    assert record.asked.tolist() == [True] * 10 + [False] * 30
    assert record.accuracy == record.correct[-1][:10].mean()


@pytest.mark.parametrize("norm, dual", [("l2", 2), ("linf", 1)])
def test_apgd_on_a_half_space_finds_exactly_what_is_within_reach(norm, dual):
    """Its DLR loss needs four classes: two far ones are added that never win."""
    direction = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    inner = half_space(direction, float(direction.sum() / 2))
    inner.weight.data = torch.cat([inner.weight.data, torch.zeros(2, *SHAPE)])
    inner.bias.data = torch.cat([inner.bias.data, torch.tensor([-90.0, -91.0])])
    images = grey(30, SHAPE)
    labels = inner(images).argmax(1)
    distance = (inner(images)[:, 1] - inner(images)[:, 0]).abs().detach().numpy() / float(direction.flatten().norm(p=dual))
    epsilon = float(np.median(distance))
    (record,) = attack(inner, images, labels, [Threat(norm, epsilon, 1.0)], attacks=["apgd-ce", "apgd-t"], iterations=50)
    assert not record.correct[-1][distance < epsilon / 1.05].any() and record.correct[-1][distance > epsilon * 1.001].all()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("norm, epsilon", [("l2", 0.4), ("linf", 0.05)])
def test_strict_pgd_and_autoattack_agree_on_models_that_hide_nothing(norm, epsilon, seed):
    """Strict PGD leaves what AutoAttack leaves, up to one image of 60 that only PGD finds and four that only AutoAttack finds."""
    model, images, labels = problem(60, seed)
    threat = Threat(norm, epsilon, 1.0)
    (ours,) = attack(model, images, labels, [threat], iterations=100)
    plan = pgd.Settings(0, 40, 3, ["margin", "standardised_cross_entropy"], 10.0, ["strict"], Rules(50))
    with evaluating(model):
        strict = pgd.records(model, Work(Batch(images, labels), np.arange(60), 60), [threat], plan)[0]
    assert 0.05 < ours.accuracy < 0.95
    assert -1 / 60 <= strict.accuracy - ours.accuracy <= 4 / 60


def test_too_few_classes_for_the_targeted_loss_are_refused_before_anything_runs():
    model = random_linear(3, SHAPE)
    images = grey(4, SHAPE)
    with seen(model) as batches, pytest.raises(InputError, match="apgd-t and fab-t need at least 4 classes, the model has 3"):
        attack(model, images, model(images).argmax(1), [Threat("l2", 0.5, 1.0)])
    assert len(batches) <= 2
    assert attack(model, images, model(images).argmax(1), [Threat("l2", 5.0, 1.0)], attacks=["apgd-ce"])[0].accuracy < 1


def test_only_autoattacks_own_values_are_called_standard():
    standard = autoattack.Settings(seed=0, images=1000, **autoattack.STANDARD)
    assert standard.name == "standard"
    for name, value in {"iterations": 99, "targets": 8, "queries": 4999, "square_images": 10, "attacks": ["apgd-ce"]}.items():
        assert autoattack.Settings(**{**vars(standard), name: value}).name == "lite"


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"attacks": []}, "attacks must name at least one of apgd-ce, apgd-t, fab-t, square"),
        ({"iterations": 0}, "iterations must be positive, got 0"),
        ({"queries": -1}, "queries must be positive, got -1"),
        ({"images": 0}, "images must be positive or null, got 0"),
        ({"square_images": 0}, "square_images must be positive or null, got 0"),
    ],
)
def test_unusable_settings_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        settings(**changes)
