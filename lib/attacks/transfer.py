"""Transfer attacks (Papernot et al. 2016): adversarial images made on one network and shown to others, which are asked for no gradient."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib.attacks import strict
from lib.attacks.walk import ends, violation
from lib.base.errors import require
from lib.base.image_file import Split
from lib.evaluation.outcome_file import Outcomes, Record
from lib.evaluation.threats import Threat
from lib.evaluation.work import Work, classified, outputs, right
from lib.network.batches import Batch
from lib.network.model_state import evaluating
from lib.network.progress import progress


@dataclass(frozen=True)
class Settings(strict.Settings):
    """Section `transfer`: rows whose networks the images are made on, how many images, and the walks that make them.

    The walks are those of the strict attack, but each goes to its end, because what barely fools its source seldom fools another.
    """

    sources: list[str]
    images: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.sources) > 0, "sources must name at least one row")
        require(self.images is None or self.images > 0, f"images must be positive or null, got {self.images}")


@dataclass(frozen=True)
class Crafted:
    """Adversarial images of one source in one threat model, one (N, C, H, W) tensor per restart."""

    source: str
    threat: Threat
    images: list[Tensor]


def crafted(sources: Mapping[str, nn.Module], data: Batch, threats: Sequence[Threat], settings: Settings, batch_size: int) -> list[Crafted]:
    """Adversarial versions of all images of `data`, whatever a source makes of them as they are."""
    work, found = Work(data, np.arange(len(data)), batch_size), []
    for name, model in sources.items():
        with evaluating(model):
            for threat in progress(threats, f"images made on {name}", unit="radius"):
                walks = [ends(model, work, threat, settings.plan(restart, threat)) for restart in range(settings.restarts)]
                found.append(Crafted(name, threat, walks))
    return found


def outcomes(
    model: nn.Module, row: str, seed: int, test: Split, data: Batch, made: Sequence[Crafted], settings: Settings, batch_size: int
) -> Outcomes:
    """What `model` makes of the crafted images; those that it misclassifies as they are count as not robust."""
    with evaluating(model), torch.no_grad():
        clean = classified(model, data, batch_size)
        records = tuple(_record(model, data, clean, one, settings, batch_size) for one in made)
    rows = np.arange(len(data), dtype=np.int64)
    return Outcomes(test.dataset, row, seed, "transfer", test.digest, rows, test.labels[: len(data)], clean, records)


def _record(model: nn.Module, data: Batch, clean: np.ndarray, made: Crafted, settings: Settings, batch_size: int) -> Record:
    correct = np.stack([np.concatenate(list(_standing(model, walked, data.labels, batch_size))) for walked in made.images]) & clean
    excess = torch.stack([violation(walked, data.images, made.threat) for walked in made.images]).amax(0).cpu().numpy()
    name, threat = f"from {made.source}", made.threat
    return Record("transfer", name, threat.norm, threat.epsilon, "worst", correct, asdict(settings), {"violation": excess})


def _standing(model: nn.Module, walked: Tensor, labels: Tensor, batch_size: int) -> Iterator[np.ndarray]:
    for first, logits in outputs(model, walked, batch_size):
        yield right(logits, labels[first : first + batch_size]).cpu().numpy()
