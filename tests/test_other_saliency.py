"""Saliency methods beyond the paper's, against captum, models whose answer is known, and what each method promises.

In float64, where no order of sums, which is the processor's choice, comes near the tolerance; float32 where it is what is tested.
"""

import warnings

import captum.attr
import numpy as np
import pytest
import torch
from classifiers import Linear, Quadratic, grey, random_linear, seen, smooth
from torch import Tensor, nn

from lib.base import per_image_rng
from lib.base.errors import InputError
from lib.network import architecture
from lib.network.architecture import Model
from lib.network.batches import Batch
from lib.saliency import gradient_times_input, guided_backprop, integrated_gradients, vargrad
from lib.targets.extraction import saliency_maps

SHAPE = (1, 4, 4)
LABELS = torch.tensor([1, 0, 2, 2, 1])
METHODS = {
    "integrated_gradients": integrated_gradients.Settings(steps=7),
    "vargrad": vargrad.Settings(samples=5, sigma=0.15),
    "gradient_times_input": gradient_times_input.Settings(),
    "guided_backprop": guided_backprop.Settings(),
}
every_method = pytest.mark.parametrize("name", METHODS)


def maps(name: str, model: nn.Module, images: Tensor, settings=None, labels: Tensor = LABELS, rows=range(5)) -> Tensor:
    return saliency_maps.method(name).maps(model, images, labels, settings or METHODS[name], saliency_maps.noise_of(images, rows, 0))


def quadratic() -> Quadratic:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(3, 16, 16, generator=generator)
    return Quadratic(half + half.transpose(1, 2), torch.randn(3, 16, generator=generator)).double()


def relu(bias: bool = True) -> nn.Sequential:
    """Two hidden layers with ReLU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(16, 12, bias), nn.ReLU(), nn.Linear(12, 9, bias), nn.ReLU(), nn.Linear(9, 3, bias)
        ).requires_grad_(False)


def label_logit(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images).gather(1, LABELS[:, None])[:, 0]


# What all methods have in common


@every_method
def test_the_chunk_size_changes_nothing(name):
    model, data = relu().double(), Batch(grey(5, SHAPE).double(), LABELS)
    whole = next(saliency_maps.chunks(model, data, saliency_maps.method(name), METHODS[name], 0, 100))
    assert whole.shape == (5, *SHAPE) and whole.dtype == np.float64 and whole.std() > 1e-4
    for size in (1, 3):
        parts = list(saliency_maps.chunks(model, data, saliency_maps.method(name), METHODS[name], 0, size))
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-9)


@every_method
def test_the_model_comes_back_as_it_was_without_hooks_gradients_or_warnings(name):
    model, images = relu().double().requires_grad_(True).train(), grey(5, SHAPE).double()
    state = torch.get_rng_state()
    list(saliency_maps.chunks(model, Batch(images, LABELS), saliency_maps.method(name), METHODS[name], 0, 2))
    for module in model.modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        assert module.training and not any(hooks)
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert not images.requires_grad and images.grad is None and torch.equal(torch.get_rng_state(), state)


@every_method
def test_the_logits_of_a_network_that_returns_probabilities_are_explained(name):
    settings = Model("cnn", 0.06, None, 0.0, outputs="probabilities")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = architecture.build(settings, (1, 8, 8), 3).double().eval()
    images = grey(5, (1, 8, 8)).double()
    torch.testing.assert_close(maps(name, model, images), maps(name, model.logits_of, images))


@every_method
def test_the_architectures_of_the_paper_can_be_explained(name):
    for settings in (
        Model("cnn", 0.06, None, 0.5),
        Model("wide_resnet", 1, 10, 0.3, conv_bias=False, initialisation="he", final_momentum=0.1),
    ):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = architecture.build(settings, (3, 8, 8), 3)
        (found,) = saliency_maps.chunks(model, Batch(grey(5, (3, 8, 8)), LABELS), saliency_maps.method(name), METHODS[name], 0, 5)
        assert found.dtype == np.float32 and np.isfinite(found).all() and (found.std((1, 2, 3)) > 0).all()


# Integrated gradients


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_the_integrated_gradient_of_a_quadratic_model_is_its_gradient_half_way(steps):
    model, images = quadratic(), grey(5, SHAPE).double()
    flat = images.flatten(1)
    half_way = torch.einsum("nij,nj->ni", model.curvature[LABELS], flat / 2).detach() + model.slope[LABELS].detach()
    for times, expected in [(True, flat * half_way), (False, half_way)]:
        found = maps("integrated_gradients", model, images, integrated_gradients.Settings(steps, times_image=times))
        torch.testing.assert_close(found.flatten(1), expected)


def test_a_map_adds_up_to_the_change_of_the_logit_and_its_mean_gradient_does_so_along_the_image():
    model, images = smooth(3, SHAPE).double(), grey(5, SHAPE, low=0, high=1).double()
    change = label_logit(model, images) - label_logit(model, torch.zeros_like(images))
    times, mean = (maps("integrated_gradients", model, images, integrated_gradients.Settings(40, times)) for times in (True, False))
    torch.testing.assert_close(times.flatten(1).sum(1), change)
    torch.testing.assert_close((mean * images).flatten(1).sum(1), change)
    assert times.min() < 0 < times.max()


def test_the_way_starts_at_black_and_one_point_of_it_is_held_at_a_time():
    model, images = smooth(3, SHAPE).double(), grey(5, SHAPE).double()
    with seen(model) as batches:
        maps("integrated_gradients", model, images, integrated_gradients.Settings(6))
    points = [batch for batch in batches if len(batch) == 5]
    assert max(map(len, batches)) == 5 and len(points) == 6
    shares = sorted(float((batch / images).mean()) for batch in points)
    torch.testing.assert_close(torch.tensor(shares, dtype=torch.float64), torch.from_numpy(np.polynomial.legendre.leggauss(6)[0] / 2 + 0.5))


# VarGrad


def test_a_linear_model_has_no_variance():
    assert maps("vargrad", random_linear(3, SHAPE).double(), grey(5, SHAPE).double()).abs().max() < 1e-10


def test_a_quadratic_model_has_the_variance_of_its_curvature_times_the_noise():
    model, images, settings = quadratic(), grey(5, SHAPE).double(), vargrad.Settings(8, 0.15)
    noise = torch.from_numpy(per_image_rng.normal(0, "saliency", range(5), (8, 16))).double()
    moved = 0.15 * torch.einsum("nij,nsj->nsi", model.curvature[LABELS], noise)
    torch.testing.assert_close(maps("vargrad", model, images, settings).flatten(1), moved.var(1, correction=0).detach())


def test_many_samples_converge_to_sigma_squared_times_the_squared_rows_of_the_curvature():
    """The variance of a normal variable from N draws has the relative error sqrt(2 / N)."""
    model, images, samples = quadratic(), grey(5, SHAPE).double(), 1500
    expected = 0.15**2 * model.curvature[LABELS].square().sum(2).detach()
    found = maps("vargrad", model, images, vargrad.Settings(samples, 0.15)).flatten(1)
    error = (found / expected - 1) / (2 / samples) ** 0.5
    assert error.abs().max() < 4.5 and 0.7 < error.std() < 1.3


def test_vargrad_is_captums_for_the_same_noise():
    model, images = smooth(3, SHAPE).double(), grey(5, SHAPE).double()
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
    how = {"nt_type": "vargrad", "nt_samples": 7, "stdevs": 0.15, "target": LABELS, "abs": False}
    with torch.random.fork_rng(), seen(model) as batches, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = tunnel.attribute(images.clone().requires_grad_(), **how)
    noise = (torch.cat(batches).view(5, 7, *SHAPE) - images[:, None]) / 0.15
    found = vargrad.maps(model, images, LABELS, vargrad.Settings(7, 0.15), lambda count: noise)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=0)
    assert found.min() >= 0


def test_the_variance_of_large_gradients_is_not_lost_to_rounding():
    """A gradient of about 1e4 with a deviation of 0.1: the difference of mean square and squared mean would have an error of 10."""
    model = Quadratic(torch.eye(16).expand(3, -1, -1), torch.full((3, 16), 1e4))
    found = maps("vargrad", model, grey(5, SHAPE), vargrad.Settings(400, 0.1))
    assert found.mean().item() == pytest.approx(0.01, rel=0.05)


# Gradient times input


def test_gradient_times_input_is_captums():
    model, images = smooth(3, SHAPE).double(), grey(5, SHAPE).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = captum.attr.InputXGradient(model).attribute(images.clone().requires_grad_(), target=LABELS)
    torch.testing.assert_close(maps("gradient_times_input", model, images), expected.detach())


def test_without_biases_a_map_adds_up_to_the_logit_and_is_zero_where_the_image_is_black():
    model, images = relu(bias=False).double(), grey(5, SHAPE).double()
    images[:, :, :2] = 0
    found = maps("gradient_times_input", model, images)
    torch.testing.assert_close(found.flatten(1).sum(1), label_logit(model, images))
    assert not found[:, :, :2].any() and found[:, :, 2:].min() < 0 < found.max()


# Guided backpropagation


def test_guided_backprop_is_the_gradient_with_what_is_negative_stopped_at_every_relu():
    model, images = relu().double(), grey(5, SHAPE).double()
    first, second, last = (model[index].weight for index in (1, 3, 5))
    before, after = model[:2](images), model[:4](images)
    guided = last[LABELS].clamp_min(0) * (after > 0)
    guided = (guided @ second).clamp_min(0) * (before > 0)
    expected = guided @ first
    torch.testing.assert_close(maps("guided_backprop", model, images).flatten(1), expected)
    plain = ((last[LABELS] * (after > 0)) @ second * (before > 0)) @ first
    assert (expected - plain).abs().max() > 0.01 and expected.min() < 0


def test_one_relu_module_that_is_used_twice_is_guided_both_times():
    shared, images = relu().double(), grey(5, SHAPE).double()
    expected = maps("guided_backprop", shared, images)
    shared[4] = shared[2]
    torch.testing.assert_close(maps("guided_backprop", shared, images), expected)


def test_a_model_without_relu_modules_is_refused():
    with pytest.raises(InputError, match="guided_backprop needs a model with ReLU modules, this one has none"):
        maps("guided_backprop", Linear(torch.randn(3, *SHAPE), torch.zeros(3)), grey(5, SHAPE).double())


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: integrated_gradients.Settings(0), "steps must be positive, got 0"),
        (lambda: vargrad.Settings(1, 0.15), "samples must be 2 or more to have a variance, got 1"),
        (lambda: vargrad.Settings(2, 0.0), "sigma must be positive, got 0"),
    ],
)
def test_unusable_settings_are_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
