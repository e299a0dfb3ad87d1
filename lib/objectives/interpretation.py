"""Interpretation Regularization (Eq. 9): cross-entropy - lambda_d cos(J_c, I) + lambda_m ||J_c||."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import require
from lib.gradients import label_logit_gradient
from lib.network.batches import Batch


@dataclass(frozen=True)
class Settings:
    """`reduction` of the norm: "sample" is the mean of per-image norms (Eq. 9 as printed), "batch" the Frobenius norm of the whole
    batch's gradients (the authors' code), which for equal norms is sqrt(N) times larger."""

    lambda_d: float
    lambda_m: float
    reduction: Literal["batch", "sample"]

    def __post_init__(self) -> None:
        require(self.lambda_d >= 0, f"lambda_d must not be negative, got {self.lambda_d}")
        require(self.lambda_m >= 0, f"lambda_m must not be negative, got {self.lambda_m}")


def loss(model: nn.Module, batch: Batch, noise: torch.Generator, settings: Settings) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 9 on one batch, and its terms: cross_entropy, cosine (mean), gradient_norm (mean per image), train_accuracy."""
    require(batch.targets is not None, "interpretation regularization needs a target for every image, the batch has none")
    assert batch.targets is not None
    images = batch.images.detach().requires_grad_(True)
    logits = model(images)
    gradient = label_logit_gradient(logits, images, batch.labels, keep_graph=True).flatten(1)
    cross_entropy = functional.cross_entropy(logits, batch.labels)
    cosine = functional.cosine_similarity(gradient, batch.targets.flatten(1), dim=1).mean()
    total = cross_entropy - settings.lambda_d * cosine + settings.lambda_m * penalty(gradient, settings.reduction)
    terms = {"cross_entropy": cross_entropy, "cosine": cosine, "gradient_norm": gradient.detach().norm(dim=1).mean()}
    return total, terms | {"train_accuracy": (logits.argmax(1) == batch.labels).float().mean()}


def penalty(gradient: Tensor, reduction: str) -> Tensor:
    """Norm of gradients (N, D): mean over images, or one norm of them all.

    >>> gradient = torch.tensor([[3.0, 4.0], [0.0, 5.0]])
    >>> penalty(gradient, "sample").item(), round(penalty(gradient, "batch").item() ** 2, 3)
    (5.0, 50.0)
    """
    return gradient.norm(dim=1).mean() if reduction == "sample" else gradient.norm()
