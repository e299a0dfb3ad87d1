"""One walk of projected gradient ascent from one start, watched step by step: what the strict attack and the probes are made of."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from lib import balls, draws
from lib.attacks.losses import Loss
from lib.evaluation.threats import Threat
from lib.evaluation.work import Work, right

SETTLED = 0.25  # last part of the path on which a walk should have stopped gaining


@dataclass(frozen=True)
class Plan:
    """How to walk: `steps` steps, the first of `length` (pixel units), on `loss`.

    stream: the start is drawn from (seed, stream, row); None starts at the image itself.
    leave: an image that is fooled leaves the walk; otherwise every image walks to the end.
    """

    steps: int
    length: float
    loss: Loss
    seed: int
    stream: str | None
    leave: bool


@dataclass
class Trace:
    """What happened to each image, all (N,).

    survived: no iterate fooled it. last: the last iterate that it reached did not fool it. zero, nan: share of its gradients that
    were exactly zero, or not finite. violation: by how much a counted iterate left the ball (relative) or the box (absolute).
    plateau: range of the loss over the last quarter of the path (not of the steps, which shrink) as a share of its range over the
    whole walk: 0.25 where it climbs evenly to the end, 0 where it has arrived; NaN where images may leave.
    """

    survived: np.ndarray
    last: np.ndarray
    zero: np.ndarray
    nan: np.ndarray
    violation: np.ndarray
    plateau: np.ndarray

    @staticmethod
    def empty(count: int) -> "Trace":
        """A trace of `count` images to which nothing has happened."""
        zero, nan, excess = (np.zeros(count, np.float32) for _ in range(3))
        return Trace(np.ones(count, bool), np.ones(count, bool), zero, nan, excess, np.full(count, np.nan, np.float32))

    def put(self, positions: np.ndarray, part: "Trace") -> None:
        """Enter what happened to the images at `positions`."""
        for name, values in vars(part).items():
            getattr(self, name)[positions] = values


def settling(steps: int) -> int:
    """The step after which at most `SETTLED` of the path is left.

    >>> settling(1), settling(40)
    (1, 18)
    """
    lengths = np.array([decayed(1.0, step, steps) for step in range(steps)])
    left = 1 - np.cumsum(lengths) / lengths.sum()
    return int(np.argmax(left <= SETTLED)) + 1


def decayed(first: float, step: int, steps: int) -> float:
    """The length of a step, from `first` to zero along half a cosine: large steps to search, small ones to settle.

    >>> decayed(1.0, 0, 40), decayed(1.0, 20, 40)
    (1.0, 0.5)
    """
    return first * (1 + math.cos(math.pi * step / steps)) / 2


def walk(model: nn.Module, work: Work, threat: Threat, plan: Plan, positions: np.ndarray | None = None) -> Trace:
    """Walk with the images of `work` at `positions` (None: all), at most `work.batch_size` at a time.

    The trace is that of these images, in their order; what one image meets depends on no other.
    """
    chosen = np.arange(len(work)) if positions is None else positions
    trace, done = Trace.empty(len(chosen)), 0
    for group, part in work.chunks(chosen):
        trace.put(np.arange(done, done + len(group)), _Walk(model, part, threat, plan).run())
        done += len(group)
    return trace


def ends(model: nn.Module, work: Work, threat: Threat, plan: Plan) -> Tensor:
    """The last iterate of every image of `work`, (N, C, H, W); all walk to the end, whatever `plan.leave` says."""
    found = torch.empty_like(work.batch.images)
    for positions, part in work.chunks(np.arange(len(work))):
        walking = _Walk(model, part, threat, replace(plan, leave=False))
        walking.run()
        found[torch.from_numpy(positions).to(found.device)] = walking.now
    return found


def violation(adversarial: Tensor, images: Tensor, threat: Threat) -> Tensor:
    """By how much each image leaves the ball, relative to its radius, or the box [0, 1]: (N,), 0 where it does not."""
    delta = (adversarial - images).flatten(1)
    length = delta.abs().amax(1) if threat.norm == "linf" else delta.norm(dim=1)
    flat = adversarial.flatten(1)
    outside = torch.maximum(-flat.amin(1), flat.amax(1) - 1)
    return torch.maximum(length / threat.epsilon - 1, outside).clamp_min(0).nan_to_num(nan=torch.inf)


def start(work: Work, threat: Threat, rule: balls.Semantics, seed: int, stream: str) -> Tensor:
    """A random start for every image, drawn from (seed, stream, norm, radius, row) alone."""
    images = work.batch.images
    shape, stream = tuple(images.shape[1:]), f"{stream} {threat.norm} {threat.epsilon!r}"
    if rule.start == "box" and threat.norm == "l2":
        unit = draws.uniform(seed, stream, work.rows, shape)
    else:
        unit = draws.ball(seed, stream, work.rows, shape, threat.norm)
    return balls.start(images, threat.norm, threat.epsilon, rule, torch.from_numpy(unit).to(images))


def ascent(model: nn.Module, images: Tensor, labels: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of the summed loss at `images`, the logits and the losses there; the model's parameters are not differentiated."""
    images = images.detach().requires_grad_(True)
    logits = model(images)
    losses = loss(logits, labels)
    return torch.autograd.grad(losses.sum(), images)[0], logits.detach(), losses.detach()


class _Walk:
    """The state of one batch on its way. Positions are those of the batch; `here` are the images still walking."""

    def __init__(self, model: nn.Module, work: Work, threat: Threat, plan: Plan) -> None:
        self.model, self.threat, self.plan = model, threat, plan
        self.images, self.labels = work.batch.images, work.batch.labels
        self.here = torch.arange(len(work), device=self.labels.device)
        if plan.stream is None:
            self.now = self.images.clone()
        else:
            self.now = start(work, threat, balls.STRICT, plan.seed, plan.stream)
        self.fooled = torch.zeros(len(work), dtype=torch.bool, device=self.labels.device)
        self.zero, self.nan, self.steps, self.excess = (torch.zeros(len(work), device=self.labels.device) for _ in range(4))
        self.losses: list[Tensor] = []

    def run(self) -> Trace:
        for step in range(self.plan.steps):
            gradient, logits, losses = ascent(self.model, self.now, self.labels, self.plan.loss)
            standing = self._judge(logits, losses)
            if self.plan.leave and not bool(standing.all()):
                gradient = gradient[standing]
                self._leave(standing)
            if len(self.here) == 0:
                break
            self._step(self._counted(gradient), step)
        last = torch.ones_like(self.fooled)
        if len(self.here):
            with torch.no_grad():
                logits = self.model(self.now)
                last[self.here] = self._judge(logits, self.plan.loss(logits, self.labels), final=True)
        return self._trace(last & ~self.fooled if self.plan.leave else last)

    def _judge(self, logits: Tensor, losses: Tensor, final: bool = False) -> Tensor:
        """Enter which of the walking images are fooled here; returns which are not."""
        standing = right(logits, self.labels)
        if not self.plan.leave:
            self.losses.append(losses)
        counted = torch.ones_like(standing) if final else ~standing
        if bool(counted.any()):
            found = violation(self.now[counted], self.images[counted], self.threat)
            place = self.here[counted]
            self.excess[place] = torch.maximum(self.excess[place], found.to(self.excess))
        self.fooled[self.here] |= ~standing
        return standing

    def _leave(self, standing: Tensor) -> None:
        self.here, self.images = self.here[standing], self.images[standing]
        self.labels, self.now = self.labels[standing], self.now[standing]

    def _counted(self, gradient: Tensor) -> Tensor:
        """The gradient with what is not finite set to zero, after counting that and the exact zeros."""
        largest = gradient.flatten(1).abs().amax(1)
        bad = ~torch.isfinite(largest)
        self.zero[self.here] += (largest == 0).to(self.zero)
        self.nan[self.here] += bad.to(self.nan)
        self.steps[self.here] += 1
        return torch.where(bad.view(-1, *[1] * (gradient.dim() - 1)), 0.0, gradient)

    def _step(self, gradient: Tensor, step: int) -> None:
        length = decayed(self.plan.length, step, self.plan.steps)
        moved = self.now + length * balls.steepest(gradient, self.threat.norm, balls.STRICT.floor)
        self.now = balls.project(moved, self.images, self.threat.norm, self.threat.epsilon, balls.STRICT)

    def _trace(self, last: Tensor) -> Trace:
        taken = self.steps.clamp_min(1)
        found = (~self.fooled, last, self.zero / taken, self.nan / taken, self.excess, self._plateau())
        survived, stands, zero, nan, excess, plateau = (tensor.cpu().numpy() for tensor in found)
        return Trace(survived, stands, zero, nan, excess, plateau)

    def _plateau(self) -> Tensor:
        if self.plan.leave:
            return torch.full_like(self.excess, torch.nan)
        losses = torch.stack(self.losses)
        end = losses[settling(self.plan.steps) :]
        whole = losses.amax(0) - losses.amin(0)
        return torch.where(whole > 0, (end.amax(0) - end.amin(0)) / whole, 0.0).to(self.excess)
