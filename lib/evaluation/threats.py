"""Threat models: in which norm and radius a model is attacked."""

from dataclasses import dataclass
from typing import Literal

from lib.base import params
from lib.base.errors import require

Norm = Literal["l2", "linf"]


@dataclass(frozen=True)
class Threat:
    """A threat model, with the step size that the paper's attack uses in it (pixel units).

    Where `step_size` is null the paper has no such attack: the radius belongs to the curves of the strict attack only.
    """

    norm: Norm
    epsilon: float
    step_size: float | None

    def __post_init__(self) -> None:
        require(self.epsilon > 0, f"epsilon must be positive, got {self.epsilon}")
        require(self.step_size is None or self.step_size > 0, f"step_size must be positive or null, got {self.step_size}")


def threats(name: str) -> list[Threat]:
    """The list of threat models called `name`."""
    entries = params.value("threats", name)
    require(isinstance(entries, list) and len(entries) > 0, f"params.yaml: threats.{name} must be a non-empty list, got {entries!r}")
    return [params.parse(Threat, entry, params.place("threats", name, str(index))) for index, entry in enumerate(entries)]


def in_tables(found: list[Threat]) -> list[Threat]:
    """Those of the paper: the columns of the tables."""
    return [threat for threat in found if threat.step_size is not None]
