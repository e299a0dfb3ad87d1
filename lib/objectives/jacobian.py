"""Jacobian regularization (Eq. 13; Hoffman et al. 2019): cross-entropy + lambda_j times a penalty on the input-logits Jacobian J.

The squared Frobenius norm of J is estimated from random unit vectors v in logit space: E ||v^T J||^2 = ||J||_F^2 / K for K classes.
Eq. 14 of the paper leaves out the factor K; Hoffman et al. and the authors' code have it.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import require
from lib.network import processes
from lib.network.batches import Batch
from lib.network.input_gradients import jacobian

SECOND_ORDER = True  # gradients of gradients are taken


@dataclass(frozen=True)
class Settings:
    """The penalty and how its Jacobian is found.

    form: "half_squared" is ||J||_F^2 / 2 (Hoffman et al., and the authors' code with projections), "norm" is ||J||_F (Eq. 13).
    class_factor: whether an estimate has the factor K; without it (Eq. 14 as printed) it is K times too small.
    projections: random vectors per image, or 0 for the exact Jacobian by one backward pass per class.
    masks: "shared" takes all rows of an exact Jacobian from the forward pass of the cross-entropy; "per_row" repeats every image K
        times in a second one, so that each row belongs to a dropout mask of its own (the authors' exact variant).
    reduction: "sample" averages the penalty over images; "batch" takes it of the whole batch's Jacobian (the authors' exact variant).
    batch_divisor: batch size and learning rate are divided by it (the authors' runs on CIFAR-10: 8).
    epochs: the row's own number of them.
    """

    lambda_j: float
    form: Literal["half_squared", "norm"]
    projections: int
    reduction: Literal["batch", "sample"]
    class_factor: bool = True
    masks: Literal["shared", "per_row"] = "shared"
    batch_divisor: int = 1
    epochs: int | None = None

    def __post_init__(self) -> None:
        require(self.lambda_j >= 0, f"lambda_j must not be negative, got {self.lambda_j}")
        require(self.projections >= 0, f"projections must be 0 (exact) or more, got {self.projections}")
        require(self.batch_divisor > 0, f"batch_divisor must be positive, got {self.batch_divisor}")
        exact = self.projections == 0
        require(exact or self.masks == "shared", f"masks must be shared with projections, per_row needs 0 of them, got {self.projections}")
        require(self.class_factor or not exact, "class_factor must be true for the exact Jacobian (projections 0), got false")
        require(self.epochs is None or self.epochs > 0, f"epochs must be positive or null, got {self.epochs}")


def loss(model: nn.Module, batch: Batch, noise: torch.Generator, settings: Settings) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy + lambda_j penalty on one batch, and its terms: cross_entropy, jacobian_norm (mean estimate), train_accuracy."""
    images = batch.images.detach().requires_grad_(True)
    logits = model(images)
    cross_entropy = functional.cross_entropy(logits, batch.labels)
    squares = _squares(model, logits, images, noise, settings)
    total = cross_entropy + settings.lambda_j * penalty(squares, settings.form, settings.reduction)
    terms = {"cross_entropy": cross_entropy, "jacobian_norm": squares.detach().sqrt().mean()}
    return total, terms | {"train_accuracy": (logits.argmax(1) == batch.labels).float().mean()}


def _squares(model: nn.Module, logits: Tensor, images: Tensor, noise: torch.Generator, settings: Settings) -> Tensor:
    if settings.masks == "per_row":
        return squared_norms_of_own_masks(model, images.detach(), logits.shape[1])
    return squared_norms(logits, images, settings.projections, noise, settings.class_factor)


def squared_norms(logits: Tensor, images: Tensor, projections: int, noise: torch.Generator, class_factor: bool = True) -> Tensor:
    """Squared Frobenius norm of each image's input-logits Jacobian, (N,), exact or estimated without bias; differentiable.

    Raises:
        InputError: `images` does not require a gradient.
    """
    require(images.requires_grad, "images must require a gradient before the forward pass, they do not")
    if projections == 0:
        return jacobian(logits, images, keep_graph=True).flatten(1).square().sum(1)
    total = torch.zeros(len(logits), dtype=logits.dtype, device=logits.device)
    for _ in range(projections):
        vectors = processes.drawn(torch.randn, logits.shape, noise, dtype=logits.dtype, device=logits.device)
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
        row = torch.autograd.grad((vectors * logits).sum(), images, create_graph=True)[0]
        total = total + row.flatten(1).square().sum(1)
    return total * (logits.shape[1] if class_factor else 1) / projections


def squared_norms_of_own_masks(model: nn.Module, images: Tensor, classes: int) -> Tensor:
    """The same, exact, of one forward pass of every image repeated once per class: row k is the gradient of copy k's logit k."""
    copies = images.repeat_interleave(classes, 0).requires_grad_(True)
    own = model(copies).view(len(images), classes, classes).diagonal(dim1=1, dim2=2)
    rows = torch.autograd.grad(own.sum(), copies, create_graph=True)[0]
    return rows.reshape(len(images), -1).square().sum(1)


def penalty(squares: Tensor, form: str, reduction: str) -> Tensor:
    """The penalty made of per-image squared norms (N,).

    >>> squares = torch.tensor([9.0, 16.0])
    >>> [penalty(squares, form, reduction).item() for form in ("half_squared", "norm") for reduction in ("sample", "batch")]
    [6.25, 12.5, 3.5, 5.0]
    """
    if form == "half_squared":
        return squares.mean() / 2 if reduction == "sample" else processes.summed(squares.sum()) / 2
    # The square root has no gradient at zero, where a dead network or a padded map would put it.
    return squares.clamp_min(1e-24).sqrt().mean() if reduction == "sample" else processes.summed(squares.sum()).clamp_min(1e-24).sqrt()
