"""The measurements on disk as two data frames: one line per measured accuracy, one line per measured network's gradients.

Which files there must be follows from params.yaml. DVC leaves the files of removed rows and seeds where they were, so a file that
nobody asked for is refused like a missing one: no stale number can reach a table.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib import gradient_file, outcome_file
from lib.base import params
from lib.base.errors import require
from lib.base.image_file import Split
from lib.gradient_file import Gradients
from lib.outcome_file import Outcomes
from lib.report.columns import Column
from lib.report.rows import Row, rows, seeds
from lib.threats import threats

COLUMNS = ["dataset", "technique", "seed", "semantics", "attack", "norm", "epsilon", "accuracy", "n"]


@dataclass(frozen=True)
class Evidence:
    """Everything measured: `accuracies` with `COLUMNS`; `gradients` with row, seed, label_norm, other_norm, cosine_reference and
    cosine_target; `examples`, the gradients kept as maps of the first seed, whose train rows are `example_rows`; `per_image`, of each
    technique and column, how often every test image was classified correctly (n,), as a mean over seeds, for paired differences.
    """

    dataset: str
    rows: dict[str, Row]
    seeds: list[int]
    accuracies: pd.DataFrame
    gradients: pd.DataFrame
    examples: dict[str, np.ndarray]
    example_rows: np.ndarray
    per_image: dict[tuple[str, Column], np.ndarray]

    @property
    def images(self) -> int:
        """How many test images every accuracy was measured on."""
        return int(self.accuracies["n"].iloc[0])


def read(attacks: Path, gradients: Path, test: Split) -> Evidence:
    """Read the whole grid that params.yaml asks for; raises `InputError` unless it is exactly that grid, all of it found on `test`."""
    require_grid(attacks, gradients)
    outcomes = [_outcomes(attacks, place, test.dataset) for place in _places()]
    _require_same_images(outcomes, test)
    measured = [_gradients(gradients / f"{seed}.h5", seed) for seed in seeds()]
    frame = pd.concat([_norms(seed, models) for seed, (_, models) in zip(seeds(), measured)], ignore_index=True)
    example_rows, models = measured[0]
    examples = {row: model.maps for row, model in models.items()}
    return Evidence(test.dataset, rows(), seeds(), _accuracies(outcomes), frame, examples, example_rows, _per_image(outcomes))


def labels(found: dict[str, Row]) -> dict[str, str]:
    """Row -> what it is called in every output: its technique, with its group behind it where two rows share a technique."""
    shared = Counter(row.technique for row in found.values())
    return {key: f"{row.technique} [{row.group}]" if shared[row.technique] > 1 else row.technique for key, row in found.items()}


def require_grid(attacks: Path, gradients: Path) -> None:
    """Raise `InputError`, naming them all, if files that params.yaml asks for are missing or others lie there."""
    expected = {attacks: {_name(place) for place in _places()}, gradients: {f"{seed}.h5" for seed in seeds()}}
    missing = [f"{folder}/{name}" for folder, names in expected.items() for name in sorted(names - _files(folder))]
    extra = [f"{folder}/{name}" for folder, names in expected.items() for name in sorted(_files(folder) - names)]
    complaints = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"left over: {', '.join(extra)}"] * bool(extra)
    require(not complaints, f"the results must be exactly those that params.yaml asks for; {'; '.join(complaints)}")


def _places() -> list[tuple[int, str, str]]:
    return [(seed, row, suite) for seed in seeds() for row in rows() for suite in params.value("attacks")]


def _name(place: tuple[int, str, str]) -> str:
    seed, row, suite = place
    return f"{seed}/{row}.{suite}.h5"


def _files(folder: Path) -> set[str]:
    """Files under `folder`, but for hidden ones and those that a writer has not finished."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and path.suffix != ".part")
    return {path.relative_to(folder).as_posix() for path in files}


def _outcomes(folder: Path, place: tuple[int, str, str], dataset: str) -> Outcomes:
    path = folder / _name(place)
    found = outcome_file.read(path)
    says = (found.seed, found.row, found.suite, found.dataset)
    require(says == (*place, dataset), f"{path} should hold seed, row, suite, dataset {(*place, dataset)}, it says {says}")
    _require_threats(path, found)
    return found


def _require_threats(path: Path, found: Outcomes) -> None:
    """Every attack in the file must have been run in exactly the threat models that its row asks for."""
    name = rows()[found.row].threats
    wanted = sorted((threat.norm, threat.epsilon) for threat in threats(name))
    for kind in dict.fromkeys((record.semantics, record.attack) for record in found.records):
        met = sorted((record.norm, record.epsilon) for record in found.records if (record.semantics, record.attack) == kind)
        require(met == wanted, f"{path} has {' '.join(kind)} at {met}, but threats.{name} of params.yaml asks for {wanted}")
    semantics = {record.semantics for record in found.records}
    settings = params.value("attacks", found.suite) or {}
    asked = set(settings.get("semantics", semantics))
    require(bool(semantics) and semantics == asked, f"{path} has records of semantics {sorted(semantics)}, expected {sorted(asked)}")


def _require_same_images(outcomes: list[Outcomes], test: Split) -> None:
    first = outcomes[0]
    for other in outcomes[1:]:
        same = other.images_digest == first.images_digest and np.array_equal(other.rows, first.rows)
        names = [_name((found.seed, found.row, found.suite)) for found in (first, other)]
        require(same, f"all outcomes must come from the same test images, those of {names[0]} and {names[1]} do not")
    found, now = first.images_digest[:12], test.digest[:12]
    require(found == now, f"the outcomes come from test images of digest {found}, the image file now holds {now}")
    asked = params.value("evaluation", "images")
    require(asked in (None, len(first.rows)), f"the outcomes are of {len(first.rows)} images, but evaluation.images asks for {asked}")


def _accuracies(outcomes: list[Outcomes]) -> pd.DataFrame:
    names = labels(rows())
    first_suite = next(iter(params.value("attacks")))
    lines = []
    for found in outcomes:
        start = (found.dataset, names[found.row], found.seed)
        if found.suite == first_suite:
            lines.append((*start, "", "clean", "", np.nan, float(found.clean.mean()), len(found.rows)))
        for record in found.records:
            lines.append((*start, record.semantics, record.attack, record.norm, record.epsilon, record.accuracy, len(found.rows)))
    return pd.DataFrame(lines, columns=COLUMNS)


def _per_image(outcomes: list[Outcomes]) -> dict[tuple[str, Column], np.ndarray]:
    names = labels(rows())
    found: dict[tuple[str, Column], list[np.ndarray]] = {}
    for one in outcomes:
        for record in one.records:
            column = Column(record.semantics, record.attack, record.norm, record.epsilon)
            correct = record.correct.mean(0) if record.aggregate == "mean" else record.correct.all(0)
            found.setdefault((names[one.row], column), []).append(np.asarray(correct, dtype=float))
    return {key: np.mean(values, 0) for key, values in found.items()}


def _gradients(path: Path, seed: int) -> tuple[np.ndarray, dict[str, Gradients]]:
    says, images, models = gradient_file.read(path)
    require(says == seed, f"{path} should hold seed {seed}, it says {says}")
    require(set(models) == set(rows()), f"{path} should hold the rows {sorted(rows())}, it holds {sorted(models)}")
    return images, {row: models[row] for row in rows()}


def _norms(seed: int, models: dict[str, Gradients]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": row,
            "seed": seed,
            "label_norm": float(model.label_norm.mean()),
            "other_norm": float(model.other_norm.mean()),
            "cosine_reference": float(model.cosine_reference.mean()),
            "cosine_target": np.nan if model.cosine_target is None else float(model.cosine_target.mean()),
        }
        for row, model in models.items()
    )
