"""What there is of a run of the whole pipeline, finished or not, in the current folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from lib.base import h5, params
from lib.base.errors import require
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Outcomes, Record
from lib.evaluation.threats import threats
from lib.gradients import gradient_file
from lib.report import grid, training
from lib.report.results import radii, records
from lib.report.rows import rows, seeds

OUTCOMES = "outcomes.h5"
KIND = "published outcomes"
KEPT = ("paper", "strict")  # whose single images are published, at the threat models of the paper
NOT_ASKED = 255
ATTACKS, TRANSFER, GRADIENTS, MODELS = Path("results/attacks"), Path("results/transfer"), Path("results/gradients"), Path("models")


@dataclass(frozen=True)
class Run:
    """`accuracies`: one line per network and attack; `line` is its line in `standing` (lines, n) uint8, in how many of `runs` (lines,)
    each image stands, 255 where the attack was not tried; empty where no single images are kept. `missing` names files and seeds. `radii`
    of rows in a norm, under all attacks together (seeds, n), of rows that have every seed. `courses`: how the training losses came down
    (lib/report/training.py); empty unless every network has its history.
    """

    accuracies: pd.DataFrame
    gradients: pd.DataFrame
    standing: np.ndarray
    runs: np.ndarray
    missing: list[str]
    files: list[Path]
    radii: dict[tuple[str, str], np.ndarray]
    courses: pd.DataFrame


def found() -> Run:
    """All outcomes that params.yaml asks for and that are there; raises `InputError` where there are none."""
    places = {place: ATTACKS / grid.name(place) for place in grid.attacked()}
    there = {place: path for place, path in places.items() if path.is_file()}
    require(len(there) > 0, f"expected outcomes of this run in {ATTACKS}, found none of the {len(places)} that params.yaml asks for")
    outcomes = [_outcomes(place, path) for place, path in there.items()]
    measured = {seed: GRADIENTS / f"{seed}.h5" for seed in seeds()}
    known = {seed: path for seed, path in measured.items() if path.is_file()}
    missing = [grid.name(place) for place in places if place not in there]
    missing += [f"gradients of seed {seed}" for seed in measured if seed not in known]
    frame, standing, runs = _accuracies(outcomes)
    return Run(frame, _gradients(known), standing, runs, missing, [*there.values(), *known.values()], _radii(outcomes), _courses())


def _radii(outcomes: Sequence[Outcomes]) -> dict[tuple[str, str], np.ndarray]:
    """With the radii of transfer attacks where these are at hand."""
    files = {place: TRANSFER / grid.name(place) for place in grid.shown()}
    transfer = [_outcomes(place, path) for place, path in files.items() if path.is_file()]
    every = radii([*outcomes, *transfer])
    return {place: np.stack(list(found.values())).astype(float) for place, found in every.items() if list(found) == sorted(seeds())}


def _courses() -> pd.DataFrame:
    """Without the verdict, which whoever reads it gives."""
    histories = [MODELS / str(seed) / row / training.HISTORY for seed in seeds() for row in rows()]
    whole = all(path.is_file() for path in histories)
    return training.courses(training.frame(MODELS)).drop(columns="trained_out") if whole else pd.DataFrame()


def write_outcomes(path: Path, run: Run) -> None:
    """Single images in HDF5, compressed: `standing` and `runs` as in `Run`."""
    with h5.writing(path, KIND) as file:
        file.create_dataset("standing", data=run.standing, compression="gzip", compression_opts=9, shuffle=True)
        file["runs"] = run.runs


def without_root(text: str) -> tuple[str, bool]:
    """params.yaml as it stands, but for `data.root`, which becomes null; and whether that changed anything.

    >>> without_root("data:\\n  root: /raw/images   # where\\n")
    ('data:\\n  root: null   # where\\n', True)
    """
    if YAML(typ="safe").load(text)["data"].get("root") is None:
        return text, False
    changed = re.sub(r"""^(\s+root:\s*)(?:"[^"]*"|'[^']*'|[^\s#]+)""", r"\1null", text, count=1, flags=re.MULTILINE)
    require(YAML(typ="safe").load(changed)["data"]["root"] is None, "data.root of params.yaml must stand on a line of its own, as shipped")
    return changed, True


def _outcomes(place: grid.Place, path: Path) -> Outcomes:
    outcomes = outcome_file.read(path)
    grid.require_content(path, outcomes, place, params.value("data", "dataset"))
    return outcomes


def _accuracies(outcomes: Sequence[Outcomes]) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    first = outcomes[0]
    lines: list[dict] = []
    standing: list[np.ndarray] = []
    runs: list[int] = []
    for one in outcomes:
        same = one.images_digest == first.images_digest and np.array_equal(one.rows, first.rows)
        require(same, "all outcomes must come from the same test images")
        for record in [_clean(one), *records(one, threats(rows()[one.row].threats))]:
            if record.attack == "clean" and _is_listed(lines, one):
                continue
            kept = _is_kept(one.row, record)
            lines.append(_line(one, record) | {"line": len(runs) if kept else ""})
            if kept:
                runs.append(len(record.correct))
                asked = np.ones(len(one.rows), bool) if record.asked is None else record.asked
                standing.append(np.where(asked, record.correct.sum(0), NOT_ASKED).astype(np.uint8))
    return pd.DataFrame(lines), np.stack(standing), np.array(runs, np.uint8)


def _clean(one: Outcomes) -> Record:
    """The outcome without an attack, as if it were one."""
    return Record("", "clean", "", 0.0, "worst", one.clean[None])


def _is_listed(lines: Sequence[dict], one: Outcomes) -> bool:
    """Whether the network has a line already; its clean accuracy stands in the file of every suite."""
    return any((line["row"], line["seed"]) == (one.row, one.seed) for line in lines)


def _is_kept(row: str, record: Record) -> bool:
    asked = {(threat.norm, threat.epsilon) for threat in threats(rows()[row].threats)}
    return record.attack == "clean" or (record.semantics in KEPT and (record.norm, record.epsilon) in asked)


def _line(one: Outcomes, record: Record) -> dict[str, object]:
    count = len(one.rows) if record.asked is None else int(record.asked.sum())
    described = {"dataset": one.dataset, "row": one.row, "technique": rows()[one.row].technique, "seed": one.seed}
    return described | {
        "semantics": record.semantics,
        "attack": record.attack,
        "norm": record.norm,
        "epsilon": record.epsilon if record.norm else "",
        "accuracy": record.accuracy,
        "n": count,
    }


def _gradients(files: dict[int, Path]) -> pd.DataFrame:
    """One line per network: the means of what was measured of its gradients."""
    lines: list[dict] = []
    for seed, path in files.items():
        says, _, models = gradient_file.read(path)
        require(says == seed, f"{path} should hold seed {seed}, it says {says}")
        for row, model in models.items():
            own = "" if model.cosine_target is None else float(model.cosine_target.mean())
            means = {name: float(getattr(model, name).mean()) for name in ("label_norm", "other_norm", "cosine_reference")}
            lines.append({"row": row, "seed": seed} | means | {"cosine_target": own})
    return pd.DataFrame(lines)
