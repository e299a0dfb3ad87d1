"""AutoAttack as referee: the numbers of pyautoattack's own driver, none of its traps, on what the search left standing."""

import logging
import sys

import numpy as np
import pytest
import torch
from classifiers import grey, half_space, random_linear, seen, smooth
from pyautoattack import AutoAttack
from torch import Tensor, nn

from lib.attacks import referee
from lib.attacks.best import Best
from lib.attacks.work import Work
from lib.base.errors import InputError
from lib.evaluation import radii
from lib.evaluation.outcome_file import Record
from lib.network.batches import Batch
from lib.network.model_state import evaluating

SHAPE = (1, 8, 8)
LITE = {"seed": 0, "radii": {"l2": 0.5}, "images": None, "attacks": ["apgd-ce", "apgd-t", "square"], "iterations": 10, "targets": 3}


def settings(**changes) -> referee.Settings:
    return referee.Settings(**{**LITE, "queries": 50, **changes})


def problem(count: int = 40, seed: int = 5) -> tuple[nn.Module, Tensor, Tensor]:
    """A network with four classes whose gradient turns within the ball."""
    model = smooth(4, SHAPE, seed=seed).eval()
    model[1].weight.data *= 6
    images = grey(count, SHAPE, low=0.0, high=1.0)
    with torch.no_grad():
        return model, images, model(images).argmax(1)


def attack(
    model: nn.Module, images: Tensor, labels: Tensor, known: dict[int, float] | None = None, first: bool = True, /, **changes
) -> tuple[list[Record], dict[str, Best]]:
    """The referee's records and what is known afterwards; `known`: radii of single images that a search is said to have found."""
    work, plan = Work(Batch(images, labels), np.arange(len(images)), 100, first), settings(**changes)
    best = {norm: Best.unknown(work, norm) for norm in plan.radii}
    for found in best.values():
        for image, radius in (known or {}).items():
            found.radius[image], found.by[image] = radius, "search"
    with evaluating(model):
        return referee.records(model, work, best, plan), best


@pytest.mark.parametrize("norm, epsilon", [("l2", 0.5), ("linf", 0.06)])
def test_each_attack_leaves_what_pyautoattacks_own_driver_leaves(norm, epsilon, caplog):
    """Its accuracies after each attack are only logged; ours are kept. Square comes first, with few queries, to leave work."""
    model, images, labels = problem()
    names = ["square", "apgd-ce", "apgd-t", "fab-t"]
    (record,), _ = attack(model, images, labels, radii={norm: epsilon}, attacks=names, iterations=2, queries=4)
    tracing = sys.gettrace()
    with torch.random.fork_rng(), evaluating(model), caplog.at_level(logging.DEBUG, "auto-attack"):
        driver = AutoAttack(model, norm=referee.NORMS[norm], eps=epsilon, seed=0, version="custom", attacks=names)
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
    work = Work(Batch(images, labels), np.arange(4), 4)
    made = referee._ensemble(model, work, "linf", 0.1, settings(), 4)
    standard = AutoAttack(model, norm="Linf", eps=0.1, seed=0, version="standard")
    for name in ("apgd", "apgd_targeted", "fab", "square"):
        assert getattr(made, name).n_restarts == getattr(standard, name).n_restarts == 1
    assert made.apgd_targeted.n_target_classes == made.fab.n_target_classes == 3
    made = referee._ensemble(model, work, "linf", 0.1, settings(targets=9, iterations=100, queries=5000), 10)
    for name in ("apgd", "apgd_targeted", "fab"):
        assert getattr(made, name).n_iter == getattr(standard, name).n_iter
    assert made.apgd_targeted.n_target_classes == standard.apgd_targeted.n_target_classes
    assert made.square.n_queries == standard.square.n_queries


def test_nothing_global_changes_and_the_same_seed_gives_the_same_outcomes():
    model, images, labels = problem(12)
    state, tracing = torch.get_rng_state(), sys.gettrace()
    (first,), known = attack(model, images, labels)
    assert torch.equal(torch.get_rng_state(), state) and sys.gettrace() is tracing
    torch.manual_seed(99)
    (second,), again = attack(model, images, labels)
    assert np.array_equal(first.correct, second.correct) and torch.equal(known["l2"].radius, again["l2"].radius)


@pytest.mark.parametrize("norm, epsilon", [("l2", 0.5), ("linf", 0.06)])
def test_what_it_breaks_was_missed_and_gets_a_radius_in_the_ball(norm, epsilon):
    """The record and the radii say the same: what is broken has a radius of at most epsilon, found by the attack that broke it."""
    model, images, labels = problem()
    (record,), best = attack(model, images, labels, radii={norm: epsilon})
    broken = ~record.correct.all(0)
    assert 0 < broken.sum() < 40 and record.asked.all()
    assert (record.correct[1:] <= record.correct[:-1]).all() and record.correct.shape == (3, 40)
    known = best[norm]
    assert np.array_equal(~radii.stands(known.radius.numpy(), epsilon), broken)
    for line, name in enumerate(LITE["attacks"]):
        before = record.correct[line - 1] if line else np.ones(40, bool)
        assert set(known.by[before & ~record.correct[line]]) <= {f"autoattack {name}"}
    with torch.no_grad():
        assert np.array_equal((model(known.adversarial).argmax(1) != labels).numpy(), broken)


def test_only_what_the_search_left_standing_is_attacked():
    """Images 0 to 9 have a radius below epsilon, 10 to 19 one above it: these are asked, and a broken one gets the shorter radius."""
    model, images, labels = problem(20)
    known = {image: 0.4 if image < 10 else 0.9 for image in range(20)}
    (record,), best = attack(model, images, labels, known)
    assert record.asked.tolist() == [False] * 10 + [True] * 10 and record.correct[:, :10].all()
    radius, broken = best["l2"].radius.numpy(), ~record.correct.all(0)
    assert (radius[:10] == np.float32(0.4)).all() and (radius[broken] <= 0.5 * (1 + radii.ROUNDING)).all()
    assert broken.any() and (radius[10:][~broken[10:]] == np.float32(0.9)).all()
    assert record.accuracy == (~broken[10:]).mean()


@pytest.mark.parametrize("first, expected", [(True, [12, 13, 15]), (False, [])])
def test_the_first_survivors_of_the_first_batch_are_asked_where_only_so_many_are_wanted(first, expected):
    model, images, labels = problem(20)
    known = dict.fromkeys((*range(12), 14), 0.1)
    (record,), _ = attack(model, images, labels, known, first, images=3)
    assert np.flatnonzero(record.asked).tolist() == expected


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
    (record,), _ = attack(inner, images, labels, radii={norm: epsilon}, attacks=["apgd-ce", "apgd-t"], iterations=50)
    assert not record.correct[-1][distance < epsilon / 1.05].any() and record.correct[-1][distance > epsilon * 1.001].all()


def test_too_few_classes_for_the_targeted_loss_are_refused_before_anything_runs():
    model = random_linear(3, SHAPE)
    images = grey(4, SHAPE)
    with seen(model) as batches, pytest.raises(InputError, match="apgd-t and fab-t need at least 4 classes, the model has 3"):
        attack(model, images, model(images).argmax(1))
    assert len(batches) <= 2
    assert attack(model, images, model(images).argmax(1), radii={"l2": 5.0}, attacks=["apgd-ce"])[0][0].accuracy < 1


def test_only_autoattacks_own_values_are_called_standard():
    standard = referee.Settings(seed=0, radii={"linf": 0.2}, images=10, **referee.STANDARD)
    assert standard.name == "standard"
    for name, value in {"iterations": 99, "targets": 8, "queries": 4999, "attacks": ["apgd-ce"]}.items():
        assert referee.Settings(**{**vars(standard), name: value}).name == "lite"


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"attacks": []}, "attacks must name at least one of apgd-ce, apgd-t, fab-t, square"),
        ({"iterations": 0}, "iterations must be positive, got 0"),
        ({"queries": -1}, "queries must be positive, got -1"),
        ({"images": 0}, "images must be positive or null, got 0"),
        ({"radii": {}}, "radii must name a radius for at least one of l2, linf"),
        ({"radii": {"l2": 0.0}}, "radii.l2 must be positive, got 0.0"),
    ],
)
def test_unusable_settings_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        settings(**changes)
