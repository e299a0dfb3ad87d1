"""Questions to a model and to the attacks themselves, which the gate (lib/gate) turns into verdicts.

Is the model deterministic, does it give logits, how healthy are its gradients; and would more steps, other steps, more restarts, another
loss, larger logits or float64 change what the strict attack says? Asked on the first images only, because most cost a whole attack.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib import balls, draws
from lib.attacks import strict
from lib.attacks.losses import cross_entropy, margin, standardised_cross_entropy
from lib.attacks.walk import Plan, Trace, ascent, walk
from lib.base.errors import InputError, require
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Norm, Threat
from lib.evaluation.work import Work, first, right, scattered
from lib.network.batches import Batch

FEW_STEPS = 10
PASSES = 5
CHANGE = 1e-4  # from here on logits are other logits, as a share of the largest; rounding stays below 1e-5


@dataclass(frozen=True)
class Settings(strict.Settings):
    """The strict attack that is questioned, on how many `images` and at which radius of each norm, and how much noise is drawn."""

    images: int
    draws: int
    threats: dict[Norm, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.images > 0, f"images must be positive, got {self.images}")
        require(self.draws > 0, f"draws must be positive, got {self.draws}")
        require(len(self.threats) > 0, "threats must name a radius for at least one of l2, linf")
        for norm, epsilon in self.threats.items():
            require(epsilon > 0, f"threats.{norm} must be positive, got {epsilon}")


class Scaled(nn.Module):
    """The same decisions with logits `factor` times as large."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.model(images)


def records(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """Every probe at every radius of `settings.threats`; `threats`, the row's own, only say which norms it is attacked in."""
    asked = first(work, settings.images)
    if not asked.any():
        return []
    part = work.take(np.flatnonzero(asked))
    norms = {threat.norm for threat in threats}
    found = [_forward(model, part)]
    for norm, epsilon in settings.threats.items():
        if norm in norms:
            found += _at(model, part, Threat(norm, epsilon, None), settings)
    return [scattered(replace(record, settings=asdict(settings) | record.settings), asked) for record in found]


def _at(model: nn.Module, work: Work, threat: Threat, settings: Settings) -> list[Record]:
    reference = strict.at_radius(model, work, threat, settings, np.ones(len(work), bool))
    found = [_gradients(model, work, threat, settings), _noise(model, work, threat, settings)]
    found += [replace(record, semantics="probe") for record in strict.fgsm(model, work, [threat], settings)]
    found += _single_walks(model, work, threat, settings)
    return found + [replace(reference, semantics="probe", attack="reference")] + _stronger(model, work, threat, settings, reference)


def _single_walks(model: nn.Module, work: Work, threat: Threat, settings: Settings) -> list[Record]:
    """One start, margin, no stop: with fewer steps, another loss, larger logits, more digits; all from the same start."""
    plan = replace(settings.plan(0, threat, leave=False), loss=margin)
    few = replace(plan, steps=FEW_STEPS, length=plan.length * plan.steps / FEW_STEPS, leave=True)
    found = {
        "few_steps": walk(model, work, threat, few),
        "single": walk(model, work, threat, plan),
        "single_standardised": walk(model, work, threat, replace(plan, loss=standardised_cross_entropy)),
        "single_cross_entropy": walk(model, work, threat, replace(plan, loss=cross_entropy)),
        "single_x10": walk(Scaled(model, 10.0), work, threat, plan),
        "single_x1000": walk(Scaled(model, 1000.0), work, threat, plan),
    }
    # A model may cast to float32 itself, or refuse to be copied: then there is nothing to compare.
    with suppress(RuntimeError, TypeError, InputError):
        found["single_float64"] = walk(deepcopy(model).double(), _in_float64(work), threat, plan)
    return [_walked(name, threat, trace, {"steps": FEW_STEPS if name == "few_steps" else plan.steps}) for name, trace in found.items()]


def _stronger(model: nn.Module, work: Work, threat: Threat, settings: Settings, reference: Record) -> list[Record]:
    """The reference and one thing more, tried on what the reference leaves standing."""
    once = replace(settings.plan(settings.restarts, threat), loss=margin)
    more = {
        "steps_x2_5": [replace(once, steps=round(2.5 * once.steps), length=once.length / 2.5)],
        "steps_x5": [replace(once, steps=5 * once.steps, length=once.length / 5)],
        "step_half": [replace(once, length=once.length / 2)],
        "step_double": [replace(once, length=once.length * 2)],
        "restarts_double": [settings.plan(settings.restarts + restart, threat) for restart in range(settings.restarts)],
    }
    return [_also(model, work, threat, name, plans, reference) for name, plans in more.items()]


def _also(model: nn.Module, work: Work, threat: Threat, name: str, plans: list[Plan], reference: Record) -> Record:
    alive = reference.correct[-1].copy()
    for plan in plans:
        positions = np.flatnonzero(alive)
        if len(positions):
            alive[positions] = walk(model, work, threat, plan, positions=positions).survived
    described = {"steps": plans[0].steps, "step_size": plans[0].length, "walks": len(plans)}
    return Record("probe", name, threat.norm, threat.epsilon, "worst", alive[None], described)


def _walked(name: str, threat: Threat, trace: Trace, described: dict[str, Any]) -> Record:
    seen = {"last": trace.last.astype(np.float32), "plateau": trace.plateau, "violation": trace.violation}
    seen |= {"zero_gradients": trace.zero, "nan_gradients": trace.nan}
    return Record("probe", name, threat.norm, threat.epsilon, "worst", trace.survived[None], described, seen)


def _forward(model: nn.Module, work: Work) -> Record:
    """The same images several times and each alone: do the logits change, are they probabilities, how many are there?"""
    with torch.no_grad():
        first, *passes = [torch.cat([model(part.batch.images) for _, part in _chunks(work)]) for _ in range(PASSES)]
        alone = torch.cat([model(image) for image in work.batch.images.split(1)])
    spread = torch.stack([change(first, other) for other in passes]).amax(0).cpu().numpy()
    sums = (first.sum(1) - 1).abs() < 1e-5
    probabilities = (sums & (first.amin(1) >= 0) & (first.amax(1) <= 1)).float().cpu().numpy()
    seen = {"spread": spread, "alone": change(first, alone).cpu().numpy(), "probabilities": probabilities}
    seen["classes"] = np.full(len(work), first.shape[1], np.float32)
    return Record("probe", "forward", "none", 0.0, "worst", np.ones((1, len(work)), bool), {"passes": PASSES}, seen)


def change(logits: Tensor, others: Tensor) -> Tensor:
    """By how much the logits (n, K) of each image differ from `others`, as a share of the largest of `logits`, (n,).

    >>> change(torch.tensor([[4.0, -8.0]]), torch.tensor([[5.0, -8.0]]))
    tensor([0.1250])
    """
    return (others - logits).abs().amax(1) / logits.abs().amax(1).clamp_min(torch.finfo(logits.dtype).tiny)


def _gradients(model: nn.Module, work: Work, threat: Threat, settings: Settings) -> Record:
    """Gradients at the images and at a random point of the ball around each: health, and how straight the loss is between them."""
    parts = [_gradients_of(model, part, threat, settings.seed) for _, part in _chunks(work)]
    seen = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Record("probe", "gradients", threat.norm, threat.epsilon, "worst", np.ones((1, len(work)), bool), {}, seen)


def _gradients_of(model: nn.Module, part: Work, threat: Threat, seed: int) -> dict[str, np.ndarray]:
    images, labels = part.batch.images, part.batch.labels
    unit = torch.from_numpy(draws.ball(seed, "probe linearity", part.rows, tuple(images.shape[1:]), threat.norm)).to(images)
    there = balls.start(images, threat.norm, threat.epsilon, balls.STRICT, unit)
    loss_gradient = ascent(model, images, labels, cross_entropy)[0].flatten(1).double()
    (here, _, before), (away, _, after) = (ascent(model, points, labels, margin) for points in (images, there))
    predicted = (here * (there - images)).flatten(1).sum(1)
    error = (after - before - predicted).abs() / (after - before).abs().clamp_min(torch.finfo(after.dtype).tiny)
    found = {
        "cross_entropy_norm": loss_gradient.norm(dim=1),
        "zero": (loss_gradient.abs().amax(1) == 0),
        "nan": ~torch.isfinite(loss_gradient).all(1),
        "cosine": functional.cosine_similarity(here.flatten(1), away.flatten(1)),
        "taylor_error": error,
    }
    return {name: values.float().cpu().numpy() for name, values in found.items()}


def _noise(model: nn.Module, work: Work, threat: Threat, settings: Settings) -> Record:
    """Random noise, uniform in the ball; an image stands if no draw fools the model."""
    alive = np.ones(len(work), bool)
    for draw in range(settings.draws):
        for positions, part in _chunks(work):
            images = part.batch.images
            unit = draws.ball(settings.seed, f"probe noise {draw}", part.rows, tuple(images.shape[1:]), threat.norm)
            noisy = balls.start(images, threat.norm, threat.epsilon, balls.STRICT, torch.from_numpy(unit).to(images))
            with torch.no_grad():
                alive[positions] &= right(model(noisy), part.batch.labels).cpu().numpy()
    return Record("probe", "noise", threat.norm, threat.epsilon, "worst", alive[None], {"draws": settings.draws})


def _chunks(work: Work) -> Iterator[tuple[np.ndarray, Work]]:
    return work.chunks(np.arange(len(work)))


def _in_float64(work: Work) -> Work:
    return replace(work, batch=Batch(work.batch.images.double(), work.batch.labels))
