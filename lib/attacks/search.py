"""The shortest adversarial perturbation of every image, by walks whose ball shrinks where they succeed and grows where they do not.

The idea is that of FMN (Pintor et al. 2021, "Fast minimum-norm adversarial attacks through adaptive norm constraints"): a walk follows the
boundary of the decision while its radius adapts. Each walk raises the lead of one other class over the label's, within the best radius that
earlier walks found. No step changes with the scale of the logits.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lib import balls, draws
from lib.attacks.best import Best, distances
from lib.balls import Norm
from lib.base.errors import require
from lib.evaluation.work import Work, right
from lib.network.progress import progress

Start = Literal["image", "noise", "half"]
WALKS: tuple[tuple[Start, int], ...] = (("image", 0), ("image", 1), ("image", 2), ("noise", 0), ("half", 0))  # and the rank of the class
GROWTH, HASTE = 1.1, 2.0  # until a walk has fooled the network its radius grows at least by this factor a step: in the first half, later
FLOOR = 1e-3  # least first radius in units of the longest perturbation: gradients that are too large would promise less for ever
PULLS, FIRST_PULL = 8, 1 / 64  # passes in which the best image is pulled towards the clean one, and by what share at first
LATE = 0.9  # of the gradients: those after them should not change much
TINY = torch.finfo(torch.float32).tiny
SMALLEST, LARGEST = 2.0**-100, 2.0**100  # factors on a lead before it is differentiated


@dataclass(frozen=True)
class Course:
    """By what share the radius shrinks or grows in a step, and a step's length in units of the radius: in the first and the last step."""

    change: tuple[float, float]
    length: tuple[float, float]

    def at(self, step: int, steps: int) -> tuple[float, float]:
        """Change and length of one of `steps` steps: the one falls as a geometric sequence, the other along half a cosine.

        >>> WIDE.at(0, 40), WIDE.at(39, 40)
        ((0.05, 1.0), (0.001, 0.01))
        """
        share = step / max(steps - 1, 1)
        (first, last), (longest, shortest) = self.change, self.length
        return first * (last / first) ** share, shortest + (longest - shortest) * (1 + math.cos(math.pi * share)) / 2


WIDE = Course((0.05, 0.001), (1.0, 0.01))
NARROW = Course((0.01, 0.0005), (0.2, 0.005))


@dataclass(frozen=True)
class Settings:
    """Section `attacks.search`.

    seed: of the random starts. gradients: at most so many per image. classes: so many other classes, the likeliest, are ranked by their
    distance in the linear model of the network at the image. steps: of one walk. worth: an image goes on from its best point as long as its
    last walk shortened the radius by more than this share.
    """

    seed: int
    gradients: int
    classes: int
    steps: int
    worth: float

    def __post_init__(self) -> None:
        for name in ("classes", "steps"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        least = self.classes + self.steps
        require(self.gradients >= least, f"gradients must suffice for one walk, classes + steps = {least}, got {self.gradients}")
        require(self.worth >= 0, f"worth must not be negative, got {self.worth}")


@dataclass
class Telemetry:
    """What the search met at each of N images, all (N,).

    gradients: how many were computed. passes: how often the image was shown to the model without. zero, nan: share of its gradients that
    were exactly zero, or not finite. late: by what share the radius shrank after the first `LATE` of the gradients that are allowed.
    """

    gradients: np.ndarray
    passes: np.ndarray
    zero: np.ndarray
    nan: np.ndarray
    late: np.ndarray

    @staticmethod
    def empty(count: int) -> "Telemetry":
        """Of `count` images that met nothing."""
        return Telemetry(*(np.zeros(count, np.int32) for _ in range(2)), *(np.zeros(count, np.float32) for _ in range(3)))

    def put(self, positions: np.ndarray, part: "Telemetry") -> None:
        """Enter what the images at `positions` met."""
        for name, values in vars(part).items():
            getattr(self, name)[positions] = values


def search(model: nn.Module, work: Work, norm: Norm, settings: Settings) -> tuple[Best, Telemetry]:
    """The shortest adversarial perturbation found of every image of `work`, and what the search met.

    What an image meets depends on no other image and not on how many are attacked at a time, except by rounding. With more gradients a
    search does what it does with fewer, and more. The model is in the state in which it is attacked.
    """
    best, telemetry = Best.unknown(work, norm), Telemetry.empty(len(work))
    for positions, part in progress(list(work.chunks(np.arange(len(work)))), f"search, {norm}", unit="batch"):
        batch = _Search(model, part, norm, settings)
        batch.run()
        best.put(positions, batch.best)
        telemetry.put(positions, batch.telemetry())
    return best, telemetry


class _Search:
    """The state of one batch; `here` (n,) are positions in it, and all else with n entries belongs to the images there."""

    def __init__(self, model: nn.Module, work: Work, norm: Norm, settings: Settings) -> None:
        self.model, self.work, self.norm, self.settings = model, work, norm, settings
        self.images, self.labels, self.best = work.batch.images, work.batch.labels, Best.unknown(work, norm)
        self.longest = distances((self.images < 0.5).to(self.images), self.images, norm)  # that the box allows
        self.scale, self.early = torch.ones_like(self.longest), torch.full_like(self.longest, torch.nan)
        self.gradients, self.passes, self.zero, self.nan = (torch.zeros_like(self.labels) for _ in range(4))

    def run(self) -> None:
        """Walk from several starts to several classes, then on from the best image as long as that pays."""
        here = torch.arange(len(self.work), device=self.labels.device)
        estimates, ranked = self._ranking(here)
        gain = torch.ones_like(self.longest)
        for number, (start, rank) in enumerate(WALKS):
            if rank < ranked.shape[1] and len(here := self._able(here)):
                radius = self.best.radius.where(self.best.radius.isfinite(), estimates[:, rank])[here]
                begin = self._start(start, here, radius, f"search {number} {self.norm}")
                radius = torch.minimum(radius, estimates[here, rank]) if start == "image" else radius
                gain[here] = self._walk(f"search {start}", here, begin, radius, ranked[here, rank], WIDE)
        while len(here := self._able(here[gain[here] > self.settings.worth])):
            begin = self.best.adversarial[here]
            gain[here] = self._walk("search again", here, begin, self.best.radius[here], self._rival(begin, here), NARROW)

    def telemetry(self) -> Telemetry:
        """What the images met."""
        late = (1 - self.best.radius / self.early).nan_to_num(nan=0.0)
        met = (self.gradients.int(), self.passes.int(), self.zero / self.gradients, self.nan / self.gradients, late)
        return Telemetry(*(values.cpu().numpy() for values in met))

    def _able(self, here: Tensor) -> Tensor:
        """Those that may still walk."""
        return here[self.gradients[here] + self.settings.steps <= self.settings.gradients]

    def _ranking(self, here: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of the likeliest other classes in the linear model of the network at the image, ascending, and these: (n, k) each."""
        images, found = self.images[here], []
        others = self._others(images, here)[:, : self.settings.classes]
        for target in others.unbind(1):
            gradient, lead, _ = self._slope(images, here, target)
            found.append(self._estimate(gradient, lead))
        estimates, order = torch.stack(found, 1).sort(stable=True, dim=1)
        longest = self.longest[here][:, None]
        return estimates.clamp(FLOOR * longest, longest), others.gather(1, order)

    def _start(self, start: Start, here: Tensor, radius: Tensor, stream: str) -> Tensor:
        images = self.images[here]
        if start == "image":
            return images
        if start == "half":
            return (images + self.best.adversarial[here]) / 2
        rows, shape = self.work.rows[here.cpu().numpy()], tuple(images.shape[1:])
        unit = torch.from_numpy(draws.ball(self.settings.seed, stream, rows, shape, self.norm))
        return (images + _column(radius) * unit.to(images)).clamp(0, 1)

    def _walk(self, name: str, here: Tensor, now: Tensor, radius: Tensor, target: Tensor, course: Course) -> Tensor:
        """Walk from `now` (n, C, H, W) towards the classes `target`; returns by what share the best radii shrank, (n,)."""
        images, before = self.images[here], self.best.radius[here]
        nearest, reached, succeeded = self.best.adversarial[here], before, torch.zeros_like(here, dtype=torch.bool)
        for step in range(self.settings.steps):
            change, length = course.at(step, self.settings.steps)
            gradient, lead, fooled = self._slope(now, here, target)
            distance = distances(now, images, self.norm)
            nearest, reached = _nearer(fooled, now, distance, nearest, reached)
            self._note_early(here, reached)
            succeeded |= fooled
            growth = GROWTH if 2 * step < self.settings.steps else HASTE
            growing = torch.maximum(growth * radius, distance + self._estimate(gradient, lead))
            radius = torch.where(succeeded, (1 + change) * radius, growing)
            radius = torch.where(fooled, (1 - change) * distance, radius).minimum(reached).minimum(self.longest[here])
            now = self._step(now, images, gradient, radius, length)
        fooled = ~right(self._logits(now, here), self.labels[here])
        nearest, reached = _nearer(fooled, now, distances(now, images, self.norm), nearest, reached)
        self._offer(name, here, nearest)
        self._pull(name, here[reached < before])
        return (1 - self.best.radius[here] / before).nan_to_num(nan=0.0)  # inf over inf: nothing found

    def _step(self, now: Tensor, images: Tensor, gradient: Tensor, radius: Tensor, length: float) -> Tensor:
        """A step of steepest ascent, `length` times the radius, back into box and ball; n images of their own radii.

        In L2 what would lead out of the box is taken off before the step gets its length: an adversarially trained network's boundary is
        found nowhere else.
        """
        if self.norm == "l2":
            gradient = gradient.masked_fill(((now <= 0) & (gradient < 0)) | ((now >= 1) & (gradient > 0)), 0.0)
        moved = now + length * _column(radius) * balls.steepest(gradient, self.norm, balls.STRICT.floor)
        delta, limit = moved.clamp(0, 1) - images, _column(radius)
        if self.norm == "linf":
            return (images + delta.clamp(-limit, limit)).clamp(0, 1)
        return (images + delta * (limit / balls.lengths(delta).clamp_min(TINY)).clamp_max(1)).clamp(0, 1)

    def _slope(self, now: Tensor, here: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient of the lead of `target` over the label, the lead, and whether the network is fooled.

        The first two are divided by the gradient's largest entry. The lead is multiplied by a power of two before it is differentiated,
        which is exact, so that gradients neither underflow nor overflow where the network or its logits are tiny or huge.
        """
        now, labels, scale = now.detach().requires_grad_(True), self.labels[here], self.scale[here]
        with torch.enable_grad():
            logits = self.model(now)
            leads = (logits.gather(1, target[:, None]) - logits.gather(1, labels[:, None]))[:, 0]
            gradient = torch.autograd.grad(leads, now, scale.to(leads))[0]
        largest = gradient.flatten(1).abs().amax(1)
        finite = largest.isfinite()
        self.gradients[here] += 1
        self.zero[here] += largest == 0
        self.nan[here] += ~finite
        _, exponent = torch.frexp(largest)
        self.scale[here] = torch.ldexp(scale, torch.where(largest > 0, -exponent, 40)).clamp(SMALLEST, LARGEST).where(finite, 1.0)
        unit = (gradient / _column(largest)).where(_column(finite & (largest > 0)), 0.0)
        return unit, (leads.detach() * scale / largest).to(unit), ~right(logits.detach(), labels)

    def _estimate(self, gradient: Tensor, lead: Tensor) -> Tensor:
        """How far the boundary is in the linear model of the network, (n,)."""
        dual = gradient.flatten(1).norm(dim=1) if self.norm == "l2" else gradient.flatten(1).abs().sum(1)
        return (-lead / dual).nan_to_num(nan=torch.inf)

    def _pull(self, name: str, here: Tensor) -> None:
        """Pull the best images towards the clean ones: further after a success, less far after a failure."""
        images, labels = self.images[here], self.labels[here]
        delta = self.best.adversarial[here] - images
        kept, share = torch.ones_like(self.longest[here]), torch.full_like(self.longest[here], FIRST_PULL)
        for _ in range(PULLS if len(here) else 0):
            tried = kept * (1 - share)
            fooled = ~right(self._logits((images + _column(tried) * delta).clamp(0, 1), here), labels)
            kept, share = tried.where(fooled, kept), torch.where(fooled, (4 * share).clamp_max(0.5), share / 4)
        self._offer(name, here, (images + _column(kept) * delta).clamp(0, 1))

    def _offer(self, name: str, here: Tensor, candidates: Tensor) -> None:
        self.best.offer(self.model, candidates, name, here.cpu().numpy())
        self.passes[here] += 1

    def _logits(self, images: Tensor, here: Tensor) -> Tensor:
        self.passes[here] += 1
        with torch.no_grad():
            return self.model(images)

    def _others(self, images: Tensor, here: Tensor) -> Tensor:
        """The classes but the label, the likeliest first, (n, K - 1)."""
        logits = self._logits(images, here).scatter(1, self.labels[here][:, None], -torch.inf)
        return logits.argsort(stable=True, dim=1, descending=True)[:, :-1]

    def _rival(self, images: Tensor, here: Tensor) -> Tensor:
        return self._others(images, here)[:, 0]

    def _note_early(self, here: Tensor, reached: Tensor) -> None:
        now = self.gradients[here] == math.ceil(LATE * self.settings.gradients)
        self.early[here] = reached.where(now, self.early[here])


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _nearer(fooled: Tensor, now: Tensor, distance: Tensor, nearest: Tensor, reached: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest images that fooled the network, and their distances, after one more look."""
    better = fooled & (distance < reached)
    return now.where(_column(better), nearest), distance.where(better, reached)
