"""Saliency maps against captum, closed forms of linear and quadratic models, and the independence of each image.

In float64, where no order of sums, which is the processor's choice, comes near the tolerance.
"""

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from classifiers import Quadratic, grey, random_linear, seen, smooth
from torch import Tensor

from lib.base import per_image_rng
from lib.base.errors import InputError
from lib.network.batches import Batch
from lib.saliency import simple, smoothgrad
from lib.targets.extraction import saliency_maps

SHAPE = (1, 4, 4)
LABELS = torch.tensor([1, 0, 2, 2, 1])


def settings(**changes) -> smoothgrad.Settings:
    return smoothgrad.Settings(**{"samples": 8, "sigma": 0.15, "clamp": False, "include_clean": False, **changes})


def smoothed(model, images: Tensor, labels: Tensor = LABELS, rows=range(5), seed: int = 0, **changes) -> Tensor:
    return smoothgrad.maps(model, images, labels, settings(**changes), saliency_maps.noise_of(images, rows, seed))


def isotropic(curvature: float) -> Quadratic:
    """Logits h |x|^2 / 2 for all three classes: the gradient at x is h x."""
    return Quadratic(curvature * torch.eye(16).expand(3, -1, -1), torch.zeros(3, 16)).double()


def quadratic() -> Quadratic:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(3, 16, 16, generator=generator)
    return Quadratic(half + half.transpose(1, 2), torch.randn(3, 16, generator=generator)).double()


@pytest.fixture
def captum() -> Iterator:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import captum.attr

        yield captum.attr


def test_the_simple_gradient_is_captums_signed_saliency(captum):
    model, images = smooth(3, SHAPE).double(), grey(5, SHAPE).double()
    expected = captum.Saliency(model).attribute(images.clone().requires_grad_(), target=LABELS, abs=False)
    found = simple.maps(model, images, LABELS, simple.Settings(), saliency_maps.noise_of(images, range(5), 0))
    torch.testing.assert_close(found, expected)
    assert found.min() < 0 < found.max()


@pytest.mark.parametrize("samples", [1, 7])
def test_smoothgrad_is_captums_noise_tunnel_for_the_same_noise(captum, samples):
    """Without clamp and clean image. The noise is read off the images that captum shows the model."""
    model, images = smooth(3, SHAPE).double(), grey(5, SHAPE).double()
    tunnel = captum.NoiseTunnel(captum.Saliency(model))
    how = {"nt_type": "smoothgrad", "nt_samples": samples, "stdevs": 0.15, "target": LABELS, "abs": False}
    with torch.random.fork_rng(), seen(model) as batches:
        expected = tunnel.attribute(images.clone().requires_grad_(), **how)
    noise = (torch.cat(batches).view(5, samples, *SHAPE) - images[:, None]) / 0.15
    assert 0.7 < noise.std() < 1.3
    found = smoothgrad.maps(model, images, LABELS, settings(samples=samples), lambda count: noise)
    torch.testing.assert_close(found, expected.detach())


@pytest.mark.parametrize("samples", [1, 4, 50])
@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("clean", [True, False])
def test_a_linear_model_gives_the_weights_of_the_label_whatever_the_noise(samples, clamp, clean):
    model = random_linear(3, SHAPE).double()
    found = smoothed(model, grey(5, SHAPE).double(), samples=samples, clamp=clamp, include_clean=clean)
    torch.testing.assert_close(found, model.weight.detach()[LABELS])
    assert found.min() < 0 < found.max()


def test_a_quadratic_model_gives_its_gradient_at_the_mean_of_the_noisy_copies():
    model, images = quadratic(), grey(5, SHAPE).double()
    noise = torch.from_numpy(per_image_rng.normal(0, "saliency", range(5), (8, *SHAPE))).double()
    centre = (images + 0.15 * noise.mean(1)).flatten(1)
    expected = torch.einsum("nij,nj->ni", model.curvature[LABELS], centre) + model.slope[LABELS]
    torch.testing.assert_close(smoothed(model, images).flatten(1), expected.detach())


def test_many_samples_of_a_quadratic_model_converge_to_its_gradient():
    """The error of one component is normal with deviation sigma |row of H| / sqrt(N)."""
    model, images, samples = quadratic(), grey(5, SHAPE).double(), 1000
    expected = torch.einsum("nij,nj->ni", model.curvature[LABELS], images.flatten(1)) + model.slope[LABELS]
    error = smoothed(model, images, samples=samples).flatten(1) - expected
    standard = (error / (0.15 * model.curvature[LABELS].norm(dim=2) / samples**0.5)).detach()
    assert standard.abs().max() < 4.5 and 0.7 < standard.std() < 1.3


def test_clamping_shifts_the_noise_of_a_black_image_to_the_half_normal_mean():
    """E max(0, sigma z) = sigma / sqrt(2 pi); without the clamp it is zero."""
    black, samples = torch.zeros(5, *SHAPE).double(), 400
    clamped, free = (smoothed(isotropic(2.0), black, samples=samples, clamp=clamp) for clamp in (True, False))
    assert clamped.mean().item() == pytest.approx(2 * 0.15 / math.sqrt(2 * math.pi), rel=0.03)
    assert abs(free.mean().item()) < 0.005 and clamped.min() > 0


def test_the_noisy_copies_are_clamped_to_the_box_only_if_asked():
    model, images = smooth(3, SHAPE).double(), grey(5, SHAPE, low=0, high=1).double()
    with seen(model) as clamped:
        smoothed(model, images, sigma=1.0, clamp=True)
    with seen(model) as free:
        smoothed(model, images, sigma=1.0)
    assert torch.equal(torch.cat(clamped), torch.cat(free).clamp(0, 1))
    assert torch.cat(free).min() < -0.5 and torch.cat(free).max() > 1.5


def test_the_clean_image_counts_as_one_more_copy():
    model, images = quadratic(), grey(5, SHAPE).double()
    clean = simple.maps(model, images, LABELS, simple.Settings(), saliency_maps.noise_of(images, range(5), 0))
    torch.testing.assert_close(smoothed(model, images, include_clean=True), (8 * smoothed(model, images) + clean) / 9)


def test_sigma_is_the_standard_deviation_in_pixel_units():
    model, images = smooth(3, SHAPE).double(), torch.full((5, *SHAPE), 0.5).double()
    with seen(model) as batches:
        smoothed(model, images, sigma=0.2, samples=50)
    noise = torch.cat(batches) - 0.5
    assert noise.std().item() == pytest.approx(0.2, rel=0.05) and abs(noise.mean().item()) < 0.01


def test_the_noise_of_an_image_depends_on_seed_and_row_only():
    model, images = quadratic(), grey(5, SHAPE).double()
    rows = np.array([30, 31, 32, 33, 34])
    together = smoothed(model, images, rows=rows)
    alone = [smoothed(model, images[i : i + 1], LABELS[i : i + 1], rows[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(torch.cat(alone), together)
    backwards = smoothed(model, images.flip(0), LABELS.flip(0), rows[::-1])
    torch.testing.assert_close(backwards.flip(0), together)
    assert not torch.isclose(smoothed(model, images, rows=rows, seed=1), together).any()
    assert not torch.isclose(smoothed(model, images, rows=rows + 5), together).any()


@pytest.mark.parametrize("name", ["simple", "smoothgrad"])
def test_the_chunk_size_changes_nothing(name):
    model = smooth(3, SHAPE, dropout=0.5).double().train()
    data = Batch(grey(7, SHAPE).double(), torch.tensor([1, 0, 2, 2, 1, 0, 0]))
    chosen = saliency_maps.method(name)
    plan = settings() if name == "smoothgrad" else simple.Settings()
    parts = {size: list(saliency_maps.chunks(model, data, chosen, plan, 0, size)) for size in (1, 3, 7, 100)}
    assert [len(part) for part in parts[3]] == [3, 3, 1]
    whole = parts[100][0]
    assert whole.shape == (7, *SHAPE) and whole.dtype == np.float64
    for part in parts.values():
        np.testing.assert_allclose(np.concatenate(part), whole, rtol=1e-9)
    expected = chosen.maps(model.eval(), data.images, data.labels, plan, saliency_maps.noise_of(data.images, range(7), 0))
    np.testing.assert_allclose(whole, expected.numpy(), rtol=1e-9)


def test_extraction_uses_eval_mode_and_gives_the_model_back_as_it_was():
    model = smooth(3, SHAPE, dropout=0.5).double().train()
    modes = []
    model.register_forward_hook(lambda module, inputs, output: modes.append((module.training, module[1].weight.requires_grad)))
    random = torch.get_rng_state()
    list(saliency_maps.chunks(model, Batch(grey(5, SHAPE).double(), LABELS), smoothgrad, settings(), 0, 2))
    assert set(modes) == {(False, False)} and model.training and model[1].weight.requires_grad
    assert torch.equal(torch.get_rng_state(), random)


class Softmax(torch.nn.Module):
    """Probabilities of a linear model, whose logits are kept as a network's are."""

    def __init__(self, logits_of: torch.nn.Module) -> None:
        super().__init__()
        self.logits_of = logits_of

    def forward(self, images: Tensor) -> Tensor:
        return self.logits_of(images).softmax(1)


@pytest.mark.parametrize("method", ["simple", "smoothgrad"])
def test_of_a_network_that_returns_probabilities_its_logits_or_these_are_differentiated(method):
    """With logits W x the rows are w_c and p_c (w_c - sum_k p_k w_k); a tiny sigma makes SmoothGrad the gradient at the image."""
    linear, images = random_linear(3, SHAPE).double(), grey(5, SHAPE).double()
    weight, shares = linear.weight.detach().flatten(1), linear(images).detach().softmax(1)
    of_probabilities = shares.gather(1, LABELS[:, None]) * (weight[LABELS] - shares @ weight)
    chosen, noise = saliency_maps.method(method), saliency_maps.noise_of(images, range(5), 0)
    for of, expected in (("logits", weight[LABELS]), ("outputs", of_probabilities)):
        plan = simple.Settings(of) if method == "simple" else settings(sigma=1e-6, of=of)
        found = chosen.maps(Softmax(linear), images, LABELS, plan, noise)
        torch.testing.assert_close(found.flatten(1), expected, rtol=1e-4, atol=1e-6)
        if of == "logits":
            torch.testing.assert_close(chosen.maps(linear, images, LABELS, plan, noise), found)


def test_unusable_settings_and_names_are_refused():
    for changes, sentence in [({"samples": 0}, "samples .* must be positive, got 0"), ({"sigma": 0.0}, "sigma must be positive, got 0")]:
        with pytest.raises(InputError, match=sentence):
            settings(**changes)
    for name in ("gradcam", "../simple", ""):
        with pytest.raises(InputError, match="saliency method must be a file in lib/saliency"):
            saliency_maps.method(name)
    with pytest.raises(InputError, match="saliency.batch_size must be positive, got 0"):
        list(saliency_maps.chunks(smooth(3, SHAPE).double(), Batch(grey(5, SHAPE).double(), LABELS), simple, simple.Settings(), 0, 0))
