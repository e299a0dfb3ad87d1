"""The radius of every image, against closed forms with the box, exact and certified bounds, and what must not move it."""

from itertools import product

import numpy as np
import pytest
import torch
from broken_defences import GradientKiller
from classifiers import Flat, Scaled, grey, half_space, random_linear, seen
from scipy.optimize import linprog
from torch import Tensor, nn

from benchmarks.attack_cost import counted
from lib.attacks.best import Best, distances
from lib.attacks.search import Settings, Telemetry, search
from lib.attacks.work import Work
from lib.base.errors import InputError
from lib.network.batches import Batch
from lib.network.model_state import evaluating

SHAPE = (1, 4, 4)
both_norms = pytest.mark.parametrize("norm", ["l2", "linf"])


def settings(**changes) -> Settings:
    return Settings(**{"seed": 0, "gradients": 130, "classes": 9, "steps": 14, "worth": 0.03} | changes)


def decided(model: nn.Module, images: Tensor, batch_size: int = 1000) -> Work:
    """These images, with the classes that the model gives them."""
    with torch.no_grad():
        return Work(Batch(images, model(images).argmax(1)), np.arange(len(images)), batch_size)


def attacked(model: nn.Module, work: Work, norm: str, **changes) -> tuple[Best, Telemetry]:
    with evaluating(model):
        return search(model, work, norm, settings(**changes))


def relu(classes: int = 4, shape: tuple[int, int, int] = SHAPE, hidden: tuple[int, ...] = (24, 16), seed: int = 0) -> nn.Sequential:
    """A random ReLU network in float64, so that rounding turns no walk."""
    units = [shape[0] * shape[1] * shape[2], *hidden]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [part for first, last in zip(units, units[1:]) for part in (nn.Linear(first, last), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(units[-1], classes)).double()


# Closed forms


def box_distance(image: np.ndarray, slope: np.ndarray, lead: float, norm: str) -> float:
    """The shortest perturbation within [0, 1] that raises `lead` < 0 to 0 along `slope`, by bisection on its multiplier.

    The optimum is clip(multiplier * slope) in L2 and clip(multiplier * sign(slope)) in L∞; it is inf where the box is too small.
    """
    direction = slope if norm == "l2" else np.sign(slope)

    def moved(multiplier: float) -> np.ndarray:
        return np.clip(image + multiplier * direction, 0, 1) - image

    low, high = 0.0, 1e6
    if slope @ moved(high) + lead < 0:
        return np.inf
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if slope @ moved(middle) + lead >= 0 else (middle, high)
    return float(np.linalg.norm(moved(high), 2 if norm == "l2" else np.inf))


def linear_radii(model: nn.Module, work: Work, norm: str) -> np.ndarray:
    """The radius of every image under a linear model: the nearest of its half-spaces."""
    weight, bias = (values.detach().double().numpy() for values in (model.weight.flatten(1), model.bias))
    images, found = work.batch.images.double().flatten(1).numpy(), []
    for image, label in zip(images, work.batch.labels.tolist()):
        logits = weight @ image + bias
        others = [k for k in range(len(bias)) if k != label]
        found.append(min(box_distance(image, weight[k] - weight[label], logits[k] - logits[label], norm) for k in others))
    return np.array(found)


@both_norms
@pytest.mark.parametrize("low, high", [(0.3, 0.7), (0.0, 1.0), (-1.0, 1.0)])
def test_on_a_half_space_the_radius_is_the_distance_within_the_box(norm, low, high):
    """Grey images, images from corner to corner, and images of which half the pixels are black."""
    direction = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)).double()
    model, images = half_space(direction, float(direction.sum() / 2)), grey(40, SHAPE, low, high).clamp(0, 1).double()
    work = decided(model, images)
    exact = linear_radii(model, work, norm)
    radius = attacked(model, work, norm, gradients=250)[0].radius.numpy()
    assert np.isfinite(exact).all() and (radius >= exact * (1 - 1e-6)).all()
    assert (radius <= 1.005 * exact).all()


@both_norms
@pytest.mark.parametrize("shape, classes", [((1, 4, 4), 2), ((1, 8, 8), 10), ((3, 4, 4), 5)])
def test_on_a_linear_classifier_the_radius_is_the_distance_to_the_nearest_class(norm, shape, classes):
    model = random_linear(classes, shape).double()
    work = decided(model, grey(30, shape, 0.0, 1.0).double())
    exact = linear_radii(model, work, norm)
    radius = attacked(model, work, norm, gradients=250)[0].radius.numpy()
    assert (radius >= exact * (1 - 1e-6)).all() and (radius <= 1.005 * exact).all()


@both_norms
def test_what_no_image_in_the_box_fools_has_an_infinite_radius(norm):
    model = half_space(torch.ones(SHAPE), 17.0)  # the brightest image has a sum of 16
    best, _ = attacked(model, decided(model, grey(4, SHAPE)), norm)
    assert best.radius.tolist() == [torch.inf] * 4 and best.by.tolist() == [""] * 4


# Bounds


def certified(model: nn.Sequential, image: Tensor, label: int, norm: str) -> float:
    """A radius within which no image is adversarial: exact intervals behind the first layer, interval bounds behind the others."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    margins = torch.eye(len(layers[-1].bias), dtype=torch.float64)
    rows = torch.cat([margins[:label], margins[label + 1 :]]) - margins[label]

    def safe(radius: float) -> bool:
        centre = layers[0](image.double().flatten())
        reach = radius * layers[0].weight.norm(dim=1, p=2 if norm == "l2" else 1)
        for layer in layers[1:]:
            low, high = (centre - reach).relu(), (centre + reach).relu()
            weight, bias = (rows @ layer.weight, rows @ layer.bias) if layer is layers[-1] else (layer.weight, layer.bias)
            centre, reach = weight @ (low + high) / 2 + bias, weight.abs() @ (high - low) / 2
        return bool((centre + reach < 0).all())

    low, high = 0.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if safe(middle) else (low, middle)
    return low


@both_norms
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_a_radius_is_never_below_a_certified_one(norm, seed):
    model = relu(seed=seed)
    work = decided(model, grey(20, SHAPE, 0.0, 1.0).double())
    radius = attacked(model, work, norm)[0].radius
    bounds = [certified(model, image, int(label), norm) for image, label in zip(work.batch.images, work.batch.labels)]
    assert min(bounds) > 0 and (radius.double() >= torch.tensor(bounds) * (1 - 1e-6)).all()


def exact_linf(model: nn.Sequential, image: np.ndarray, label: int) -> float:
    """The L∞ radius under a network with one hidden ReLU layer: a linear program for each pattern of its units and each other class."""
    (first, first_bias), (last, last_bias) = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in (model[1], model[3])
    )
    found = np.inf
    for pattern, other in product(product((0, 1), repeat=len(first_bias)), range(len(last_bias))):
        if other == label:
            continue
        sign, slope = 1 - 2 * np.array(pattern), (last[other] - last[label]) * pattern
        # units on their side of zero, the other class ahead, and the largest change bounded by the last variable
        upper = np.vstack([np.c_[sign[:, None] * first, np.zeros(len(sign))], np.r_[-slope @ first, 0]])
        limit = np.r_[-sign * first_bias, slope @ first_bias + last_bias[other] - last_bias[label]]
        size = len(image)
        upper = np.vstack([upper, np.c_[np.eye(size), -np.ones(size)], np.c_[-np.eye(size), -np.ones(size)]])
        limit = np.r_[limit, image, -image]
        answer = linprog(np.r_[np.zeros(size), 1], upper, limit, bounds=[(0, 1)] * size + [(0, None)])
        found = min(found, answer.fun if answer.success else np.inf)
    return found


def test_a_radius_is_never_below_the_exact_one_of_a_small_network_and_mostly_equal_to_it():
    model = relu(classes=3, shape=(1, 3, 3), hidden=(4,), seed=1)
    work = decided(model, grey(8, (1, 3, 3), 0.0, 1.0).double())
    radius = attacked(model, work, "linf", gradients=250)[0].radius.double().numpy()
    exact = np.array([exact_linf(model, image.flatten().numpy(), int(label)) for image, label in zip(work.batch.images, work.batch.labels)])
    assert np.array_equal(np.isfinite(radius), np.isfinite(exact)) and np.isfinite(exact).any()
    ratio = (radius / exact)[np.isfinite(exact)]
    assert (ratio >= 1 - 1e-6).all() and np.median(ratio) < 1.005


# What must not move a radius


@both_norms
@pytest.mark.parametrize("factor", [1e-3, 1e3, 1e-9, 1e9])
def test_radii_do_not_depend_on_the_scale_of_the_logits(norm, factor):
    model = relu()
    work = decided(model, grey(12, SHAPE).double())
    plain, scaled = (attacked(network, work, norm)[0].radius for network in (model, Scaled(model, factor)))
    assert torch.allclose(scaled, plain, rtol=1e-6, atol=0)


@both_norms
@pytest.mark.parametrize("exponent", [-90, 60])
def test_a_power_of_two_on_float32_logits_changes_no_bit(norm, exponent):
    """2**-90 on the logits leaves gradients of 1e-28, whose squares underflow."""
    model = relu().float()
    work = decided(model, grey(12, SHAPE))
    plain, scaled = (attacked(network, work, norm)[0] for network in (model, Scaled(model, 2.0**exponent)))
    assert torch.equal(scaled.adversarial, plain.adversarial)


@both_norms
def test_neither_batches_nor_the_order_of_rows_matter(norm):
    model = relu()
    work = decided(model, grey(12, SHAPE).double())
    whole = attacked(model, work, norm)[0].radius
    cut = attacked(model, Work(work.batch, work.rows, 5), norm)[0].radius
    order = np.random.default_rng(0).permutation(12)
    turned = attacked(model, work.take(order), norm)[0].radius
    assert torch.allclose(cut, whole, rtol=1e-6, atol=0) and torch.allclose(turned, whole[order], rtol=1e-6, atol=0)


@both_norms
def test_the_same_seed_gives_the_same_bytes_and_another_other_starts(norm):
    model = relu().float()
    work = decided(model, grey(12, SHAPE))
    (first, met), (second, again) = (attacked(model, work, norm) for _ in range(2))
    assert torch.equal(first.adversarial, second.adversarial) and np.array_equal(first.by, second.by)
    assert all(np.array_equal(values, vars(again)[name]) for name, values in vars(met).items())
    with seen(model) as batches:
        attacked(model, work, norm, gradients=250)
        first_search = len(batches)
        attacked(model, work, norm, gradients=250, seed=1)
    assert not all(torch.equal(*pair) for pair in zip(batches[:first_search], batches[first_search:]))


@both_norms
def test_more_gradients_never_give_larger_radii(norm):
    model = relu(hidden=(64, 64), seed=2)
    work = decided(model, grey(20, SHAPE).double())
    radii = [attacked(model, work, norm, gradients=gradients)[0].radius for gradients in (30, 60, 130, 300)]
    assert all((more <= fewer).all() for fewer, more in zip(radii, radii[1:]))
    assert radii[-1].mean() < radii[0].mean()


# What is returned


@both_norms
@pytest.mark.parametrize("channels", [1, 3])
def test_radii_are_those_of_the_images_returned_which_are_adversarial_and_in_the_box(norm, channels):
    shape = (channels, 6, 6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4))
    work = decided(model, grey(20, shape, -0.5, 1.5).clamp(0, 1))
    best, _ = attacked(model, work, norm)
    known = best.radius.isfinite()
    assert known.any() and (best.adversarial.amin() >= 0) and (best.adversarial.amax() <= 1)
    assert torch.equal(distances(best.adversarial, work.batch.images, norm)[known], best.radius[known])
    with torch.no_grad():
        assert (model(best.adversarial).argmax(1) != work.batch.labels)[known].all()


@both_norms
@pytest.mark.parametrize("classes", [2, 3, 100])
def test_gradients_and_passes_are_counted_and_limited_whatever_the_number_of_classes(norm, classes):
    model = relu(classes)
    work = decided(model, grey(10, SHAPE).double())
    with evaluating(model), counted(model) as asked:
        _, telemetry = search(model, work, norm, settings(gradients=120, classes=5, steps=20))
    assert telemetry.gradients.max() <= 120 and telemetry.gradients.min() >= 120 - 20
    assert telemetry.gradients.sum() == asked.backward
    assert asked.backward <= asked.forward <= asked.backward + telemetry.passes.sum()


def test_settings_that_allow_no_walk_are_refused():
    with pytest.raises(InputError, match="classes \\+ steps \\+ 1 = 24, got 23"):
        settings(gradients=23)
    with pytest.raises(InputError, match="steps must be positive, got 0"):
        settings(steps=0)


def test_the_walk_is_named_that_found_an_image_not_the_last_that_came_a_little_nearer():
    model = relu(hidden=(64, 64), seed=2)
    best, _ = attacked(model, decided(model, grey(20, SHAPE).double()), "linf", gradients=250)
    walks = {int(name.removeprefix("search ")) for name in best.by}
    assert walks <= set(range(1, 16)) and len(walks) > 1


# Broken defences


class Returned(nn.Module):
    """The same logits, with whatever comes back to the image multiplied by `factor`."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, images: Tensor) -> Tensor:
        copy = images.clone()
        if copy.requires_grad:
            copy.register_hook(lambda gradient: self.factor * gradient)
        return self.model(copy)


@both_norms
def test_gradients_that_are_not_finite_end_nothing_and_are_counted(norm):
    model = relu().float()
    best, telemetry = attacked(Returned(model, torch.nan), decided(model, grey(5, SHAPE)), norm)
    assert (telemetry.nan == 1).all() and (telemetry.zero == 0).all() and not best.radius.isnan().any()


@both_norms
@pytest.mark.parametrize("model", [Flat(0.5), GradientKiller(random_linear(4, SHAPE))])
def test_gradients_of_zero_end_nothing_and_are_counted(norm, model):
    _, telemetry = attacked(model, decided(model, grey(5, SHAPE)), norm)
    assert (telemetry.zero == 1).all() and (telemetry.nan == 0).all()


@both_norms
@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e3, 1e30])
def test_gradients_of_a_wrong_size_are_followed_all_the_same(norm, factor):
    model = random_linear(4, SHAPE)
    work = decided(model, grey(20, SHAPE, 0.0, 1.0))
    radius, exact = attacked(Returned(model, factor), work, norm, gradients=250)[0].radius.numpy(), linear_radii(model, work, norm)
    assert (radius <= 1.01 * exact).all()


def test_late_is_what_the_last_tenth_of_the_gradients_gained():
    """Of 50 gradients one ranks the other class and 45 are two walks, the second of which ends after the 45th."""
    model = relu(classes=2, hidden=(64, 64), seed=2)
    work = decided(model, grey(20, SHAPE).double())
    first, telemetry = attacked(model, work, "linf", gradients=25, steps=23, classes=1)
    assert (telemetry.late == 1).all(), "nothing was known before the only walk"
    second, telemetry = attacked(model, work, "linf", gradients=50, steps=23, classes=1)
    assert np.allclose(telemetry.late, 1 - second.radius / first.radius) and telemetry.late.max() < 0.5
