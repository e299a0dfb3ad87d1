"""PGD as the paper's authors ran it (advertorch's attack under a mean loss), differences and all.

Mean cross-entropy over an evaluation batch, L2 gradients divided by at least 1e-6, start on the sphere towards a uniform image, box
before ball, the last iterate decides, accuracy is the mean over independent runs, published step sizes. The first four are switches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lib.attacks.best import Best
from lib.attacks.losses import cross_entropy
from lib.attacks.pgd import ascent, start, violation
from lib.attacks.work import Work, right
from lib.base.errors import require
from lib.evaluation.outcome_file import PAPER, Record
from lib.evaluation.threats import Norm, Threat
from lib.network import projections
from lib.network.progress import progress


@dataclass(frozen=True)
class Settings:
    """Independent `runs` of so many `steps`, and the rules of lib/network/projections.py, each a switch; what is not given is the authors'.

    With `mean_loss` gradients are divided by `batch_size`, whatever the size of the batches computed here: it is part of the attack
    (the authors: 50, 128).
    """

    seed: int
    steps: int
    runs: int
    batch_size: int
    start: Literal["ball", "box"] = projections.PAPER.start
    floor: float = projections.PAPER.floor
    mean_loss: bool = projections.PAPER.mean_loss
    box_last: bool = projections.PAPER.box_last

    def __post_init__(self) -> None:
        for name in ("steps", "runs", "batch_size", "floor"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")

    @property
    def rule(self) -> projections.Semantics:
        """The rules as lib/network/projections.py takes them.

        >>> Settings(0, 40, 3, 50).rule == projections.PAPER
        True
        """
        return projections.Semantics(self.start, self.floor, self.mean_loss, self.box_last)


def paper(
    model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings, best: Mapping[Norm, Best] | None = None
) -> list[Record]:
    """The attack in every threat model; `correct` is (runs, N). Its last iterates are offered to `best`, as found by "paper"."""
    return [_attack(model, work, threat, settings, best) for threat in progress(threats, "PGD, paper", unit="radius")]


def _attack(model: nn.Module, work: Work, threat: Threat, settings: Settings, best: Mapping[Norm, Best] | None) -> Record:
    """All runs are walked in the same batches: pair p is image p modulo N in run p // N."""
    require(threat.step_size is not None, f"the paper's attack needs a step size, {threat.norm} {threat.epsilon:g} has none")
    parts, ends = [], []
    for pairs, part in _pairs(work, settings.runs):
        adversarial, told = _walk(model, part, threat, settings, _starts(part, threat, settings, pairs // len(work)))
        parts.append(told)
        ends.append(adversarial)
    if best is not None:
        for run in torch.cat(ends).split(len(work)):
            for positions, _ in work.chunks(np.arange(len(work))):
                best[threat.norm].offer(model, run[torch.from_numpy(positions)], PAPER, positions)
    return _record(threat, settings, [np.concatenate(column).reshape(settings.runs, len(work)) for column in zip(*parts)])


def _pairs(work: Work, runs: int) -> Iterator[tuple[np.ndarray, Work]]:
    """Pairs of run and image in groups of at most `batch_size`, each with its images."""
    pairs = np.arange(runs * len(work))
    for first in range(0, len(pairs), work.batch_size):
        group = pairs[first : first + work.batch_size]
        yield group, work.take(group % len(work))


def _starts(part: Work, threat: Threat, settings: Settings, runs: np.ndarray) -> Tensor:
    found = torch.empty_like(part.batch.images)
    for run in np.unique(runs):
        chosen = np.flatnonzero(runs == run)
        found[torch.from_numpy(chosen)] = start(part.take(chosen), threat, settings.rule, settings.seed, f"pgd paper run {run}")
    return found


def _walk(model: nn.Module, part: Work, threat: Threat, settings: Settings, begin: Tensor) -> tuple[Tensor, tuple[np.ndarray, ...]]:
    """The last iterates, and of each: is it right, share of steps held back by the floor, mean step over nominal, violation."""
    assert threat.step_size is not None, "asked of all threat models beforehand"
    rule, images, labels = settings.rule, part.batch.images, part.batch.labels
    adversarial, floors = begin, []
    for _ in range(settings.steps):
        gradient, _, _ = ascent(model, adversarial, labels, cross_entropy)
        gradient = gradient / (settings.batch_size if rule.mean_loss else 1)
        if threat.norm == "l2":
            floors.append((projections.lengths(gradient).flatten() / rule.floor).clamp_max(1.0))
        adversarial = adversarial + threat.step_size * projections.steepest(gradient, threat.norm, rule.floor)
        adversarial = projections.project(adversarial, images, threat.norm, threat.epsilon, rule)
    with torch.no_grad():
        standing = right(model(adversarial), labels)
    effective = torch.stack(floors) if floors else torch.full((1, len(labels)), torch.nan)
    held = torch.where(effective.isnan(), torch.nan, (effective < 1).float())
    told = (standing, held.mean(0), effective.mean(0), violation(adversarial, images, threat))
    return adversarial, tuple(tensor.cpu().numpy() for tensor in told)


def _record(threat: Threat, settings: Settings, columns: list[np.ndarray]) -> Record:
    """Telemetry of an image is its mean over the runs, but for the violation: there the worst counts."""
    correct, held, effective, excess = columns
    seen = {"violation": excess.max(0)}
    if threat.norm == "l2":
        seen |= {"steps_held_by_floor": held.mean(0), "effective_step": effective.mean(0)}
    described = asdict(settings) | {"step_size": threat.step_size}
    return Record(PAPER, f"pgd{settings.steps}", threat.norm, threat.epsilon, "mean", correct, described, seen)
