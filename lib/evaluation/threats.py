"""Threat models: in which norm and radius a model is attacked."""

from dataclasses import dataclass
from typing import Literal

from lib.base import params
from lib.base.errors import require

Norm = Literal["l2", "linf"]


@dataclass(frozen=True)
class Threat:
    """A threat model, with the step size that the paper's attack uses in it (pixel units); None where that attack is not meant."""

    norm: Norm
    epsilon: float
    step_size: float | None = None

    def __post_init__(self) -> None:
        require(self.epsilon > 0, f"epsilon must be positive, got {self.epsilon}")
        require(self.step_size is None or self.step_size > 0, f"step_size must be positive, got {self.step_size}")


def threats(name: str) -> list[Threat]:
    """The list of threat models called `name`."""
    entries = params.value("threats", name)
    require(isinstance(entries, list) and len(entries) > 0, f"params.yaml: threats.{name} must be a non-empty list, got {entries!r}")
    return [_threat(entry, params.place("threats", name, str(index))) for index, entry in enumerate(entries)]


def _threat(entry: object, place: str) -> Threat:
    threat = params.parse(Threat, entry, place)
    require(threat.step_size is not None, f"{place} lacks the key step_size, that of the paper's attack")
    return threat
