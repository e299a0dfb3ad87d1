"""Distillation (Hinton et al. 2015): cross-entropy + lambda_k T^2 KL(teacher || student), both softened by the temperature T.

The terms of Interpretation Regularization (Eq. 9) can be added, - lambda_d cos(J_c, I) + lambda_m ||J_c||, which matches gradients and
answers at once (as Shao et al. 2021 do with the gradients of the loss).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import require
from lib.network.batches import Batch
from lib.network.input_gradients import label_logit_gradient
from lib.objectives import interpretation

SECOND_ORDER = True  # gradients of gradients are taken


@dataclass(frozen=True)
class Settings:
    """With lambda_d = lambda_m = 0 no gradient is matched, which needs no targets and no second derivatives.

    `reduction` of the gradients' norm as in lib/objectives/interpretation.py. The factor T^2 keeps the gradients of the divergence at
    one size whatever the temperature. `epochs`: the row's own number of them.
    """

    lambda_k: float
    temperature: float
    lambda_d: float
    lambda_m: float
    reduction: interpretation.Reduction
    epochs: int | None = None

    def __post_init__(self) -> None:
        for name in ("lambda_k", "lambda_d", "lambda_m"):
            require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")
        require(self.temperature > 0, f"temperature must be positive, got {self.temperature}")
        require(self.epochs is None or self.epochs > 0, f"epochs must be positive or null, got {self.epochs}")

    @property
    def matches_gradients(self) -> bool:
        """Whether the loss asks anything of the student's input gradients."""
        return self.lambda_d > 0 or self.lambda_m > 0


def loss(
    model: nn.Module, batch: Batch, noise: torch.Generator, settings: Settings, teacher: nn.Module
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss on one batch and its terms: cross_entropy, divergence (mean per image, without T^2), train_accuracy; where gradients
    are matched also gradient_norm and, with targets, cosine.

    `teacher` is in eval mode and sees the images that the student sees; it learns nothing.

    Raises:
        InputError: a network returns probabilities, the teacher has other classes, or lambda_d is above 0 and there are no targets.
    """
    _check(model, teacher, batch, settings)
    images = batch.images.detach().requires_grad_(settings.matches_gradients)
    logits = model(images)
    with torch.no_grad():
        answers = teacher(batch.images)
    cross_entropy = functional.cross_entropy(logits, batch.labels)
    difference = divergence(answers, logits, settings.temperature)
    total = cross_entropy + settings.lambda_k * settings.temperature**2 * difference
    terms = {"cross_entropy": cross_entropy, "divergence": difference}
    if settings.matches_gradients:
        gradient = label_logit_gradient(logits, images, batch.labels, keep_graph=True).flatten(1)
        total, matched = _matched(total, gradient, batch.targets, settings)
        terms |= matched
    return total, terms | {"train_accuracy": (logits.argmax(1) == batch.labels).float().mean()}


def additive(settings: Settings) -> bool:
    """Whether the loss of a batch is the mean of what its images give (lib/training/objective.py)."""
    return settings.reduction != "batch" or settings.lambda_m == 0


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """KL(softmax(teacher / T) || softmax(student / T)) of logits (N, K), in nats, averaged over images.

    >>> logits = torch.tensor([[0.0, 2.0]])
    >>> divergence(logits, logits, 4.0).item()
    0.0

    Raises:
        InputError: the two have different numbers of classes.
    """
    require(teacher.shape == student.shape, f"expected a teacher with {student.shape[1]} classes, got one with {teacher.shape[1]}")
    known, learned = (functional.log_softmax(logits / temperature, 1) for logits in (teacher, student))
    return functional.kl_div(learned, known, reduction="batchmean", log_target=True)


def _check(model: nn.Module, teacher: nn.Module, batch: Batch, settings: Settings) -> None:
    for name, network in {"student": model, "teacher": teacher}.items():
        require(not hasattr(network, "logits_of"), f"distillation compares logits, the {name} returns probabilities (model.outputs)")
    require(settings.lambda_d == 0 or batch.targets is not None, "lambda_d above 0 needs a target for every image, the batch has none")


def _matched(total: Tensor, gradient: Tensor, targets: Tensor | None, settings: Settings) -> tuple[Tensor, dict[str, Tensor]]:
    """`total` with the terms of Eq. 9 added for gradients (N, D), and these terms by name."""
    terms = {"gradient_norm": gradient.detach().norm(dim=1).mean()}
    if targets is not None:
        terms["cosine"] = functional.cosine_similarity(gradient, targets.flatten(1), dim=1).mean()
        total = total - settings.lambda_d * terms["cosine"]
    return total + settings.lambda_m * interpretation.penalty(gradient, settings.reduction), terms
