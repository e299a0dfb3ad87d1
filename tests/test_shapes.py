"""One channel and three, square and not, two classes and ten: every attack, objective and saliency method where it is known
what must come out. Images lie channels-last in memory, as lib/network/batches.py lays them, and so do gradients behind a convolution."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from classifiers import random_linear
from shapes import CASES, COUNT, behind_a_convolution, data, every_case, one_boundary, split
from torch import Tensor, nn

from lib.attacks import paper, probes, referee, search, transfer
from lib.attacks.best import Best
from lib.attacks.work import Work
from lib.base.choices import choice
from lib.base.errors import InputError
from lib.evaluation import radii
from lib.evaluation.threats import Threat
from lib.gradients import alignment
from lib.network.batches import Batch
from lib.network.model_state import evaluating
from lib.objectives import adversarial, distillation, interpretation, jacobian
from lib.targets.extraction import saliency_maps

DUAL = {"l2": 2, "linf": 1}
SIZE = 7  # images at a time
both_norms = pytest.mark.parametrize("norm", DUAL)

# Attacks

SEARCH = search.Settings(seed=0, gradients=70, classes=9, steps=30, worth=0.01)
Standing = dict[str, np.ndarray]  # what each attack leaves standing, (N,) bool


def of_paper(model: nn.Module, work: Work, threat: Threat) -> Standing:
    (record,) = paper.paper(model, work, [threat], paper.Settings(seed=0, steps=10, runs=1, batch_size=50))
    return {"paper": record.per_image > 0}


def of_search(model: nn.Module, work: Work, threat: Threat) -> Standing:
    return {"search": radii.stands(search.search(model, work, threat.norm, SEARCH)[0].radius.numpy(), threat.epsilon)}


def of_referee(name: str, model: nn.Module, work: Work, threat: Threat) -> Standing:
    settings = referee.Settings(0, {threat.norm: threat.epsilon}, None, [name], 20, 2, 60)
    (record,) = referee.records(model, work, {threat.norm: Best.unknown(work, threat.norm)}, settings)
    return {name: record.per_image > 0}


def of_probes(model: nn.Module, work: Work, threat: Threat) -> Standing:
    """A longer search and one in float64, held against a search that has found nothing."""
    best = {threat.norm: Best.unknown(work, threat.norm)}
    found = probes.records(model, work, best, probes.Settings(0, COUNT, 1, [threat.norm], 1.1), SEARCH)
    return {one.attack: radii.stands(one.telemetry["after"], threat.epsilon) for one in found if "after" in one.telemetry}


def of_transfer(model: nn.Module, work: Work, threat: Threat) -> Standing:
    """From the model to another row that is the same."""
    settings = transfer.Settings(["A"], None, 0, {threat.norm: threat.epsilon}, 10, 5.0)
    made = transfer.crafted({"A": model}, work.batch, settings, work.batch_size)
    shape = tuple(work.batch.images.shape[1:])
    found = transfer.outcomes(model, "B", 0, split(model, shape, 2), work.batch, made, settings, work.batch_size)
    return {"transfer": radii.stands(found.radii[threat.norm].radius, threat.epsilon)}


ATTACKS = {
    "paper": of_paper,
    "search": of_search,
    **{name: partial(of_referee, name) for name in referee.STANDARD["attacks"]},
    "probes": of_probes,
    "transfer": of_transfer,
}
TARGETED, BLIND = ("apgd-t", "fab-t"), ("square",)


@every_case
@both_norms
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_finds_what_is_within_reach_and_nothing_else(name, norm, shape, classes):
    """Distance to the plane: margin / dual norm of its direction. What asks for gradients finds it from 5 % beyond, nothing from nearer."""
    model = one_boundary(shape, classes)
    batch = data(model, shape, classes)
    with torch.no_grad():
        logits = model(batch.images)
    direction = model[2].weight[1] - model[2].weight[0]
    distance = ((logits[:, 1] - logits[:, 0]).abs() / direction.flatten().norm(p=DUAL[norm])).detach().numpy()
    epsilon = float(np.median(distance))
    for images in (batch.images, batch.images.contiguous()):
        attacked = Work(Batch(images, batch.labels), np.arange(COUNT), SIZE)
        with evaluating(model):
            if name in TARGETED and classes < referee.FEWEST_CLASSES:
                with pytest.raises(InputError, match="apgd-t and fab-t need at least 4 classes, the model has 2"):
                    ATTACKS[name](model, attacked, Threat(norm, epsilon, epsilon / 4))
                return
            found = ATTACKS[name](model, attacked, Threat(norm, epsilon, epsilon / 4))
        for attack, standing in found.items():
            assert standing[distance > epsilon * 1.001].all(), attack
            if attack not in BLIND:
                assert not standing[distance < epsilon / 1.05].any(), attack


@both_norms
@pytest.mark.parametrize("shape", [*(shape for shape, _ in CASES), (1, 12, 12), (3, 24, 24), (3, 12, 5), (2, 9, 30)])
def test_square_finds_what_is_near(shape, norm):
    """The package lays its first squares in L2, h // 5 pixels wide, from row (h - 5 (h // 5)) // 2 on: up to row 13 where h is 12."""
    model = one_boundary(shape, 2)
    work = Work(data(model, shape, 2), np.arange(COUNT), SIZE)
    with evaluating(model):
        far, near = (of_referee("square", model, work, Threat(norm, epsilon))["square"] for epsilon in (1e-6, {"l2": 5, "linf": 0.3}[norm]))
    assert far.all() and near.mean() < 0.5  # 0 to 0.2 for ten seeds; distances are 0 to 0.6 in L2


def test_square_in_l2_refuses_images_without_room_for_its_squares():
    model = one_boundary((3, 4, 9), 2)
    work = Work(data(model, (3, 4, 9), 2), np.arange(COUNT), SIZE)
    with pytest.raises(InputError, match="square in L2 needs images at least 5 pixels high, these have 4"):
        of_referee("square", model, work, Threat("l2", 1.0))
    assert of_referee("square", model, work, Threat("linf", 1e-6))["square"].all()


# Objectives, in float64: what is compared differs by the order of sums only


def learnt(model: nn.Module, shape: tuple[int, int, int], classes: int) -> Batch:
    """Images whose targets are the gradients of their labels' logits."""
    batch = data(model, shape, classes)
    return Batch(batch.images.double(), batch.labels, model[2].weight.detach()[batch.labels].double())


def of_interpretation(reduction: str, mode: str):
    return partial(interpretation.loss, settings=interpretation.Settings(1.0, 0.5, reduction, mode))


def of_jacobian(projections: int, masks: str):
    return partial(jacobian.loss, settings=jacobian.Settings(0.5, "norm", projections, "sample", masks=masks))


def of_distillation(model: nn.Module, batch: Batch, noise: torch.Generator):
    return distillation.loss(model, batch, noise, distillation.Settings(1.0, 4.0, 1.0, 0.5, "sample"), model)


OBJECTIVES = {
    **{f"IR {kind} {mode}": of_interpretation(kind, mode) for kind in ("sample", "batch", "square") for mode in ("train", "eval")},
    "JR exact": of_jacobian(0, "shared"),
    "JR own masks": of_jacobian(0, "per_row"),
    "JR projected": of_jacobian(1, "shared"),
    "distillation": of_distillation,
    **{f"AT {norm} {rule}": partial(adversarial.loss, settings=adversarial.Settings(0.1, norm, 0.1, 30, "eval", rule))
       for norm in DUAL for rule in ("paper", "strict")},
}  # fmt: skip


@every_case
@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_finds_the_gradients_of_a_linear_model(name, shape, classes):
    model = one_boundary(shape, classes)
    batch, results = learnt(model, shape, classes), []
    model.double()
    for images in (batch.images, batch.images.contiguous()):
        loss, terms = OBJECTIVES[name](model, Batch(images, batch.labels, batch.targets), torch.Generator().manual_seed(0))
        results.append([loss, *torch.autograd.grad(loss, model[2].weight)])
    weight = model[2].weight.detach()
    length, rows = weight[batch.labels].flatten(1).norm(dim=1).mean(), weight.norm()
    if name.startswith("AT"):
        score = (weight[1] - weight[0]).flatten()
        lost = 0.1 * score.norm(p=DUAL[name.split()[1]])  # of the lead of the label's logit, by the nearest point in reach
        with torch.no_grad():
            logits = model(batch.images)
        lead = (logits[:, 0] - logits[:, 1]) * (1 - 2 * batch.labels)
        torch.testing.assert_close(results[0][0], nn.functional.softplus(lost - lead).mean(), rtol=1e-6, atol=0)
        assert terms["train_accuracy"] == (lead > lost).float().mean()
    elif name == "JR projected":  # a unit vector times the rows is at most as long as both together, times K
        assert 0 < terms["jacobian_norm"] <= rows * math.sqrt(classes)
    elif name.startswith("JR"):
        torch.testing.assert_close(terms["jacobian_norm"], rows)
    else:
        torch.testing.assert_close(terms["gradient_norm"], length)
        torch.testing.assert_close(terms["cosine"].detach(), torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(*results)


# Saliency and gradients


def expected_map(name: str, weight: Tensor, images: Tensor) -> Tensor:
    special = {"vargrad": torch.zeros_like(weight), "guided_backprop": weight.clamp_min(0)}
    return special.get(name, images * weight if name in ("gradient_times_input", "integrated_gradients") else weight)


METHODS = {"simple": {}, "smoothgrad": {"samples": 3, "sigma": 0.01, "clamp": False, "include_clean": True}, "gradient_times_input": {}}
METHODS |= {"vargrad": {"samples": 3, "sigma": 0.01}, "integrated_gradients": {"steps": 3}, "guided_backprop": {}}


@every_case
@pytest.mark.parametrize("name", METHODS)
def test_a_map_of_a_linear_model_is_made_of_the_weights_of_its_label(name, shape, classes):
    model = behind_a_convolution(random_linear(classes, shape))
    batch, method = data(model, shape, classes), choice("lib.saliency", name, "saliency method")
    model.double()
    for images in (batch.images.double(), batch.images.double().contiguous()):
        made = saliency_maps.chunks(model, Batch(images, batch.labels), method, method.Settings(**METHODS[name]), 0, SIZE)
        weight = model[2].weight.detach()[batch.labels]
        torch.testing.assert_close(torch.from_numpy(np.concatenate(list(made))), expected_map(name, weight, batch.images.double()))


@every_case
def test_measured_gradients_are_the_rows_of_a_linear_model(shape, classes):
    model = behind_a_convolution(random_linear(classes, shape))
    batch = data(model, shape, classes)
    model.double()
    weight = model[2].weight.detach()
    own = weight[batch.labels].numpy()
    found = alignment.gradients(model, Batch(batch.images.double(), batch.labels), own, -own, alignment.Plan(None, 4, SIZE, "A"))
    length = weight.flatten(1).norm(dim=1)
    label = length[batch.labels]
    np.testing.assert_allclose(found.label_norm, label)
    np.testing.assert_allclose(found.other_norm, (length.sum() - label) / (classes - 1))
    np.testing.assert_allclose([found.cosine_reference, found.cosine_target], [np.ones(COUNT), -np.ones(COUNT)])
    np.testing.assert_array_equal(found.maps, own[:4])
