"""In which environment every result was made, from the records beside the results; each different environment has a short id."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.base import environment, params
from lib.base.environment import Environment
from lib.evaluation.outcome_file import PAPER
from lib.report import grid
from lib.report.families import permuted_targets, teacher_targets
from lib.report.results import Evidence, labels
from lib.report.rows import rows, seeds

FIELDS = tuple(name for name in Environment.__dataclass_fields__ if name != "stage")
ID = 7  # hexadecimal digits


@dataclass(frozen=True)
class Made:
    """A result: its `kind` (images, model, maps, targets, outcomes, transfer, gradients), and the record of its environment, if any."""

    kind: str
    record: Environment | None

    @property
    def id(self) -> str:
        """The same for two records exactly if they agree in all but the stage; "" without a record."""
        if self.record is None:
            return ""
        said = {field: getattr(self.record, field) for field in FIELDS}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:ID]


Records = dict[str, Made]  # by the path of the result


def read(folder: Path | None, dataset: str) -> Records:
    """The records below `folder` of all results that params.yaml asks for; those of other results are left alone."""
    places = {path: environment.place(Path(path), folder) if folder else None for path in results(dataset)}
    known = {path: environment.read(place) for path, place in places.items() if place and place.is_file()}
    return {path: Made(kind, known.get(path)) for path, kind in results(dataset).items()}


def results(dataset: str) -> dict[str, str]:
    """Every result of the pipeline that has a record, in the order of its stages: path -> kind."""
    found = {f"data/{dataset}.h5": "images"}
    for seed in seeds():
        found |= {model(seed, row): "model" for row in rows()}
        found |= {maps(seed, name): "maps" for name in teacher_targets()}
        found |= {targets(seed, name): "targets" for name in [*teacher_targets(), *permuted_targets(), *params.names("ir")]}
    found |= {outcomes(place): "outcomes" for place in grid.attacked()}
    found |= {transfer(seed): "transfer" for seed in seeds()}
    return found | {f"results/gradients/{seed}.h5": "gradients" for seed in seeds()}


def model(seed: int, row: str) -> str:
    """The path of a network."""
    return f"models/{seed}/{row}"


def maps(seed: int, name: str) -> str:
    """The path of a teacher's maps."""
    return f"data/maps/{seed}/{name}.h5"


def targets(seed: int, name: str) -> str:
    """The path of a target set."""
    return f"data/targets/{seed}/{name}.h5"


def outcomes(place: grid.Place) -> str:
    """The path of one attack's outcomes."""
    return f"results/attacks/{grid.name(place)}"


def transfer(seed: int) -> str:
    """The path of what one stage makes: the outcomes of all rows."""
    return f"results/transfer/{seed}"


def different(records: Records) -> dict[str, Environment]:
    """Each different environment by its id, the first met first."""
    return {made.id: made.record for made in records.values() if made.record is not None}


def to_frame(records: Records) -> pd.DataFrame:
    """One line per result: its path, what it is, the stage that made it, the id of its environment and all that its record says."""
    lines = []
    for path, made in records.items():
        stage, *said = (getattr(made.record, field, None) for field in ("stage", *FIELDS))
        lines.append((path, made.kind, stage, made.id, *said))
    return pd.DataFrame(lines, columns=["path", "kind", "stage", "environment", *FIELDS], dtype=object)


def of_accuracies(evidence: Evidence, records: Records) -> pd.Series:
    """For each line of `evidence.accuracies` the id of the environment in which the attack was run."""
    known: dict[tuple[str, int, str], str] = {}
    names = labels(evidence.rows)
    for one in evidence.outcomes:
        what = grid.what(one)
        path = transfer(one.seed) if what == grid.TRANSFER else outcomes((one.seed, one.row, what))
        for semantics in ["", PAPER, "strict"] if what == grid.EVALUATION else [what]:
            known[names[one.row], one.seed, semantics] = records[path].id
    keys = zip(*(evidence.accuracies[column] for column in ("technique", "seed", "semantics")))
    return pd.Series([known[key] for key in keys], index=evidence.accuracies.index)
