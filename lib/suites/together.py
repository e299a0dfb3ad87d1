"""Suite `together`: PGD, AutoAttack and probes in one process, for scales at which starting a process costs more than an attack."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from lib.attacks import autoattack, pgd, probes
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Threat
from lib.evaluation.work import Work


@dataclass(frozen=True)
class Settings:
    """The settings of each part."""

    pgd: pgd.Settings
    autoattack: autoattack.Settings
    probes: probes.Settings


def records(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """The records of all three, one after the other."""
    return [
        *pgd.records(model, work, threats, settings.pgd),
        *autoattack.records(model, work, threats, settings.autoattack),
        *probes.records(model, work, threats, settings.probes),
    ]
