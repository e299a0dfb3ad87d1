"""Jacobian regularization (Eq. 13; Hoffman et al. 2019): cross-entropy + lambda_j times a penalty on the input-logits Jacobian J.

The squared Frobenius norm of J is estimated from random unit vectors v in logit space: E ||v^T J||^2 = ||J||_F^2 / K for K classes.
Eq. 14 of the paper leaves out the factor K; Hoffman et al. and the authors' code have it, and so has this file.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import require
from lib.gradients import jacobian
from lib.network.batches import Batch


@dataclass(frozen=True)
class Settings:
    """`form`: "half_squared" is ||J||_F^2 / 2 (Hoffman et al., and the authors' code with projections), "norm" is ||J||_F (Eq. 13).

    `projections`: random vectors per image, or 0 for the exact Jacobian by one backward pass per class.
    `reduction`: "sample" averages the penalty over images; "batch" takes it of the whole batch's Jacobian (with "norm", the
    authors' exact variant).
    """

    lambda_j: float
    form: Literal["half_squared", "norm"]
    projections: int
    reduction: Literal["batch", "sample"]

    def __post_init__(self) -> None:
        require(self.lambda_j >= 0, f"lambda_j must not be negative, got {self.lambda_j}")
        require(self.projections >= 0, f"projections must be 0 (exact) or more, got {self.projections}")


def loss(model: nn.Module, batch: Batch, noise: torch.Generator, settings: Settings) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy + lambda_j penalty on one batch, and its terms: cross_entropy, jacobian_norm (mean estimate), train_accuracy."""
    images = batch.images.detach().requires_grad_(True)
    logits = model(images)
    cross_entropy = functional.cross_entropy(logits, batch.labels)
    squares = squared_norms(logits, images, settings.projections, noise)
    total = cross_entropy + settings.lambda_j * penalty(squares, settings.form, settings.reduction)
    terms = {"cross_entropy": cross_entropy, "jacobian_norm": squares.detach().sqrt().mean()}
    return total, terms | {"train_accuracy": (logits.argmax(1) == batch.labels).float().mean()}


def squared_norms(logits: Tensor, images: Tensor, projections: int, noise: torch.Generator) -> Tensor:
    """Squared Frobenius norm of each image's input-logits Jacobian, (N,), exact or estimated without bias; differentiable.

    Raises:
        InputError: `images` does not require a gradient.
    """
    require(images.requires_grad, "images must require a gradient before the forward pass, they do not")
    if projections == 0:
        return jacobian(logits, images, keep_graph=True).flatten(1).square().sum(1)
    total = torch.zeros(len(logits), dtype=logits.dtype, device=logits.device)
    for _ in range(projections):
        vectors = torch.randn(logits.shape, generator=noise, dtype=logits.dtype, device=logits.device)
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
        row = torch.autograd.grad((vectors * logits).sum(), images, create_graph=True)[0]
        total = total + row.flatten(1).square().sum(1)
    return total * logits.shape[1] / projections


def penalty(squares: Tensor, form: str, reduction: str) -> Tensor:
    """The penalty made of per-image squared norms (N,).

    >>> squares = torch.tensor([9.0, 16.0])
    >>> [penalty(squares, form, reduction).item() for form in ("half_squared", "norm") for reduction in ("sample", "batch")]
    [6.25, 12.5, 3.5, 5.0]
    """
    if form == "half_squared":
        return squares.mean() / 2 if reduction == "sample" else squares.sum() / 2
    # The square root has no gradient at zero, where a dead network or a padded map would put it.
    return squares.clamp_min(1e-24).sqrt().mean() if reduction == "sample" else squares.sum().clamp_min(1e-24).sqrt()
