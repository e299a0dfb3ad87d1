"""In which environment every result was made, by the records beside the results, and whether the rows of one table share theirs.

Each different environment has a short id: that of a hash of all that its record says but for the stage.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from lib.base import environment, params
from lib.base.environment import Environment
from lib.evaluation.outcome_file import PAPER
from lib.parallel import lineage
from lib.report import grid
from lib.report.families import permuted_targets, teacher_targets
from lib.report.results import Evidence, labels
from lib.report.rows import rows, seeds
from lib.report.templates import rendered

FIELDS = tuple(name for name in Environment.__dataclass_fields__ if name != "stage")
ID = 7  # hexadecimal digits
STEPS = ("training", "maps", "targets", "evaluation")
# A difference in these alone is said quietly: DVC runs a stage again where code that it uses has changed.
QUIET = ("commit", "modified")


@dataclass(frozen=True)
class Origin:
    """Of the rows of Table 1: whether they share their environments, step by step (`STEPS`).

    level: "same"; "commit" where only the code differs; "mixed" where more does; "unknown" without any record.
    differ: the fields of the records in which environments of one step differ.
    groups: of every step that differs one line per environment, with `step`, `environment`, `rows` (technique -> its seeds) and the fields.
    missing: what has no record, as (step, technique, seed).
    """

    level: Literal["same", "commit", "mixed", "unknown"]
    differ: list[str]
    groups: list[dict]
    missing: list[tuple[str, str, int]]


def read(folder: Path | None, dataset: str) -> pd.DataFrame:
    """One line per result that params.yaml asks for: its path and kind, the stage that made it, the id of its environment ("": there is no
    record below `folder`) and all `FIELDS` of it, None where they are not known; records of other results are left alone.
    """
    lines = []
    for path, kind in results(dataset).items():
        place = environment.place(Path(path), folder) if folder else None
        record = environment.read(place) if place and place.is_file() else None
        known = [getattr(record, field, None) for field in FIELDS]
        lines.append((path, kind, getattr(record, "stage", None), identity(known) if record else "", *known))
    return pd.DataFrame(lines, columns=["path", "kind", "stage", "environment", *FIELDS], dtype=object)


def identity(values: Sequence[object]) -> str:
    """The id of the environment whose `FIELDS` have these values."""
    return hashlib.sha256(json.dumps(dict(zip(FIELDS, values)), sort_keys=True).encode()).hexdigest()[:ID]


def results(dataset: str) -> dict[str, str]:
    """Every result of the pipeline that has a record, in the order of its stages: path -> kind."""
    paths = {f"data/{dataset}.h5": "images"}
    for seed in seeds():
        paths |= {f"models/{seed}/{row}": "model" for row in rows()}
        paths |= {f"data/maps/{seed}/{name}.h5": "maps" for name in teacher_targets()}
        paths[f"data/targets/{seed}"] = "targets"
    paths |= {f"results/attacks/{grid.name(place)}": "outcomes" for place in grid.attacked()}
    paths |= {f"results/transfer/{seed}": "transfer" for seed in seeds()}
    return paths | {f"results/gradients/{seed}.h5": "gradients" for seed in seeds()}


def of_accuracies(evidence: Evidence, records: pd.DataFrame) -> pd.Series:
    """For each line of `evidence.accuracies` the id of the environment in which the attack was run."""
    ids, names = dict(zip(records["path"], records["environment"])), labels(evidence.rows)
    known: dict[tuple[str, int, str], str] = {}
    for outcomes in evidence.outcomes:
        what = grid.what(outcomes)
        path = f"transfer/{outcomes.seed}" if what == grid.TRANSFER else f"attacks/{grid.name((outcomes.seed, outcomes.row, what))}"
        for semantics in ["", PAPER, "strict"] if what == grid.EVALUATION else [what]:
            known[names[outcomes.row], outcomes.seed, semantics] = ids[f"results/{path}"]
    keys = zip(*(evidence.accuracies[column] for column in ("technique", "seed", "semantics")))
    return pd.Series([known[key] for key in keys], index=evidence.accuracies.index)


def origin(evidence: Evidence, records: pd.DataFrame) -> Origin:
    """What is to be said of the rows of Table 1: training and evaluation of each, and the maps and targets of those that had some."""
    shown = [(key, name) for key, name in labels(evidence.rows).items() if evidence.rows[key].threats == "table"]
    made = [
        (step, name, seed, path) for step in STEPS for key, name in shown for seed in evidence.seeds for path in _paths(step, key, seed)
    ]
    frame = pd.DataFrame(made, columns=["step", "technique", "seed", "path"]).merge(records, on="path")
    known = frame[frame["environment"] != ""]
    different = {step: _differing(lines) for step, lines in known.groupby("step", sort=False)}
    differ = [field for field in FIELDS if any(field in fields for fields in different.values())]
    missing = frame[frame["environment"] == ""].drop_duplicates(["step", "technique", "seed"])
    groups = [group for step, fields in different.items() if fields for group in _groups(step, known[known["step"] == step], fields)]
    loud = set(differ) - set(QUIET)
    return Origin(
        "unknown" if known.empty else "mixed" if loud else "commit" if differ else "same",
        differ,
        groups,
        list(missing[["step", "technique", "seed"]].itertuples(index=False, name=None)),
    )


def said(origin: Origin) -> str:
    """What table1.md, table1.tex and the terminal say of the rows, as plain text; the page has the same words with all groups."""
    return " ".join(rendered("origin.txt.j2", origin=origin).split())


def late(records: pd.DataFrame) -> str:
    """What lib/parallel/lineage.py says of results that were not made anew after a change; only a report that is asked for by itself has
    such."""
    made = set(records["path"])
    read = {stage: entry for stage, entry in lineage.recorded().items() if any(out["path"] in made for out in entry.get("outs", ()))}
    return lineage.said(lineage.outdated(read, {params.PATH.name: params.document()}))


def environments(records: pd.DataFrame) -> pd.DataFrame:
    """Each different environment, the first met first: its id as index, `FIELDS`, and `made`: kind -> how many results."""
    known = records[records["environment"] != ""]
    first = known.drop_duplicates("environment").set_index("environment")[list(FIELDS)]
    return first.assign(made=[known["kind"][known["environment"] == id].value_counts(sort=False).to_dict() for id in first.index])


def _paths(step: str, row: str, seed: int) -> list[str]:
    """What one step made for one row; nothing where the row had no such step."""
    if step == "training":
        return [f"models/{seed}/{row}"]
    if step == "evaluation":
        return [f"results/attacks/{grid.name((seed, row, attack))}" for attack in (grid.EVALUATION, *params.value("own_attacks"))]
    if row not in params.value("ir"):
        return []
    if step == "targets":
        return [f"data/targets/{seed}"]
    source = next(iter(permuted_targets())) if row in permuted_targets() else row
    return [f"data/maps/{seed}/{source}.h5"] if source in teacher_targets() else []


def _differing(lines: pd.DataFrame) -> list[str]:
    """The fields in which environments differ; threads where there are any, as a GPU needs none."""
    return [field for field in FIELDS if len(set(lines[field]) - ({None} if field == "threads" else set())) > 1]


def _groups(step: object, lines: pd.DataFrame, fields: list[str]) -> list[dict]:
    """The environments of one step, that with the most rows last."""
    groups = []
    for id, mine in lines.groupby("environment", sort=False):
        rows = {str(name): sorted(set(own["seed"])) for name, own in mine.groupby("technique", sort=False)}
        groups.append({"step": step, "environment": id, "rows": rows} | {field: mine[field].iloc[0] for field in fields})
    return sorted(groups, key=lambda group: len(group["rows"]))
