"""AutoAttack (Croce & Hein 2020) as referee of the search: it is tried on what the search left standing, and what it breaks was missed.

By `pyautoattack`, which is the authors' code, with what its driver lacks. Its attacks are called one by one on what still stands, so that
the outcome after each is kept. Restarts are set (its "custom" version would take five), every call is seeded and the global random state
handed back; its driver's checks, which switch off tracing for the rest of the process, and its state file, which cannot be read again, are
not used: the gate and DVC do those jobs.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from lib.attacks.best import Best
from lib.attacks.square import LOWEST, Square
from lib.attacks.work import Work
from lib.base.errors import require
from lib.evaluation import radii
from lib.evaluation.outcome_file import REFEREE, Record
from lib.evaluation.threats import Norm
from lib.network.progress import progress

Name = Literal["apgd-ce", "apgd-t", "fab-t", "square"]
STANDARD: dict[str, Any] = {"attacks": ["apgd-ce", "apgd-t", "fab-t", "square"], "iterations": 100, "targets": 9, "queries": 5000}
NORMS = {"l2": "L2", "linf": "Linf"}
TARGETED = ("apgd-t", "fab-t")
FEWEST_CLASSES = 4  # the targeted loss divides by a difference to the mean of the third and fourth logit


@dataclass(frozen=True)
class Settings:
    """Which attacks, in this order, at one radius of each norm, on the first `images` that the search left standing there (null: on all).

    `iterations` of APGD and FAB, `targets` of the targeted ones, `queries` of Square. The values of AutoAttack's "standard" version are
    `STANDARD`; anything less is called "lite". The first images are those of the first batch of an evaluation.
    """

    seed: int
    radii: dict[Norm, float]
    images: int | None
    attacks: list[Name]
    iterations: int
    targets: int
    queries: int

    def __post_init__(self) -> None:
        require(len(self.attacks) > 0, f"attacks must name at least one of {', '.join(STANDARD['attacks'])}")
        for name in ("iterations", "targets", "queries"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        require(self.images is None or self.images > 0, f"images must be positive or null, got {self.images}")
        require(len(self.radii) > 0, "radii must name a radius for at least one of l2, linf")
        for norm, epsilon in self.radii.items():
            require(epsilon > 0, f"radii.{norm} must be positive, got {epsilon}")

    def require_classes(self, classes: int, place: str = "attacks") -> None:
        """Raise `InputError` if a model of so many `classes` cannot be attacked; `place` is where params.yaml names the attacks."""
        others = [name for name in self.attacks if name not in TARGETED]
        cure = f"set {place} to [{', '.join(others or ('apgd-ce', 'square'))}]"
        fits = classes >= FEWEST_CLASSES or len(others) == len(self.attacks)
        require(fits, f"{' and '.join(TARGETED)} need at least {FEWEST_CLASSES} classes, the model has {classes}: {cure}")

    @property
    def name(self) -> str:
        """`standard` where these are AutoAttack's own values, else `lite`."""
        mine = asdict(self)
        return "standard" if all(mine[key] == value for key, value in STANDARD.items()) else "lite"


def records(model: nn.Module, work: Work, best: Mapping[Norm, Best], settings: Settings) -> list[Record]:
    """One record per radius; `correct` line r says what survived the first r + 1 attacks, `asked` which images they were tried on.

    What an attack breaks is entered into `best` as found by "autoattack <attack>". The outcome of an image may depend on those beside it,
    because AutoAttack draws its starts batch by batch.
    """
    classes = _classes(model, work)
    settings.require_classes(classes)
    low = "square" in settings.attacks and "l2" in settings.radii and work.batch.images.shape[2] < LOWEST
    require(not low, f"square in L2 needs images at least {LOWEST} pixels high, these have {work.batch.images.shape[2]}")
    found = []
    for norm, epsilon in progress(settings.radii.items(), "AutoAttack", unit="radius"):
        ensemble = _ensemble(model, work, norm, epsilon, settings, classes)
        found.append(_at_radius(model, work, best[norm], epsilon, settings, ensemble))
    return found


def _at_radius(model: nn.Module, work: Work, best: Best, epsilon: float, settings: Settings, ensemble: AutoAttack) -> Record:
    """The attacks one after the other, each on what the earlier ones left of the images that are asked for."""
    asked = _asked(work, best, epsilon, settings)
    lines = []
    for name in settings.attacks:
        left = np.flatnonzero(asked & _standing(best, epsilon))
        for positions, part in work.chunks(left):
            best.offer(model, _tried(part, ensemble, name), f"{REFEREE} {name}", positions)
        lines.append(~asked | _standing(best, epsilon))
    return Record(REFEREE, settings.name, best.norm, epsilon, "worst", np.stack(lines), asdict(settings), asked=asked)


def _asked(work: Work, best: Best, epsilon: float, settings: Settings) -> np.ndarray:
    standing = np.flatnonzero(_standing(best, epsilon))
    asked = np.zeros(len(work), bool)
    if settings.images is None or work.is_first:
        asked[standing[: settings.images]] = True
    return asked


def _standing(best: Best, epsilon: float) -> np.ndarray:
    return radii.stands(best.radius.cpu().numpy(), epsilon)


def _tried(part: Work, ensemble: AutoAttack, name: str) -> Tensor:
    """What one attack returns for these images, whether it fools the model or not."""
    images, labels = part.batch.images.contiguous(), part.batch.labels  # APGD and Square call `view` on what they are given
    attack = {"apgd-ce": ensemble.apgd, "apgd-t": ensemble.apgd_targeted, "fab-t": ensemble.fab, "square": ensemble.square}[name]
    with torch.random.fork_rng(), torch.no_grad():
        return attack.perturb(images.clone(), labels.clone()).detach()


def _ensemble(model: nn.Module, work: Work, norm: Norm, epsilon: float, settings: Settings, classes: int) -> AutoAttack:
    """The four attacks as AutoAttack's standard version sets them, but for our numbers."""
    device = work.batch.images.device
    found = AutoAttack(_own_logits(model), norm=NORMS[norm], eps=epsilon, seed=settings.seed, device=device)
    found.apgd.loss = "ce"
    found.apgd.n_iter = found.apgd_targeted.n_iter = found.fab.n_iter = settings.iterations
    found.apgd_targeted.n_target_classes = found.fab.n_target_classes = min(settings.targets, classes - 1)
    found.apgd.n_restarts = found.apgd_targeted.n_restarts = found.fab.n_restarts = 1
    found.fab.targeted = True
    found.square.n_queries = settings.queries
    found.square.__class__ = Square
    return found


def _own_logits(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Square writes into the logits it gets: give it a tensor of its own."""

    def logits(images: Tensor) -> Tensor:
        found = model(images)
        return found if found.requires_grad else found.clone()

    return logits


def _classes(model: nn.Module, work: Work) -> int:
    with torch.no_grad():
        return model(work.batch.images[:1]).shape[1]
