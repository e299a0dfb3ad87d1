"""An attack of your own: a file of lib/own_attacks that offers `Settings` and `attack(model, work, norm, settings)`, (N, C, H, W)
candidates."""

from dataclasses import asdict
from functools import partial
from types import ModuleType

from torch import nn

from lib.attacks.best import Best
from lib.attacks.outcomes import Asked, radius
from lib.attacks.work import Evaluation, Work
from lib.base.choices import choice
from lib.evaluation.outcome_file import NORMS, Radius, Record
from lib.evaluation.threats import Norm


def suite(name: str) -> ModuleType:
    """The file of lib/own_attacks called `name`."""
    return choice("lib.own_attacks", name, "attack")


def asked(row: str, seed: int, name: str, settings: object, plan: Evaluation) -> Asked:
    """What is asked of a network: to stand the attack `name` in both norms. Candidates count if they fool it when they are shown again."""
    return Asked(row, seed, partial(_attack, name=name, settings=settings), {name: asdict(settings)}, plan)  # type: ignore[call-overload]


def _attack(model: nn.Module, work: Work, name: str, settings: object) -> tuple[dict[Norm, Radius], list[Record]]:
    found = {}
    for norm in NORMS:
        best = Best.unknown(work, norm)
        best.offer(model, suite(name).attack(model, work, norm, settings), name)
        found[norm] = radius(best)
    return found, []
