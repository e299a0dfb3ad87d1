"""Cross-entropy on PGD examples in place of the images (Sec. 3.2; Madry et al. 2018), or on the images themselves.

The loop stands here and not in lib/attacks, so that an attack can gain restarts or losses without retraining anything.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import require
from lib.network import processes, projections
from lib.network.batches import Batch
from lib.network.model_state import frozen, mode


@dataclass(frozen=True)
class Settings:
    """`epsilon` null is standard training. `mode` is the model's mode while examples are crafted (the authors' code: train),
    `semantics` the rules of lib/network/projections.py (the authors' code: paper), `epochs` the row's own number of them.

    ramp: first share of the training in which epsilon and step_size grow from 0 to what they are. At a large radius a network may see
        nothing to learn in its first epochs, sometimes for half of a short training.
    """

    epsilon: float | None
    norm: Literal["l2", "linf"]
    step_size: float
    steps: int
    mode: Literal["train", "eval"]
    semantics: Literal["paper", "strict"]
    epochs: int | None = None
    ramp: float = 0.0

    def __post_init__(self) -> None:
        require(self.epsilon is None or self.epsilon > 0, f"epsilon must be positive or null, got {self.epsilon}")
        require(self.step_size > 0, f"step_size must be positive, got {self.step_size}")
        require(self.steps > 0, f"steps must be positive, got {self.steps}")
        require(self.epochs is None or self.epochs > 0, f"epochs must be positive or null, got {self.epochs}")
        require(0 <= self.ramp <= 0.5, f"ramp must lie in [0, 0.5], got {self.ramp}")

    def at(self, progress: float) -> "Settings":
        """The attack where the share `progress` of the training, above 0, is done."""
        if self.epsilon is None or progress >= self.ramp:
            return self
        grown = progress / self.ramp
        return replace(self, epsilon=self.epsilon * grown, step_size=self.step_size * grown)


def loss(model: nn.Module, batch: Batch, noise: torch.Generator, settings: Settings) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean cross-entropy on crafted examples (clean images where epsilon is null), and the share of them classified correctly."""
    images = batch.images if settings.epsilon is None else examples(model, batch, noise, settings.at(batch.progress))
    logits = model(images)
    return functional.cross_entropy(logits, batch.labels), {"train_accuracy": (logits.argmax(1) == batch.labels).float().mean()}


def additive(settings: Settings) -> bool:
    """Whether the loss of a batch is the mean of what its images give (lib/training/objective.py).

    Under the floor of the paper's rules a step depends on how many images share the mean loss.
    """
    return settings.epsilon is None or not projections.semantics(settings.semantics).mean_loss


def examples(model: nn.Module, batch: Batch, noise: torch.Generator, settings: Settings) -> Tensor:
    """The last iterate of PGD from a random start, (N, C, H, W) in [0, 1] and within epsilon of the batch's images."""
    assert settings.epsilon is not None
    rule, images = projections.semantics(settings.semantics), batch.images
    adversarial = projections.start(images, settings.norm, settings.epsilon, rule, _unit(images, settings.norm, rule, noise))
    with frozen(model), mode(model, training=settings.mode == "train"):
        for _ in range(settings.steps):
            gradient = _loss_gradient(model, adversarial, batch.labels, rule.mean_loss)
            adversarial = adversarial + settings.step_size * projections.steepest(gradient, settings.norm, rule.floor)
            adversarial = projections.project(adversarial, images, settings.norm, settings.epsilon, rule)
    return adversarial


def _loss_gradient(model: nn.Module, images: Tensor, labels: Tensor, mean: bool) -> Tensor:
    images = images.detach().requires_grad_(True)
    value = functional.cross_entropy(model(images), labels, reduction="mean" if mean else "sum")
    return torch.autograd.grad(value * processes.weight() if mean else value, images)[0]


def _unit(images: Tensor, norm: projections.Norm, rule: projections.Semantics, noise: torch.Generator) -> Tensor:
    """What `projections.start` asks for, from the training run's own generator."""
    uniform = processes.drawn(torch.rand, images.shape, noise, device=images.device)
    if norm == "linf":
        return 2 * uniform - 1
    if rule.start == "box":
        return uniform
    direction = processes.drawn(torch.randn, images.shape, noise, device=images.device)
    radius = processes.drawn(torch.rand, (len(images), 1, 1, 1), noise, device=images.device) ** (1 / images[0].numel())
    return direction / projections.lengths(direction) * radius
