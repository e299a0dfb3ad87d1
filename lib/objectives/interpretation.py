"""Interpretation Regularization (Eq. 9): cross-entropy - lambda_d cos(J_c, I) + lambda_m ||J_c||."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import require
from lib.network import processes
from lib.network.batches import Batch
from lib.network.input_gradients import label_logit_gradient
from lib.network.model_state import mode

Reduction = Literal["sample", "batch", "square"]


SECOND_ORDER = True  # gradients of gradients are taken


@dataclass(frozen=True)
class Settings:
    """How gradients are shaped.

    reduction: of the norm. "sample" is the mean of per-image norms (Eq. 9 as printed), "batch" the Frobenius norm of the whole
        batch's gradients (the authors' code), for equal norms sqrt(N) times larger, "square" the mean of squared norms.
    mode: the model's mode in the forward pass that J_c belongs to. In "train" it is the pass of the cross-entropy, with its dropout
        mask (the authors' code); "eval" takes one more pass, of the network that is attacked and measured later.
    epochs: the row's own number of them.
    """

    lambda_d: float
    lambda_m: float
    reduction: Reduction
    mode: Literal["train", "eval"] = "train"
    epochs: int | None = None

    def __post_init__(self) -> None:
        require(self.lambda_d >= 0, f"lambda_d must not be negative, got {self.lambda_d}")
        require(self.lambda_m >= 0, f"lambda_m must not be negative, got {self.lambda_m}")
        require(self.epochs is None or self.epochs > 0, f"epochs must be positive or null, got {self.epochs}")


def loss(model: nn.Module, batch: Batch, noise: torch.Generator, settings: Settings) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 9 on one batch, and its terms: cross_entropy, cosine (mean), gradient_norm (mean per image), train_accuracy."""
    require(batch.targets is not None, "interpretation regularization needs a target for every image, the batch has none")
    assert batch.targets is not None
    images = batch.images.detach().requires_grad_(True)
    # The pass in train mode comes first: it changes the running statistics that a pass in eval mode must keep for its derivatives.
    logits = model(images if settings.mode == "train" else batch.images)
    gradient = _gradient(model, logits, images, batch.labels, settings).flatten(1)
    cross_entropy = functional.cross_entropy(logits, batch.labels)
    cosine = functional.cosine_similarity(gradient, batch.targets.flatten(1), dim=1).mean()
    total = cross_entropy - settings.lambda_d * cosine + settings.lambda_m * penalty(gradient, settings.reduction)
    terms = {"cross_entropy": cross_entropy, "cosine": cosine, "gradient_norm": gradient.detach().norm(dim=1).mean()}
    return total, terms | {"train_accuracy": (logits.argmax(1) == batch.labels).float().mean()}


def _gradient(model: nn.Module, logits: Tensor, images: Tensor, labels: Tensor, settings: Settings) -> Tensor:
    """J_c (N, C, H, W) with its graph, of the pass that `logits` come from or of one in eval mode."""
    if settings.mode == "train":
        return label_logit_gradient(logits, images, labels, keep_graph=True)
    with mode(model, training=False):
        return label_logit_gradient(model(images), images, labels, keep_graph=True)


def penalty(gradient: Tensor, reduction: Reduction) -> Tensor:
    """Norm of gradients (N, D): mean over images, one norm of them all, or the mean of squares.

    >>> gradient = torch.tensor([[3.0, 4.0], [0.0, 5.0]])
    >>> penalty(gradient, "sample").item(), round(penalty(gradient, "batch").item() ** 2, 3), penalty(gradient, "square").item()
    (5.0, 50.0, 25.0)
    """
    if reduction == "square":
        return gradient.square().sum(1).mean()
    return gradient.norm(dim=1).mean() if reduction == "sample" else processes.norm(gradient)
