"""The rows of the tables: which models exist, what the paper calls them, where they are attacked. No arithmetic here."""

from dataclasses import dataclass
from typing import Literal

from lib.base import params
from lib.base.errors import require


@dataclass(frozen=True)
class Row:
    """One row: the paper's name, the list of `threats` that it is attacked in, and its group in Table 2 (or none)."""

    technique: str
    threats: str
    group: str | None


@dataclass(frozen=True)
class Threat:
    """A threat model, with the step size that the paper's attack uses in it (pixel units)."""

    norm: Literal["l2", "linf"]
    epsilon: float
    step_size: float

    def __post_init__(self) -> None:
        require(self.epsilon > 0, f"epsilon must be positive, got {self.epsilon}")
        require(self.step_size > 0, f"step_size must be positive, got {self.step_size}")


def rows() -> dict[str, Row]:
    """Every row by its key; each must be trained by exactly one of the sections teachers, at, jr and ir."""
    found = params.sections(Row, "rows")
    trained = [name for part in ("teachers", "at", "jr", "ir") for name in params.names(part)]
    untrained = sorted(set(found) - set(trained))
    require(not untrained, f"params.yaml: rows {', '.join(untrained)} are in none of the sections teachers, at, jr, ir")
    unlisted = sorted(set(trained) - set(found))
    require(not unlisted, f"params.yaml: {', '.join(unlisted)} are trained but not listed under rows")
    twice = sorted({name for name in trained if trained.count(name) > 1})
    require(not twice, f"params.yaml: {', '.join(twice)} are trained by more than one section")
    return found


def threats(name: str) -> list[Threat]:
    """The list of threat models called `name`."""
    entries = params.value("threats", name)
    require(isinstance(entries, list) and len(entries) > 0, f"params.yaml: threats.{name} must be a non-empty list, got {entries!r}")
    return [params.parse(Threat, entry, params.place("threats", name, str(index))) for index, entry in enumerate(entries)]


def seeds() -> list[int]:
    """The seeds, each one independent replication."""
    found = params.value("seeds")
    valid = isinstance(found, list) and found and all(type(seed) is int and seed >= 0 for seed in found) and len(set(found)) == len(found)
    require(bool(valid), f"params.yaml: seeds must be a list of different non-negative integers, got {found!r}")
    return found
