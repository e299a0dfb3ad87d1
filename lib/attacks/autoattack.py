"""AutoAttack (Croce & Hein 2020) by `pyautoattack`, which is the authors' code, with what its driver lacks.

Its attacks are called one by one on what still stands, so that the outcome after each is kept. Restarts are set (its "custom" version
would take five), every call is seeded and the global random state handed back; its driver's checks, which switch off tracing for
the rest of the process, and its state file, which cannot be read again, are not used: the gate and DVC do those jobs.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from lib.attacks.square import LOWEST, Square
from lib.attacks.walk import violation
from lib.base.errors import require
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Threat, in_tables
from lib.evaluation.work import Work, first, right, scattered
from lib.network.progress import progress

Name = Literal["apgd-ce", "apgd-t", "fab-t", "square"]
STANDARD: dict[str, Any] = {
    "attacks": ["apgd-ce", "apgd-t", "fab-t", "square"],
    "iterations": 100,
    "targets": 9,
    "queries": 5000,
    "square_images": None,
}
NORMS = {"l2": "L2", "linf": "Linf"}
TARGETED = ("apgd-t", "fab-t")
FEWEST_CLASSES = 4  # the targeted loss divides by a difference to the mean of the third and fourth logit


@dataclass(frozen=True)
class Settings:
    """Which attacks, in this order, on the first `images` (null: all).

    `iterations` of APGD and FAB, `targets` of the targeted ones, `queries` of Square, `square_images` is on how many survivors Square is
    tried per radius, all of the first batch of an evaluation (null: on every survivor of every batch). The values of AutoAttack's
    "standard" version are `STANDARD`; anything less is called "lite".
    """

    seed: int
    attacks: list[Name]
    images: int | None
    iterations: int
    targets: int
    queries: int
    square_images: int | None

    def __post_init__(self) -> None:
        require(len(self.attacks) > 0, f"attacks must name at least one of {', '.join(STANDARD['attacks'])}")
        for name in ("iterations", "targets", "queries"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        for name in ("images", "square_images"):
            count = getattr(self, name)
            require(count is None or count > 0, f"{name} must be positive or null, got {count}")

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


def records(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """One record per threat model of the tables; `correct` line r says what survived the first r + 1 attacks.

    Smaller radii come first, and what fell there is not attacked again. The outcome of an image may depend on those beside it, because
    AutoAttack draws its starts batch by batch.
    """
    classes = _classes(model, work)
    settings.require_classes(classes)
    shown, asked = in_tables(list(threats)), None if settings.images is None else first(work, settings.images)
    low = "square" in settings.attacks and any(threat.norm == "l2" for threat in shown) and work.batch.images.shape[2] < LOWEST
    require(not low, f"square in L2 needs images at least {LOWEST} pixels high, these have {work.batch.images.shape[2]}")
    if asked is not None and not asked.any():
        return []
    part = work if asked is None else work.take(np.flatnonzero(asked))
    standing = {threat.norm: np.ones(len(part), bool) for threat in shown}
    found: dict[Threat, Record] = {}
    for threat in progress(sorted(shown, key=lambda one: one.epsilon), "AutoAttack", unit="radius"):
        ensemble = _ensemble(model, part, threat, settings, classes)
        found[threat] = _at_radius(model, part, threat, settings, ensemble, standing[threat.norm])
        standing[threat.norm] = found[threat].correct[-1]
    return [found[threat] if asked is None else scattered(found[threat], asked) for threat in shown]


def _at_radius(model: nn.Module, work: Work, threat: Threat, settings: Settings, ensemble: AutoAttack, standing: np.ndarray) -> Record:
    """The attacks one after the other, each on what the earlier ones left of `standing`, (N,) bool."""
    alive, lines = standing.copy(), []
    seen = {name: np.full(len(work), np.nan, np.float32) for name in ("violation", "square_asked")}
    for name in settings.attacks:
        positions = np.flatnonzero(alive)
        if name == "square":
            positions = positions[: settings.square_images if work.is_first or settings.square_images is None else 0]
            seen["square_asked"][positions] = 1
        for group, part in work.chunks(positions):
            stands, excess = _tried(model, part, threat, ensemble, name)
            alive[group] = stands
            seen["violation"][group] = np.fmax(seen["violation"][group], excess)
        lines.append(alive.copy())
    return Record("autoattack", settings.name, threat.norm, threat.epsilon, "worst", np.stack(lines), asdict(settings), seen)


def _tried(model: nn.Module, part: Work, threat: Threat, ensemble: AutoAttack, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Which images one attack leaves standing, and by how much its answers leave the ball or the box."""
    images, labels = part.batch.images.contiguous(), part.batch.labels  # APGD and Square call `view` on what they are given
    attack = {"apgd-ce": ensemble.apgd, "apgd-t": ensemble.apgd_targeted, "fab-t": ensemble.fab, "square": ensemble.square}[name]
    with torch.random.fork_rng(), torch.no_grad():
        adversarial = attack.perturb(images.clone(), labels.clone()).detach()
        stands = right(model(adversarial), labels)
    return stands.cpu().numpy(), violation(adversarial, images, threat).cpu().numpy()


def _ensemble(model: nn.Module, work: Work, threat: Threat, settings: Settings, classes: int) -> AutoAttack:
    """The four attacks as AutoAttack's standard version sets them, but for our numbers."""
    device = work.batch.images.device
    found = AutoAttack(_own_logits(model), norm=NORMS[threat.norm], eps=threat.epsilon, seed=settings.seed, device=device)
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
