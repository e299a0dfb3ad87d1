"""Projected gradient descent (Madry et al. 2018) in two named semantics: `paper`, what the authors ran, and `strict`.

paper: mean cross-entropy over a batch, L2 gradients divided by at least 1e-6, start on the sphere towards a uniform image, the last
iterate decides, accuracy is the mean over independent runs, published step sizes.
strict: losses summed over images, taken in turn by the restarts, one of them indifferent to the scale of the logits; start uniform in
the ball; a step that decays to zero along a cosine; any fooled iterate counts; restarts only on survivors, the worst case per image;
an image that falls at a smaller radius falls at every larger one of the same norm.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib import balls, draws
from lib.base.errors import require
from lib.network.batches import Batch
from lib.outcome_file import Record
from lib.threats import Threat


@dataclass(frozen=True)
class Settings:
    """Section `attacks.pgd`. `paper_batch_size` divides the paper's gradients, whatever the size of the batches computed here.
    `strict_step` is the first step of the strict attack in units of epsilon / steps."""

    seed: int
    steps: int
    restarts: int
    semantics: list[Literal["paper", "strict"]]
    paper_batch_size: int
    strict_losses: list[Literal["margin", "cross_entropy"]]
    strict_step: float

    def __post_init__(self) -> None:
        for name in ("steps", "restarts", "paper_batch_size"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        require(self.strict_step > 0, f"strict_step must be positive, got {self.strict_step}")
        require(len(self.semantics) > 0, "semantics must name at least one of paper, strict")
        require(len(self.strict_losses) > 0, "strict_losses must name at least one of margin, cross_entropy")


def records(model: nn.Module, batch: Batch, rows: np.ndarray, threats: list[Threat], settings: Settings) -> list[Record]:
    """Attack one batch of correctly classified images in every threat model, in each of the asked semantics.

    Args:
        model: returns logits; in eval mode, parameters frozen.
        batch: images (N, C, H, W) in [0, 1] and labels (N,).
        rows: (N,) row numbers in the split, which the random starts belong to.

    Returns:
        One record per semantics and threat, in that order; `correct` is (restarts, N). For strict, line r says what survived
        restarts 0 to r.
    """
    attacks = {"paper": paper, "strict": strict}
    return [record for name in settings.semantics for record in attacks[name](model, batch, rows, threats, settings)]


def paper(model: nn.Module, batch: Batch, rows: np.ndarray, threats: list[Threat], settings: Settings) -> list[Record]:
    """Independent runs of the authors' attack; telemetry says at which share of steps the gradient floor held the step back."""
    found = []
    for threat in threats:
        runs = [_paper_run(model, batch, rows, threat, settings, run) for run in range(settings.restarts)]
        correct, held = np.stack([run[0] for run in runs]), float(np.mean([run[1] for run in runs]))
        found.append(_record("paper", "mean", threat, threat.step_size, correct, settings, {"steps_held_by_floor": held}))
    return found


def strict(model: nn.Module, batch: Batch, rows: np.ndarray, threats: list[Threat], settings: Settings) -> list[Record]:
    """Worst case over restarts and over smaller radii of the same norm, attacking only what still stands."""
    standing = {threat.norm: np.ones(len(batch), bool) for threat in threats}
    found: dict[Threat, Record] = {}
    for threat in sorted(threats, key=lambda one: one.epsilon):
        step_size = settings.strict_step * threat.epsilon / settings.steps
        survived = []
        for restart in range(settings.restarts):
            alive = standing[threat.norm]
            alive[alive] = _strict_run(model, batch, rows, np.flatnonzero(alive), threat, step_size, settings, restart)
            survived.append(alive.copy())
        found[threat] = _record("strict", "worst", threat, step_size, np.stack(survived), settings, {})
    return [found[threat] for threat in threats]


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Best other logit minus the label's, (N,): positive where fooled; its direction does not change with the logits' scale.

    >>> margin(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([-1.])
    """
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.amax(1) - logits.gather(1, labels[:, None])[:, 0]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image, (N,)."""
    return functional.cross_entropy(logits, labels, reduction="none")


def decayed(first: float, step: int, steps: int) -> float:
    """The length of a step, from `first` to zero along half a cosine: large steps to search, small ones to settle.

    >>> decayed(1.0, 0, 40), decayed(1.0, 20, 40)
    (1.0, 0.5)
    """
    return first * (1 + math.cos(math.pi * step / steps)) / 2


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"margin": margin, "cross_entropy": cross_entropy}


def _paper_run(model: nn.Module, batch: Batch, rows: np.ndarray, threat: Threat, settings: Settings, run: int) -> tuple[np.ndarray, float]:
    rule, images = balls.PAPER, batch.images
    adversarial = _start(images, rows, threat, rule, settings.seed, f"pgd paper run {run}")
    held = 0.0
    for _ in range(settings.steps):
        gradient, _ = _ascent(model, adversarial, batch.labels, cross_entropy)
        gradient = gradient / settings.paper_batch_size
        if threat.norm == "l2":
            held += float((balls.lengths(gradient) < rule.floor).float().mean())
        adversarial = adversarial + threat.step_size * balls.steepest(gradient, threat.norm, rule.floor)
        adversarial = balls.project(adversarial, images, threat.norm, threat.epsilon, rule)
    with torch.no_grad():
        return (model(adversarial).argmax(1) == batch.labels).cpu().numpy(), held / settings.steps


def _strict_run(
    model: nn.Module,
    batch: Batch,
    rows: np.ndarray,
    standing: np.ndarray,
    threat: Threat,
    step_size: float,
    settings: Settings,
    restart: int,
) -> np.ndarray:
    """One restart on the images at positions `standing`; returns which of them (in that order) were never fooled."""
    rule, survived = balls.STRICT, np.ones(len(standing), bool)
    if len(standing) == 0:
        return survived
    loss = LOSSES[settings.strict_losses[restart % len(settings.strict_losses)]]
    part = batch.take(torch.from_numpy(standing).to(batch.labels.device))
    images, labels, place = part.images, part.labels, np.arange(len(standing))
    adversarial = _start(images, rows[standing], threat, rule, settings.seed, f"pgd strict restart {restart}")
    for step in range(settings.steps + 1):
        gradient, logits = _ascent(model, adversarial, labels, loss)
        right = logits.argmax(1) == labels
        if not bool(right.all()):  # what is fooled leaves the batch
            survived[place[~right.cpu().numpy()]] = False
            place = place[right.cpu().numpy()]
            images, labels, adversarial, gradient = images[right], labels[right], adversarial[right], gradient[right]
        if len(place) == 0 or step == settings.steps:
            break
        length = decayed(step_size, step, settings.steps)
        adversarial = adversarial + length * balls.steepest(gradient, threat.norm, rule.floor)
        adversarial = balls.project(adversarial, images, threat.norm, threat.epsilon, rule)
    return survived


def _start(images: Tensor, rows: np.ndarray, threat: Threat, rule: balls.Semantics, seed: int, stream: str) -> Tensor:
    shape = tuple(images.shape[1:])
    stream = f"{stream} {threat.norm} {threat.epsilon!r}"
    if rule.start == "box" and threat.norm == "l2":
        unit = draws.uniform(seed, stream, rows, shape)
    else:
        unit = draws.ball(seed, stream, rows, shape, threat.norm)
    return balls.start(images, threat.norm, threat.epsilon, rule, torch.from_numpy(unit).to(images))


def _ascent(model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Gradient of the summed loss at `images`, and the logits there."""
    images = images.detach().requires_grad_(True)
    logits = model(images)
    return torch.autograd.grad(loss(logits, labels).sum(), images)[0], logits.detach()


def _record(
    semantics: str,
    aggregate: Literal["mean", "worst"],
    threat: Threat,
    step_size: float,
    correct: np.ndarray,
    settings: Settings,
    telemetry: dict,
) -> Record:
    described = asdict(settings) | {"step_size": step_size}
    return Record(semantics, f"pgd{settings.steps}", threat.norm, threat.epsilon, aggregate, correct, described, telemetry)
