"""PGD and FGSM as the paper's authors ran them (advertorch's attack under a mean loss), differences and all.

Mean cross-entropy over an evaluation batch, L2 gradients divided by at least 1e-6, start on the sphere towards a uniform image, box
before ball, the last iterate decides, accuracy is the mean over independent runs, published step sizes. The first four are switches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lib import balls
from lib.attacks.losses import cross_entropy
from lib.attacks.walk import ascent, start, violation
from lib.base.errors import require
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Threat
from lib.evaluation.work import Work, right
from lib.network.progress import progress


@dataclass(frozen=True)
class Rules:
    """Section `paper` of a suite: the rules of lib/balls.py, each a switch; what is not given is the authors'.

    With `mean_loss` gradients are divided by `batch_size`, whatever the size of the batches computed here (the authors: 50, 128).
    """

    batch_size: int
    start: Literal["ball", "box"] = balls.PAPER.start
    floor: float = balls.PAPER.floor
    mean_loss: bool = balls.PAPER.mean_loss
    box_last: bool = balls.PAPER.box_last

    def __post_init__(self) -> None:
        require(self.batch_size > 0, f"batch_size must be positive, got {self.batch_size}")
        require(self.floor > 0, f"floor must be positive, got {self.floor}")

    @property
    def rule(self) -> balls.Semantics:
        """These as lib/balls.py takes them.

        >>> Rules(50).rule == balls.PAPER
        True
        """
        return balls.Semantics(self.start, self.floor, self.mean_loss, self.box_last)


@dataclass(frozen=True)
class Settings:
    """`batch_size` divides the gradients of a mean loss, whatever the size of the batches computed here: it is part of the attack."""

    seed: int
    steps: int
    runs: int
    batch_size: int
    rule: balls.Semantics = balls.PAPER

    @property
    def described(self) -> dict[str, Any]:
        """What the outcome file keeps of them."""
        rules = {"batch_size": self.batch_size, **asdict(self.rule)}
        return {"seed": self.seed, "steps": self.steps, "paper": rules}


def paper(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """Independent runs of the authors' PGD in every threat model; `correct` is (runs, N)."""
    return [_attack(model, work, threat, settings) for threat in progress(threats, "PGD, paper", unit="radius")]


def fgsm(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """The same with one step of length epsilon from the image itself; `correct` is (1, N)."""
    found = []
    for threat in threats:
        parts = (part for _, part in work.chunks(np.arange(len(work))))
        walked = [_walk(model, part, threat, settings, part.batch.images, 1, threat.epsilon) for part in parts]
        found.append(_record("fgsm", threat, threat.epsilon, settings, np.concatenate([one[0] for one in walked])[None], walked))
    return found


def _attack(model: nn.Module, work: Work, threat: Threat, settings: Settings) -> Record:
    """All runs are walked in the same batches: pair p is image p modulo N in run p // N."""
    assert threat.step_size is not None, "the paper has no attack at this radius"
    walked = []
    for pairs, part in _pairs(work, settings.runs):
        begin = _starts(part, threat, settings, pairs // len(work))
        walked.append(_walk(model, part, threat, settings, begin, settings.steps, threat.step_size))
    correct = np.concatenate([one[0] for one in walked]).reshape(settings.runs, len(work))
    return _record(f"pgd{settings.steps}", threat, threat.step_size, settings, correct, walked)


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


def _walk(
    model: nn.Module, part: Work, threat: Threat, settings: Settings, begin: Tensor, steps: int, step_size: float
) -> tuple[np.ndarray, ...]:
    """Which last iterates are classified correctly; shares of steps held back by the floor; mean step over nominal; violations."""
    rule, images, labels = settings.rule, part.batch.images, part.batch.labels
    adversarial, floors = begin, []
    for _ in range(steps):
        gradient, _, _ = ascent(model, adversarial, labels, cross_entropy)
        gradient = gradient / (settings.batch_size if rule.mean_loss else 1)
        if threat.norm == "l2":
            floors.append((balls.lengths(gradient).flatten() / rule.floor).clamp_max(1.0))
        adversarial = adversarial + step_size * balls.steepest(gradient, threat.norm, rule.floor)
        adversarial = balls.project(adversarial, images, threat.norm, threat.epsilon, rule)
    with torch.no_grad():
        standing = right(model(adversarial), labels)
    effective = torch.stack(floors) if floors else torch.full((1, len(labels)), torch.nan)
    held = torch.where(effective.isnan(), torch.nan, (effective < 1).float())
    found = (standing, held.mean(0), effective.mean(0), violation(adversarial, images, threat))
    return tuple(tensor.cpu().numpy() for tensor in found)


def _record(attack: str, threat: Threat, step_size: float, settings: Settings, correct: np.ndarray, walked: list) -> Record:
    """Telemetry of an image is its mean over the runs, but for the violation: there the worst counts."""
    columns = [np.concatenate([one[index] for one in walked]).reshape(correct.shape) for index in (1, 2, 3)]
    seen = {"violation": columns[2].max(0)}
    if threat.norm == "l2":
        seen |= {"steps_held_by_floor": columns[0].mean(0), "effective_step": columns[1].mean(0)}
    described = settings.described | {"step_size": step_size}
    return Record("paper", attack, threat.norm, threat.epsilon, "mean", correct, described, seen)
