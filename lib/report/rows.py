"""The rows of the tables: which models exist, what the paper calls them, where they are attacked. No arithmetic here."""

from dataclasses import dataclass

from lib.base import params, typed
from lib.base.errors import require

# The sections of params.yaml that train rows, each with the file of lib/objectives that it configures; a new objective adds its own.
TRAINED_BY = {"teachers": "adversarial", "at": "adversarial", "jr": "jacobian", "ir": "interpretation"}


@dataclass(frozen=True)
class Row:
    """One row: the paper's name, the list of `threats` that it is attacked in, and its group in Table 2 (or none)."""

    technique: str
    threats: str
    group: str | None


def rows() -> dict[str, Row]:
    """Every row by its key; each must be trained by exactly one of the sections teachers, at, jr and ir."""
    found = params.sections(Row, "rows")
    trained = [name for part in TRAINED_BY for name in params.names(part)]
    untrained = sorted(set(found) - set(trained))
    require(not untrained, f"params.yaml: rows {', '.join(untrained)} are in none of the sections {', '.join(TRAINED_BY)}")
    unlisted = sorted(set(trained) - set(found))
    require(not unlisted, f"params.yaml: {', '.join(unlisted)} are trained but not listed under rows")
    twice = sorted({name for name in trained if trained.count(name) > 1})
    require(not twice, f"params.yaml: {', '.join(twice)} are trained by more than one section")
    return found


def epochs() -> dict[str, int]:
    """For how many epochs each row is trained: those of its own entry, else those of section training."""
    entries = {row: entry for part in TRAINED_BY for row, entry in params.value(part).items()}
    return {row: entries[row].get("epochs") or params.value("training", "epochs") for row in rows()}


def seeds() -> list[int]:
    """The seeds, each one independent replication."""
    found = params.value("seeds")
    valid = isinstance(found, list) and found and all(type(seed) is int and 0 <= seed < typed.LARGEST for seed in found)
    different = valid and len(set(found)) == len(found)
    require(bool(different), f"params.yaml: seeds must be a list of different non-negative integers, got {typed.shown(found)}")
    return found
