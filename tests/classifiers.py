"""Small models whose gradients and whose worst perturbations are known in closed form, and spies on what a model is asked."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """Logits <w_k, x> + b_k, from weight (K, C, H, W) and bias (K,): the gradient of logit k is w_k everywhere."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.flatten(1).T + self.bias


def half_space(direction: Tensor, offset: float) -> Linear:
    """Two classes: 1 where <direction, x> > offset; that difference is the difference of the logits, whose sum is zero."""
    return Linear(torch.stack([-direction / 2, direction / 2]), torch.tensor([offset / 2, -offset / 2], dtype=direction.dtype))


def random_linear(classes: int, shape: tuple[int, int, int], seed: int = 0) -> Linear:
    """A linear model with normal weights whose decisions at the grey image are balanced."""
    weight = torch.randn(classes, *shape, generator=torch.Generator().manual_seed(seed))
    return Linear(weight, -0.5 * weight.flatten(1).sum(1))


class Quadratic(nn.Module):
    """Logits x'H_k x / 2 + <b_k, x>, from symmetric H (K, D, D) and b (K, D): the gradient of logit k is H_k x + b_k."""

    def __init__(self, curvature: Tensor, slope: Tensor) -> None:
        super().__init__()
        self.curvature, self.slope = nn.Parameter(curvature.clone()), nn.Parameter(slope.clone())

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        return torch.einsum("ni,kij,nj->nk", flat, self.curvature, flat) / 2 + flat @ self.slope.T


class Scaled(nn.Module):
    """The same decisions as `model`, with logits `factor` times as large."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.model(images)


class Band(nn.Module):
    """Two classes: 1 only where lower < mean pixel < upper, although the gradient says brighter is always better for class 1."""

    def __init__(self, lower: float, upper: float) -> None:
        super().__init__()
        self.lower, self.upper = lower, upper

    def forward(self, images: Tensor) -> Tensor:
        brightness = images.flatten(1).mean(1)
        score = brightness - self.lower - 10.0 * (brightness >= self.upper)
        return torch.stack([torch.zeros_like(score), score], 1)


class Flat(nn.Module):
    """Two classes: 1 where the mean pixel exceeds `limit`; the gradient is zero everywhere."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, images: Tensor) -> Tensor:
        brightness = images.flatten(1).mean(1)
        score = 2.0 * (brightness > self.limit) - 1.0 + 0.0 * brightness
        return torch.stack([torch.zeros_like(score), score], 1)


def smooth(classes: int = 3, shape: tuple[int, int, int] = (1, 4, 4), seed: int = 0, dropout: float = 0.0) -> nn.Sequential:
    """A small random network with a bounded smooth activation, so that finite differences of any order make sense."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        units = shape[0] * shape[1] * shape[2]
        return nn.Sequential(nn.Flatten(), nn.Linear(units, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, classes))


def rounding(epsilon: float, norm: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> float:
    """By how much arithmetic may carry a point of the box out of the ball of radius `epsilon`, as a share of the radius.

    A pixel is the sum of two numbers, and its distance from the image their difference: each is below 1 and rounded by half an eps at
    most. In L2, D such errors have the length sqrt(D); the factor that shortens a perturbation and the length that is measured are off
    by a share of (D / 2 + 2) eps each at most, because a sum of D squares is. With radius 1 this bounds a step of unit length, too.
    """
    eps, pixels = torch.finfo(dtype).eps, math.prod(shape)
    return eps * (math.sqrt(pixels) / epsilon + pixels + 4 if norm == "l2" else 1 / epsilon + 2)


def grey(
    count: int,
    shape: tuple[int, int, int] = (1, 8, 8),
    low: float = 0.3,
    high: float = 0.7,
    seed: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Random images with pixels uniform in [low, high)."""
    return (low + (high - low) * torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))).to(dtype)


@contextmanager
def seen(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect a copy of every batch of images that `model` is given."""
    batches: list[Tensor] = []
    handle = model.register_forward_pre_hook(lambda module, inputs: batches.append(inputs[0].detach().clone()))
    try:
        yield batches
    finally:
        handle.remove()
