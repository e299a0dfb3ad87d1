"""The shortest adversarial perturbation of every image, by many short walks whose ball shrinks where they succeed and grows where not.

The idea of a walk is that of FMN (Pintor et al. 2021, "Fast minimum-norm adversarial attacks through adaptive norm constraints"): it
follows the boundary of the decision while its radius adapts. Here each walk raises the lead of one other class over the label's, within the
best radius that earlier walks found. After it the best image is straightened, with one more gradient: moved towards the shortest
perturbation that reaches the boundary as it is linear there (as in FAB, Croce & Hein 2020), and pulled towards the clean image. As long as
that pays, the next walk starts from beyond the best image; else it explores another class or start. No step changes with the scale of the
logits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib.attacks.best import Best, distances
from lib.attacks.half_space import step_onto
from lib.attacks.search_plan import EXPLORE, GO_ON, NARROW, SETTLE, WIDE, Course
from lib.attacks.slopes import Slopes, column
from lib.attacks.work import Work, right
from lib.base import per_image_rng
from lib.base.errors import require
from lib.network import projections
from lib.network.progress import progress
from lib.network.projections import Norm

GROWTH, HASTE = 1.1, 1.8  # until a walk has fooled the network its radius grows at least by this factor a step: in the first half, later
FLOOR = 1e-2  # least first radius in units of the longest perturbation: gradients that are too large would promise less for ever
STRAIGHTENED = (1.0, 0.5, 0.25, 0.1)  # how far towards the linear answer, which is exceeded by
MARGIN = 1.01
PULLS, FIRST_PULL = 6, 1 / 128  # passes in which the best image is pulled towards the clean one, and by what share at first
LATE = 0.9  # of the gradients: those after them should not change much
TINY = 2.0**-126  # the smallest normal float32


@dataclass(frozen=True)
class Settings:
    """Section `attacks.search`.

    seed: of the random starts. gradients: at most so many per image. classes: so many other classes, the likeliest, are ranked by their
    distance in the linear model of the network at the image. steps: of one walk. worth: a walk pays that shortens the radius by more than
    this share.
    """

    seed: int
    gradients: int
    classes: int
    steps: int
    worth: float

    def __post_init__(self) -> None:
        for name in ("classes", "steps"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        least = self.classes + self.round
        require(self.gradients >= least, f"gradients must suffice for one walk, classes + steps + 1 = {least}, got {self.gradients}")
        require(self.worth >= 0, f"worth must not be negative, got {self.worth}")

    @property
    def round(self) -> int:
        """Gradients of a walk and of what follows it."""
        return self.steps + 1


@dataclass
class Telemetry:
    """What the search met at each of N images, all (N,).

    gradients: how many were computed. passes: how often the image was shown to the model without. zero, nan: share of its gradients that
    were exactly zero, or not finite. late: by what share the radius shrank in the walks that end after `LATE` of the allowed gradients.
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
    """The state of one batch of n images, which all take the same number of gradients."""

    def __init__(self, model: nn.Module, work: Work, norm: Norm, settings: Settings) -> None:
        self.model, self.work, self.norm, self.settings = model, work, norm, settings
        self.images, self.labels, self.best = work.batch.images, work.batch.labels, Best.unknown(work, norm)
        self.longest = distances((self.images < 0.5).to(self.images), self.images, norm)  # that the box allows
        self.slopes, self.early, self.passes = Slopes(model, self.labels), self.best.radius.clone(), torch.zeros_like(self.labels)

    def run(self) -> None:
        """Walk as often as the gradients suffice for; what an image starts from next depends on what its last walk gained."""
        estimates, ranked = self._ranking()
        explored, went_on = torch.zeros_like(self.labels), torch.zeros_like(self.labels)
        pays, number = torch.zeros_like(self.labels, dtype=torch.bool), 0
        while self.slopes.taken + self.settings.round <= self.settings.gradients:
            number, before = number + 1, self.best.radius.clone()
            name, finders = f"search {number}", self.best.by.copy()
            if number % SETTLE == 0:
                self._walk(name, self.best.adversarial, before, self._others(self.best.adversarial)[:, 0], NARROW)
            else:
                choice = torch.where(pays, len(EXPLORE) + went_on % len(GO_ON), explored % len(EXPLORE))
                explored, went_on = explored + ~pays, went_on + pays
                self._walk(name, *self._starts(choice, estimates, ranked, number), WIDE)
            self._straighten(name)
            self._pull(name, (self.best.radius < before).nonzero()[:, 0])
            if number % SETTLE == 0:  # it has only come nearer to what another walk found
                self.best.by = np.where(finders == "", self.best.by, finders)
            pays = self._gain(before) > self.settings.worth
            if self.slopes.taken <= LATE * self.settings.gradients:
                self.early = self.best.radius.clone()

    def telemetry(self) -> Telemetry:
        """What the images met."""
        slopes = self.slopes
        gradients = np.full(len(self.work), slopes.taken, np.int32)
        met = (self.passes.int(), slopes.zero / slopes.taken, slopes.nan / slopes.taken, self._gain(self.early))
        return Telemetry(gradients, *(values.cpu().numpy() for values in met))

    def _gain(self, before: Tensor) -> Tensor:
        return (1 - self.best.radius / before).nan_to_num(nan=0.0)  # inf over inf: nothing found

    def _ranking(self) -> tuple[Tensor, Tensor]:
        """Distances of the likeliest other classes in the linear model of the network at the image, ascending, and these: (n, k) each."""
        found, others = [], self._others(self.images)[:, : self.settings.classes]
        for target in others.unbind(1):
            gradient, lead, _ = self.slopes.at(self.images, target)
            found.append(self._estimate(gradient, lead))
        estimates, order = torch.stack(found, 1).sort(stable=True, dim=1)
        longest = self.longest[:, None]
        return estimates.clamp(FLOOR * longest, longest), others.gather(1, order)

    def _starts(self, choice: Tensor, estimates: Tensor, ranked: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Where each image's walk starts, (n, C, H, W), its first radius and its class, (n,), by the `choice` among all starts."""
        table = torch.tensor([*EXPLORE, *GO_ON], dtype=torch.float64).to(self.images)[choice]
        share, rank, rival, noise = table[:, 0], table[:, 1].long(), table[:, 2].bool(), table[:, 3].bool()
        rivals = self._others(self.best.adversarial)
        nearest = ranked.gather(1, rank.clamp_max(ranked.shape[1] - 1)[:, None])[:, 0]
        likeliest = rivals.gather(1, rank.clamp_max(rivals.shape[1] - 1)[:, None])[:, 0]
        estimate = estimates.gather(1, rank.clamp_max(ranked.shape[1] - 1)[:, None])[:, 0]
        known = self.best.radius.where(self.best.radius.isfinite(), estimate)
        begin = self.images + column(share) * (self.best.adversarial - self.images)
        begin[noise] = self._random(noise, known, number)
        radius = torch.where((share == 0) | ~self.best.radius.isfinite(), torch.minimum(known, estimate), known)
        return begin.clamp(0, 1), radius, torch.where(rival, likeliest, nearest)

    def _random(self, where: Tensor, radius: Tensor, number: int) -> Tensor:
        """A random point of the ball of each image that is asked for, (m, C, H, W)."""
        images, rows = self.images[where], self.work.rows[where.cpu().numpy()]
        if len(rows) == 0:
            return images
        unit = per_image_rng.ball(self.settings.seed, f"search {number} {self.norm}", rows, tuple(images.shape[1:]), self.norm)
        return images + column(radius[where]) * torch.from_numpy(unit).to(images)

    def _walk(self, name: str, now: Tensor, radius: Tensor, target: Tensor, course: Course) -> None:
        """Walk from `now` (n, C, H, W) towards the classes `target`, and offer the nearest image on the way that fools the network."""
        nearest, reached, succeeded = self.best.adversarial, self.best.radius, torch.zeros_like(self.labels, dtype=torch.bool)
        for step in range(self.settings.steps):
            change, length = course.at(step, self.settings.steps)
            gradient, lead, fooled = self.slopes.at(now, target)
            distance = distances(now, self.images, self.norm)
            nearest, reached = _nearer(fooled, now, distance, nearest, reached)
            succeeded |= fooled
            growth = GROWTH if 2 * step < self.settings.steps else HASTE
            growing = torch.maximum(growth * radius, distance + self._estimate(gradient, lead))
            radius = torch.where(succeeded, (1 + change) * radius, growing)
            radius = torch.where(fooled, (1 - change) * distance, radius).minimum(reached).minimum(self.longest)
            now = self._step(now, gradient, radius, length)
        fooled = ~right(self._logits(now), self.labels)
        self._offer(name, _nearer(fooled, now, distances(now, self.images, self.norm), nearest, reached)[0])

    def _step(self, now: Tensor, gradient: Tensor, radius: Tensor, length: float) -> Tensor:
        """A step of steepest ascent, `length` times the radius, back into box and ball; each image has a radius of its own.

        In L2 what would lead out of the box is taken off before the step gets its length: the boundary of an adversarially trained network
        is found nowhere else.
        """
        if self.norm == "l2":
            gradient = gradient.masked_fill(((now <= 0) & (gradient < 0)) | ((now >= 1) & (gradient > 0)), 0.0)
        moved = now + length * column(radius) * projections.steepest(gradient, self.norm, projections.STRICT.floor)
        delta, limit = moved.clamp(0, 1) - self.images, column(radius)
        if self.norm == "linf":
            return (self.images + delta.clamp(-limit, limit)).clamp(0, 1)
        return (self.images + delta * (limit / projections.lengths(delta).clamp_min(TINY)).clamp_max(1)).clamp(0, 1)

    def _straighten(self, name: str) -> None:
        """Move the best images towards the shortest perturbations that reach the boundary where it is linear: as far as that helps."""
        now = self.best.adversarial.clone()
        gradient, lead, _ = self.slopes.at(now, self._others(now)[:, 0])
        needed = lead - (gradient * (now - self.images)).flatten(1).sum(1)
        answer = MARGIN * step_onto(gradient, needed.nan_to_num(), self.images, self.norm)
        for share in STRAIGHTENED:
            self._offer(name, (self.images + (1 - share) * (now - self.images) + share * answer).clamp(0, 1))

    def _pull(self, name: str, here: Tensor) -> None:
        """Pull the best images at the positions `here` towards the clean ones: further after a success, less far after a failure."""
        images, labels = self.images[here], self.labels[here]
        delta = self.best.adversarial[here] - images
        kept, share = torch.ones_like(self.longest[here]), torch.full_like(self.longest[here], FIRST_PULL)
        for _ in range(PULLS if len(here) else 0):
            tried = kept * (1 - share)
            fooled = ~right(self._logits((images + column(tried) * delta).clamp(0, 1), here), labels)
            kept, share = tried.where(fooled, kept), torch.where(fooled, (4 * share).clamp_max(0.5), share / 2)
        self._offer(name, (images + column(kept) * delta).clamp(0, 1), here)

    def _estimate(self, gradient: Tensor, lead: Tensor) -> Tensor:
        """How far the boundary is in the linear model of the network, (n,)."""
        dual = gradient.flatten(1).norm(dim=1) if self.norm == "l2" else gradient.flatten(1).abs().sum(1)
        return (-lead / dual).nan_to_num(nan=torch.inf)

    def _offer(self, name: str, candidates: Tensor, here: Tensor | slice = slice(None)) -> None:
        self.best.offer(self.model, candidates, name, np.arange(len(self.work))[here.cpu().numpy() if isinstance(here, Tensor) else here])
        self.passes[here] += 1

    def _logits(self, images: Tensor, here: Tensor | slice = slice(None)) -> Tensor:
        self.passes[here] += 1
        with torch.no_grad():
            return self.model(images)

    def _others(self, images: Tensor) -> Tensor:
        """The classes but the label, the likeliest first, (n, K - 1)."""
        logits = self._logits(images).scatter(1, self.labels[:, None], -torch.inf)
        return logits.argsort(stable=True, dim=1, descending=True)[:, :-1]


def _nearer(fooled: Tensor, now: Tensor, distance: Tensor, nearest: Tensor, reached: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest images that fooled the network, and their distances, after one more look."""
    better = fooled & (distance < reached)
    return now.where(column(better), nearest), distance.where(better, reached)
