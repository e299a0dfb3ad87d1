"""One model attacked, image by image: the robust radius of each in both norms, and what the other attacks say of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from lib.attacks import paper, probes, referee, search
from lib.attacks.best import Best, distances
from lib.attacks.work import Evaluation, Work, classified, first_images, spread
from lib.base.errors import require
from lib.base.image_file import Split
from lib.evaluation import parts
from lib.evaluation.outcome_file import CLEAN, NORMS, Outcomes, Radius, Record
from lib.evaluation.threats import Norm, Threat
from lib.network.model_state import evaluating

# What an attack finds on some images: their radii, and records of the attacks that have any.
Attack = Callable[[nn.Module, Work], tuple[dict[Norm, Radius], list[Record]]]


@dataclass(frozen=True)
class Settings:
    """Section `attacks`: the search, and beside it the paper's attack, the referee and the gate's probes; null leaves one out."""

    search: search.Settings
    paper: paper.Settings | None
    referee: referee.Settings | None
    probes: probes.Settings | None


@dataclass(frozen=True)
class Asked:
    """What is asked of a network: to stand an `attack` on some images; `settings` are the attack's, by its name.

    `row` and `seed` only say whose outcomes these are.
    """

    row: str
    seed: int
    attack: Attack
    settings: dict
    plan: Evaluation


def evaluation(row: str, seed: int, settings: Settings, threats: Sequence[Threat], plan: Evaluation) -> Asked:
    """The whole evaluation: all attacks of section `attacks`, the paper's in these threat models."""
    return Asked(row, seed, partial(_everything, threats=threats, settings=settings), asdict(settings), plan)


def outcomes(model: nn.Module, test: Split, asked: Asked, device: torch.device) -> Outcomes:
    """What was found on the first images of the test split.

    Images that the model misclassifies as they are have the radius 0 and are not attacked. The others are attacked batch by batch, each by
    all attacks before the next, so that parts can be shared out (lib/evaluation/parts.py).

    Raises:
        InputError: more images are asked for than the split has, or a clean image's output is not finite.
    """
    return part(model, test, asked, device, (1, 1))[0]


def part(
    model: nn.Module, test: Split, asked: Asked, device: torch.device, chosen: tuple[int, int], common: dict | None = None
) -> tuple[Outcomes, parts.Part]:
    """The outcomes of part I of K, as those of all images with nothing found on the others, and which batches these are; `common` is what
    the parts must have in common beside what outcomes say of themselves."""
    data, size = first_images(test, asked.plan.images, device), asked.plan.batch_size
    with evaluating(model):
        clean = classified(model, data, size)
        count = int(clean.sum())
        require(count > 0, "the model classifies no test image correctly, there is nothing to attack")
        place = parts.part(count, size, *chosen, common)
        work, rows = Work(data, np.arange(len(data)), size), np.arange(len(data), dtype=np.int64)
        start = Outcomes(test.dataset, asked.row, asked.seed, test.digest, rows, test.labels[: len(data)], clean, {}, (), asked.settings)
        pieces = []
        for batch in range(place.first, place.last):
            positions = replace(place, first=batch, last=batch + 1).positions(clean)
            radii, records = asked.attack(model, replace(work.take(positions), is_first=batch == 0))
            everywhere = {norm: _spread(found, positions, clean, data.images, norm) for norm, found in radii.items()}
            pieces.append(
                (positions, replace(start, radii=everywhere, records=tuple(spread(one, positions, len(data)) for one in records)))
            )
    return parts.joined(pieces), place


def radius(best: Best, telemetry: Mapping[str, np.ndarray] | None = None) -> Radius:
    """What is known of the images of `best`, with what was noticed on each."""
    seen = {name: np.asarray(values, np.float32) for name, values in (telemetry or {}).items()}
    return Radius(best.radius.cpu().numpy().astype(np.float32), best.by.astype(str), seen)


def reach(images: Tensor, norm: Norm) -> np.ndarray:
    """Length (N,) float32 of the longest perturbation that leaves each image in the box: no radius is larger.

    >>> reach(torch.tensor([[[[0.25, 1.0]]]]), "linf").tolist(), reach(torch.tensor([[[[0.25, 1.0]]]]), "l2").tolist()
    ([1.0], [1.25])
    """
    return distances((images < 0.5).to(images), images, norm).cpu().numpy()


def _everything(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> tuple[dict[Norm, Radius], list[Record]]:
    searched = {norm: search.search(model, work, norm, settings.search) for norm in NORMS}
    best = {norm: found for norm, (found, _) in searched.items()}
    seen = {norm: vars(telemetry) | {"searched": best[norm].radius.cpu().numpy().copy()} for norm, (_, telemetry) in searched.items()}
    records = []
    if settings.referee:
        records += referee.records(model, work, best, settings.referee)
    if settings.paper:
        records += paper.paper(model, work, threats, settings.paper, best)
    if settings.probes:
        records += probes.records(model, work, best, settings.probes, settings.search)
    return {norm: radius(best[norm], seen[norm]) for norm in NORMS}, records


def _spread(found: Radius, positions: np.ndarray, clean: np.ndarray, images: Tensor, norm: Norm) -> Radius:
    """The radii of the images at `positions` as those of all; of the others that are classified correctly nothing is known."""
    length, found_by = np.where(clean, np.inf, 0).astype(np.float32), np.where(clean, "", CLEAN).astype("U24")
    length[positions], found_by[positions] = found.radius, found.found_by
    telemetry = {name: np.full(len(clean), np.nan, np.float32) for name in found.telemetry}
    for name, values in found.telemetry.items():
        telemetry[name][positions] = values
    return Radius(length, found_by, {**telemetry, "reach": reach(images, norm)})
