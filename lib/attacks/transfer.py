"""Transfer attacks (Papernot et al. 2016): adversarial images made on one network and shown to others, which are asked for no gradient."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib.attacks.best import LONGEST_NAME, Best
from lib.attacks.losses import margin
from lib.attacks.outcomes import reach
from lib.attacks.pgd import ascent, decayed, start
from lib.attacks.work import Work, classified
from lib.base.errors import require
from lib.base.image_file import Split
from lib.evaluation.outcome_file import CLEAN, NORMS, TRANSFER, Outcomes, Radius
from lib.evaluation.threats import Norm, Threat
from lib.network import projections
from lib.network.batches import Batch
from lib.network.model_state import evaluating
from lib.network.progress import progress

# Lengths at which a perturbation is shown, in units of the one that its source was walked to: the shortest that fools is what counts.
SCALES = tuple(quarter / 4 for quarter in range(1, 9))


@dataclass(frozen=True)
class Settings:
    """Section `transfer`: rows whose networks the images are made on, on how many images, and the walks that make them.

    One walk a norm, from a random start in the ball of `radii`, `steps` on the margin, the first of `first_step` times radius / steps and
    the others shorter along a cosine. It goes to its end, because what barely fools its source seldom fools another.
    """

    sources: list[str]
    images: int | None
    seed: int
    radii: dict[Norm, float]
    steps: int
    first_step: float

    def __post_init__(self) -> None:
        require(len(self.sources) > 0, "sources must name at least one row")
        require(self.images is None or self.images > 0, f"images must be positive or null, got {self.images}")
        for name in ("steps", "first_step"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        require(len(self.radii) > 0, "radii must name a radius for at least one of l2, linf")
        for norm, epsilon in self.radii.items():
            require(epsilon > 0, f"radii.{norm} must be positive, got {epsilon}")


@dataclass(frozen=True)
class Crafted:
    """Adversarial versions (N, C, H, W) of all images, made on one source in one norm."""

    source: str
    norm: Norm
    images: Tensor


def crafted(sources: Mapping[str, nn.Module], data: Batch, settings: Settings, batch_size: int) -> list[Crafted]:
    """Adversarial versions of all images of `data`, whatever a source makes of them as they are."""
    work, found = Work(data, np.arange(len(data)), batch_size), []
    for name, model in sources.items():
        with evaluating(model):
            for norm, epsilon in progress(settings.radii.items(), f"images made on {name}", unit="norm"):
                parts = [_walked(model, part, Threat(norm, epsilon), settings) for _, part in work.chunks(np.arange(len(work)))]
                found.append(Crafted(name, norm, torch.cat(parts)))
    return found


def outcomes(
    model: nn.Module, row: str, seed: int, test: Split, data: Batch, made: Sequence[Crafted], settings: Settings, batch_size: int
) -> Outcomes:
    """The radius of every image under the perturbations of other rows' networks, each shown at the lengths of `SCALES`.

    The telemetry `from <source>` (n,) of each norm holds the radius by this source alone, NaN where the image is misclassified as it is.
    """
    with evaluating(model), torch.no_grad():
        clean = classified(model, data, batch_size)
        work = Work(data, np.arange(len(data)), batch_size).take(np.flatnonzero(clean))
        shown = [one for one in made if one.source != row]
        known = {norm: _radius(model, work, clean, data, norm, [one for one in shown if one.norm == norm]) for norm in NORMS}
    rows = np.arange(len(data), dtype=np.int64)
    return Outcomes(test.dataset, row, seed, test.digest, rows, test.labels[: len(data)], clean, known, (), {TRANSFER: asdict(settings)})


def _walked(model: nn.Module, part: Work, threat: Threat, settings: Settings) -> Tensor:
    images, now = part.batch.images, start(part, threat, projections.STRICT, settings.seed, "transfer")
    for step in range(settings.steps):
        length = decayed(settings.first_step * threat.epsilon / settings.steps, step, settings.steps)
        moved = now + length * projections.steepest(ascent(model, now, part.batch.labels, margin)[0], threat.norm, projections.STRICT.floor)
        now = projections.project(moved, images, threat.norm, threat.epsilon, projections.STRICT)
    return now


def _radius(model: nn.Module, work: Work, clean: np.ndarray, data: Batch, norm: Norm, made: Sequence[Crafted]) -> Radius:
    """The shortest of all sources, image by image."""
    length, found_by = np.where(clean, np.inf, 0).astype(np.float32), np.where(clean, "", CLEAN).astype("U24")
    together, telemetry = Radius(length, found_by), {}
    for one in made:
        best = _shown(model, work, one.images[torch.from_numpy(clean).to(one.images.device)], norm, one.source)
        mine, names = length.copy(), found_by.copy()
        mine[clean], names[clean] = best.radius.cpu().numpy(), best.by
        together = together.shortened([Radius(mine, names)])
        telemetry[f"from {one.source}"] = np.where(clean, mine, np.nan).astype(np.float32)
    return Radius(together.radius, together.found_by, {**telemetry, "reach": reach(data.images, norm)})


def _shown(model: nn.Module, work: Work, adversarial: Tensor, norm: Norm, source: str) -> Best:
    best, images = Best.unknown(work, norm), work.batch.images
    for scale in SCALES:
        left = np.flatnonzero(np.isinf(best.radius.cpu().numpy()))
        index = torch.from_numpy(left).to(images.device)
        candidates = (images[index] + scale * (adversarial[index] - images[index])).clamp(0, 1)
        best.offer(model, candidates, f"{TRANSFER} from {source}"[:LONGEST_NAME], left)
    return best
