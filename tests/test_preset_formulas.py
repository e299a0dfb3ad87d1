"""Under `paper` the numbers are those of what the authors ran, under `strict` those of the paper's equations.

A network of two layers, logits B tanh(A x), has its Jacobian B diag(1 - tanh^2) A in closed form: everything here is numpy in
float64, image by image, and shares no code with lib. What the authors ran is described in docs/decisions.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from classifiers import seen
from numpy.typing import NDArray
from project import ROOT
from ruamel.yaml import YAML
from torch import nn

from lib.attacks import paper
from lib.attacks.work import Work
from lib.base import params
from lib.evaluation.threats import Threat
from lib.network import architecture
from lib.network.architecture import Probabilities
from lib.network.batches import Batch
from lib.network.model_state import evaluating
from lib.objectives import adversarial, interpretation, jacobian
from lib.saliency import smoothgrad
from lib.studies import presets
from lib.targets import transforms
from lib.training import loop

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(0, 0.5, (6, 16)), RANDOM.normal(0, 2, (4, 6))
IMAGES = RANDOM.random((5, 16)).round(1)  # some pixels at the edge of the box
LABELS = np.array([0, 3, 1, 2, 0])
TARGETS = RANDOM.normal(size=(5, 16))


class Net(nn.Module):
    """The same network for torch."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.inner, self.outer = nn.Parameter(torch.from_numpy(A.copy())), nn.Parameter(torch.from_numpy(scale * B))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.flatten(1) @ self.inner.T).tanh() @ self.outer.T


def logits(x: Array, scale: float = 1.0) -> Array:
    return scale * B @ np.tanh(A @ x)


def rows(x: Array, scale: float = 1.0) -> Array:
    return scale * B @ np.diag(1 - np.tanh(A @ x) ** 2) @ A


def softmax(z: Array) -> Array:
    return np.exp(z - z.max()) / np.exp(z - z.max()).sum()


def cross_entropy(z: Array, label: int) -> float:
    return float(-np.log(softmax(z)[label]))


def loss_gradient(x: Array, label: int, scale: float = 1.0) -> Array:
    return (softmax(logits(x, scale)) - np.eye(4)[label]) @ rows(x, scale)


CROSS_ENTROPY = float(np.mean([cross_entropy(logits(x), label) for x, label in zip(IMAGES, LABELS)]))
GRADIENTS = np.stack([rows(x)[label] for x, label in zip(IMAGES, LABELS)])
COSINE = np.mean([g @ t / np.sqrt(g @ g) / np.sqrt(t @ t) for g, t in zip(GRADIENTS, TARGETS)])


def square(values: Array) -> torch.Tensor:
    return torch.from_numpy(values.reshape(-1, 1, 4, 4).copy())


def batch(labels: NDArray[np.int64] = LABELS) -> Batch:
    return Batch(square(IMAGES), torch.from_numpy(labels), square(TARGETS))


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["paper", "strict"])
def preset(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(ROOT)
    return request.param


def section(preset: str, kind: type, *keys: str, scale: str = "mnist"):
    """A section of a scale under a preset, as the stages would read it."""
    document = presets.applied(YAML(typ="safe").load((ROOT / f"scales/{scale}.yaml").read_text()), preset)
    for key in keys:
        document = document[key]
    return params.parse(kind, document, ".".join(keys))


# Objectives


def test_interpretation_regularization(preset: str) -> None:
    """The authors: cross-entropy + 3 (1 - mean cosine) + 0.15 sqrt(sum of all squared gradients). Eq. 9: the mean of the norms."""
    settings = section(preset, interpretation.Settings, "ir", "R_smoothgrad")
    if preset == "paper":
        expected = CROSS_ENTROPY + 3 * (1 - COSINE) + 0.15 * np.sqrt((GRADIENTS**2).sum()) - 3  # but for the constant
    else:
        expected = CROSS_ENTROPY - 3 * COSINE + 1.0607 * np.mean([np.sqrt(g @ g) for g in GRADIENTS])
    assert interpretation.loss(Net(), batch(), generator(), settings)[0].item() == pytest.approx(expected, rel=1e-10)


def test_the_two_weights_of_the_norm_are_one_for_equal_norms(preset: str) -> None:
    """A batch of 50 whose gradients all have length 2."""
    settings = section(preset, interpretation.Settings, "ir", "R_smoothgrad")
    gradients = torch.zeros(50, 16, dtype=torch.float64)
    gradients[:, 3] = 2.0
    weighted = settings.lambda_m * interpretation.penalty(gradients, settings.reduction).item()
    assert weighted == pytest.approx(0.15 * 2 * np.sqrt(50), rel=1e-4)


def test_jacobian_regularization(preset: str) -> None:
    """Hoffman et al., in the authors' runs and under both presets: K |v'J|^2 / 2 for one unit vector v per image, averaged."""
    settings = section(preset, jacobian.Settings, "jr", "JR")
    vectors = torch.randn(5, 4, generator=generator(), dtype=torch.float64).numpy()
    penalties = [4 * ((v / np.sqrt(v @ v) @ rows(x)) ** 2).sum() / 2 for v, x in zip(vectors, IMAGES)]
    expected = CROSS_ENTROPY + 0.32 * np.mean(penalties)
    assert jacobian.loss(Net(), batch(), generator(), settings)[0].item() == pytest.approx(expected, rel=1e-10)
    assert section(preset, jacobian.Settings, "jr", "JR320", scale="cifar10").batch_divisor == (8 if preset == "paper" else 1)


def test_jacobian_regularization_as_equation_13_prints_it(preset: str) -> None:
    settings = replace(section(preset, jacobian.Settings, "jr", "JR"), form="norm", projections=0)
    expected = CROSS_ENTROPY + 0.32 * np.mean([np.sqrt((rows(x) ** 2).sum()) for x in IMAGES])
    assert jacobian.loss(Net(), batch(), generator(), settings)[0].item() == pytest.approx(expected, rel=1e-10)


def test_the_loss_of_the_cifar_10_network(preset: str) -> None:
    """The authors: the cross-entropy of the softmax of a softmax. The text: of a softmax."""
    standard = section(preset, adversarial.Settings, "teachers", "NR", scale="cifar10")
    asked = section(preset, architecture.Model, "model", scale="cifar10").outputs
    model = Probabilities(Net()) if asked == "probabilities" else Net()
    outputs = [softmax(logits(x)) if preset == "paper" else logits(x) for x in IMAGES]
    expected = np.mean([cross_entropy(z, label) for z, label in zip(outputs, LABELS)])
    assert adversarial.loss(model, batch(), generator(), standard)[0].item() == pytest.approx(expected, rel=1e-10)


# Targets


def test_smoothgrad(preset: str) -> None:
    """The authors: 50 copies clamped to the box, and the clean image, a mean of 51. Eq. 10: 50 copies."""
    settings = section(preset, smoothgrad.Settings, "saliency", "methods", "smoothgrad")
    noise = RANDOM.normal(size=(5, 50, 16))
    expected = []
    for x, label, draws in zip(IMAGES, LABELS, noise):
        copies = [x + 0.15 * draw for draw in draws]
        if preset == "paper":
            copies = [x, *(np.clip(copy, 0, 1) for copy in copies)]
        expected.append(sum(rows(copy)[label] for copy in copies) / len(copies))
    found = smoothgrad.maps(Net(), square(IMAGES), torch.from_numpy(LABELS), settings, lambda n: square(noise).view(5, n, 1, 4, 4))
    np.testing.assert_allclose(found.numpy().reshape(5, 16), expected, rtol=1e-10)


@pytest.mark.parametrize("name, phi", [("R_smoothgrad", 1.0), ("NR_smoothgrad", 1.25), ("NR_simple", None)])
def test_the_threshold(preset: str, name: str, phi: float | None) -> None:
    """Kept is what lies above mean + phi s or below mean - phi s, s^2 the squares over D - 1; the authors' exceptions under paper."""
    settings = section(preset, transforms.Threshold, "threshold")
    phi = phi if preset == "paper" else 1.0
    expected = TARGETS.copy()
    for values in expected if phi is not None else []:
        mean = sum(values) / 16
        s = np.sqrt(sum((value - mean) ** 2 for value in values) / 15)
        values[(values <= mean + phi * s) & (values >= mean - phi * s)] = 0
    found = transforms.thresholded(TARGETS.reshape(5, 1, 4, 4), settings.phi_of(name), settings)
    assert np.array_equal(found.reshape(5, 16), expected)
    assert 0 < (expected == 0).mean() < 1 or phi is None


def test_on_cifar_10_the_threshold_waits_for_the_augmentation_under_paper(preset: str) -> None:
    settings = section(preset, transforms.Threshold, "threshold", scale="cifar10")
    found = transforms.thresholded(TARGETS.reshape(5, 1, 4, 4), settings.phi_of("R80_simple"), settings)
    assert (found == 0).any() == (preset == "strict")


def test_the_permutation_of_an_exact_share(preset: str) -> None:
    """int(D p) positions are chosen and shuffled among themselves; over many maps the whole number is reached and never passed."""
    rule = presets.switches()["permute.rule"].value(preset, cifar10=False)
    values = np.tile(np.arange(16.0), (300, 1)).reshape(300, 1, 4, 4)
    found = transforms.permute(values, range(300), transforms.Permutation(0.4, 0, 0, rule))
    assert (found != values).reshape(300, 16).sum(1).max() == int(16 * 0.4)
    assert (np.sort(found.reshape(300, 16), 1) == np.arange(16)).all()


# Attacks


CONFIDENT = 3.5
DECIDED = np.array([logits(x).argmax() for x in IMAGES])


def test_confident_logits_have_a_gradient_below_the_floor_and_above_rounding() -> None:
    """So that the walks below meet the floor, and float64 still has eight digits of what is left of softmax - 1."""
    lengths = [np.sqrt((loss_gradient(x, label, CONFIDENT) ** 2).sum()) for x, label in zip(IMAGES, DECIDED)]
    assert 1e-9 < min(lengths) < 5e-6


def onto_l2(delta: Array, epsilon: float) -> Array:
    return delta * min(1.0, epsilon / max(np.sqrt(delta @ delta), 1e-300))


def authors_walk(x: Array, label: int, start: Array, threat: Threat, steps: int, size: int, scale: float) -> Array:
    """The mean loss of `size` images; L2 gradients over at least 1e-6; into the box, then into the ball."""
    delta = start - x
    for _ in range(steps):
        gradient = loss_gradient(x + delta, label, scale) / size
        if threat.norm == "l2":
            delta = delta + threat.step_size * gradient / max(np.sqrt(gradient @ gradient), 1e-6)
            delta = onto_l2(np.clip(x + delta, 0, 1) - x, threat.epsilon)
        else:
            delta = np.clip(delta + threat.step_size * np.sign(gradient), -threat.epsilon, threat.epsilon)
            delta = np.clip(x + delta, 0, 1) - x
    return np.clip(x + delta, 0, 1)


def strict_walk(x: Array, label: int, start: Array, threat: Threat, steps: int, size: int, scale: float) -> Array:
    """Steps of full length along the image's own gradient; into the ball, then into the box."""
    point = start
    for _ in range(steps):
        gradient = loss_gradient(point, label, scale)
        point = point + threat.step_size * gradient / np.sqrt(gradient @ gradient)
        point = np.clip(x + onto_l2(point - x, threat.epsilon), 0, 1)
    return point


@pytest.mark.parametrize("scale", [1.0, CONFIDENT])
def test_adversarial_examples(preset: str, scale: float) -> None:
    """With confident logits the floor holds the authors' steps back. Their start is a uniform image pulled into the ball."""
    settings = replace(section(preset, adversarial.Settings, "teachers", "R"), epsilon=0.8, step_size=0.3, steps=6)
    model, threat = Net(scale), Threat("l2", 0.8, 0.3)
    with seen(model) as asked:
        found = adversarial.examples(model, batch(DECIDED), generator(), settings).numpy().reshape(5, 16)
    starts = asked[0].numpy().reshape(5, 16)
    walk = authors_walk if preset == "paper" else strict_walk
    expected = [walk(x, label, start, threat, 6, 5, scale) for x, label, start in zip(IMAGES, DECIDED, starts)]
    np.testing.assert_allclose(found, expected, atol=1e-8)
    if preset == "paper":
        uniform = torch.rand(5, 1, 4, 4, generator=generator()).numpy().reshape(5, 16)
        np.testing.assert_allclose(starts, [x + onto_l2(u - x, 0.8) for u, x in zip(uniform, IMAGES)], atol=1e-12)
    modes: list[bool] = []
    model.train().register_forward_pre_hook(lambda module, inputs: modes.append(module.training))
    adversarial.examples(model, batch(DECIDED), generator(), settings)
    assert modes == [preset == "paper"] * 6


@pytest.mark.parametrize("scale", [1.0, CONFIDENT])
@pytest.mark.parametrize("threat", [Threat("l2", 0.8, 0.3), Threat("linf", 0.2, 0.05)], ids=["l2", "linf"])
def test_the_papers_pgd(preset: str, threat: Threat, scale: float) -> None:
    """The same under both presets: the column `paper` is the attack that was run."""
    settings = replace(section(preset, paper.Settings, "attacks", "paper"), steps=7, runs=1)
    data = batch(DECIDED)
    model = Net(scale)
    with evaluating(model), seen(model) as asked:
        (record,) = paper.paper(model, Work(data, np.arange(5), 5), [threat], settings)
    starts = asked[0].numpy().reshape(5, 16)
    if threat.norm == "l2":
        np.testing.assert_allclose(np.sqrt(((starts - IMAGES) ** 2).sum(1)), 0.8, rtol=1e-6)
    expected = [authors_walk(x, label, start, threat, 7, 50, scale) for x, label, start in zip(IMAGES, DECIDED, starts)]
    np.testing.assert_allclose(asked[-1].numpy().reshape(5, 16), expected, atol=1e-8)
    stands = [logits(x, scale).argmax() == label for x, label in zip(expected, DECIDED)]
    assert record.correct.tolist() == [stands] and record.aggregate == "mean"


# Training


def test_the_optimiser_of_mnist(preset: str) -> None:
    """The authors: Nesterov momentum and weight decay 1e-5. The text: plain momentum. Two steps at 0.01 and 0.005, by hand."""
    plan = replace(section(preset, loop.Plan, "training"), epochs=2, batch_size=5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4, bias=False)).double()
    weight = model[1].weight.detach().numpy().copy()
    velocity = np.zeros_like(weight)
    for rate in (0.01, 0.005):
        gradient = sum(np.outer(softmax(weight @ x) - np.eye(4)[label], x) for x, label in zip(IMAGES, LABELS)) / 5
        gradient = gradient + (1e-5 if preset == "paper" else 0) * weight
        velocity = 0.9 * velocity + gradient
        weight = weight - rate * (gradient + 0.9 * velocity if preset == "paper" else velocity)
    standard = section(preset, adversarial.Settings, "teachers", "NR")

    def objective(model: nn.Module, part: Batch, noise: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return adversarial.loss(model, part, noise, standard)

    test = batch() if plan.selection == "leaking_test" else None
    assert (test is not None) == (preset == "paper")
    loop.fit(model, batch(), batch(), objective, plan, 0, test=test)
    np.testing.assert_allclose(model[1].weight.detach().numpy(), weight, rtol=1e-10)
