"""PGD as an evaluation asks for it today: the worst case over restarts, losses, iterates and smaller radii, image by image.

Losses summed over images, taken in turn by the restarts, none of which changes with the scale of the logits; start uniform in the
ball; a step that decays to zero along a cosine; any fooled iterate counts; only survivors are attacked again; an image that falls
at a smaller radius falls at every larger one of the same norm.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from torch import nn

from lib.attacks.losses import LOSSES
from lib.attacks.walk import Plan, walk
from lib.base.errors import require
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Threat
from lib.evaluation.work import Work
from lib.network.progress import progress

LossName = Literal["margin", "standardised_cross_entropy", "cross_entropy"]


@dataclass(frozen=True)
class Settings:
    """The strict attack. `strict_step` is its first step in units of epsilon / steps; restart r takes loss r, counted in a circle."""

    seed: int
    steps: int
    restarts: int
    strict_losses: list[LossName]
    strict_step: float

    def __post_init__(self) -> None:
        for name in ("steps", "restarts"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        require(self.strict_step > 0, f"strict_step must be positive, got {self.strict_step}")
        require(len(self.strict_losses) > 0, "strict_losses must name at least one of margin, standardised_cross_entropy, cross_entropy")

    def first_step(self, epsilon: float) -> float:
        """The first step at radius `epsilon`, in pixel units."""
        return self.strict_step * epsilon / self.steps

    def plan(self, restart: int, threat: Threat, leave: bool = True) -> Plan:
        """The walk of one restart."""
        loss = LOSSES[self.strict_losses[restart % len(self.strict_losses)]]
        return Plan(self.steps, self.first_step(threat.epsilon), loss, self.seed, f"pgd strict restart {restart}", leave)


def strict(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """One record per threat, in their order; `correct` is (restarts, N), line r says what survived restarts 0 to r."""
    standing = {threat.norm: np.ones(len(work), bool) for threat in threats}
    found: dict[Threat, Record] = {}
    for threat in progress(sorted(threats, key=lambda one: one.epsilon), "PGD, strict", unit="radius"):
        found[threat] = at_radius(model, work, threat, settings, standing[threat.norm])
        standing[threat.norm] = found[threat].correct[-1]
    return [found[threat] for threat in threats]


def at_radius(model: nn.Module, work: Work, threat: Threat, settings: Settings, standing: np.ndarray) -> Record:
    """The strict attack at one radius on the images that are still `standing`, (N,) bool."""
    alive, lines = standing.copy(), []
    seen = {name: np.full(len(work), np.nan, np.float32) for name in ("violation", "zero_gradients", "nan_gradients")}
    for restart in range(settings.restarts):
        positions = np.flatnonzero(alive)
        if len(positions):
            trace = walk(model, work, threat, settings.plan(restart, threat), positions=positions)
            alive[positions] = trace.survived
            for name, values in (("violation", trace.violation), ("zero_gradients", trace.zero), ("nan_gradients", trace.nan)):
                seen[name][positions] = np.fmax(seen[name][positions], values)
        lines.append(alive.copy())
    described = asdict(settings) | {"step_size": settings.first_step(threat.epsilon)}
    return Record("strict", f"pgd{settings.steps}", threat.norm, threat.epsilon, "worst", np.stack(lines), described, seen)


def fgsm(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """One step of length epsilon from the image itself (Goodfellow et al. 2015), the worst case over `strict_losses`."""
    found = []
    for threat in threats:
        plans = [Plan(1, threat.epsilon, LOSSES[name], settings.seed, None, leave=True) for name in settings.strict_losses]
        traces = [walk(model, work, threat, plan) for plan in plans]
        correct = np.stack([trace.survived for trace in traces])
        seen = {"violation": np.max([trace.violation for trace in traces], 0)}
        described = {"losses": list(settings.strict_losses), "step_size": threat.epsilon}
        found.append(Record("strict", "fgsm", threat.norm, threat.epsilon, "worst", correct, described, seen))
    return found
