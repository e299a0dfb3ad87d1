"""The measurements on disk: every accuracy as a line of a data frame, every image's outcome as an array, every network's gradients."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib import gradient_file
from lib.base.errors import require
from lib.base.image_file import Split
from lib.columns import CLEAN, Column
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Outcomes, Record
from lib.gradient_file import Gradients
from lib.report import grid
from lib.report.rows import Row, rows, seeds

COLUMNS = ["dataset", "technique", "seed", "semantics", "attack", "norm", "epsilon", "accuracy", "n"]


@dataclass(frozen=True)
class Evidence:
    """Everything measured: `accuracies` with `COLUMNS`, without the probes; `gradients` with row, seed, label_norm, other_norm,
    cosine_reference and cosine_target; `examples`, the gradients kept as maps of the first seed, whose train rows are `example_rows`;
    `outcomes`, all files, each with the same n test images (those that a transfer attack was not shown are not `asked`).

    `per_seed`, of each technique and column (`CLEAN` and probes among them) and then of each seed, is how far every test image counts
    as correct, (n,) in [0, 1], and NaN where the attack was not tried on it. What compares two of these must leave out the images that
    are NaN in either: `in_both` says which remain.
    """

    dataset: str
    rows: dict[str, Row]
    seeds: list[int]
    accuracies: pd.DataFrame
    gradients: pd.DataFrame
    examples: dict[str, np.ndarray]
    example_rows: np.ndarray
    per_seed: dict[tuple[str, Column], dict[int, np.ndarray]]
    outcomes: tuple[Outcomes, ...]
    radii: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    @cached_property
    def per_image(self) -> dict[tuple[str, Column], np.ndarray]:
        """How far every test image counts as correct (n,), as a mean over seeds; NaN where some seed did not try it."""
        return {key: np.mean(list(seeds.values()), 0) for key, seeds in self.per_seed.items()}

    @property
    def images(self) -> int:
        """How many test images there are; an attack may have been tried on fewer."""
        return int(self.accuracies["n"].iloc[0])


def read(attacks: Path, transfer: Path, gradients: Path, test: Split) -> Evidence:
    """Read the whole grid that params.yaml asks for; raises `InputError` unless it is exactly that grid, all of it found on `test`."""
    grid.require_files(attacks, transfer, gradients)
    outcomes = [_outcomes(attacks, place, test.dataset) for place in grid.attacked()]
    shown = [_outcomes(transfer, place, test.dataset) for place in grid.shown()]
    for group in (outcomes, shown):
        grid.require_same_images(group, test)
    outcomes += [_on_all_images(found, outcomes) for found in shown]
    measured = [_gradients(gradients / f"{seed}.h5", seed) for seed in seeds()]
    frame = pd.concat([_norms(seed, models) for seed, (_, models) in zip(seeds(), measured)], ignore_index=True)
    example_rows, models = measured[0]
    examples = {row: model.maps for row, model in models.items()}
    return Evidence(
        test.dataset, rows(), seeds(), _accuracies(outcomes), frame, examples, example_rows, _per_seed(outcomes), tuple(outcomes)
    )


def labels(found: dict[str, Row]) -> dict[str, str]:
    """Row -> what it is called in every output: its technique, with its group behind it where two rows share a technique."""
    shared = Counter(row.technique for row in found.values())
    return {key: f"{row.technique} [{row.group}]" if shared[row.technique] > 1 else row.technique for key, row in found.items()}


def in_both(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The images (n,) bool that two scores (n,) of `Evidence` are both of.

    >>> in_both(np.array([1.0, 0.0, np.nan]), np.array([1.0, np.nan, 1.0])).tolist()
    [True, False, False]
    """
    return ~(np.isnan(first) | np.isnan(second))


def _outcomes(folder: Path, place: grid.Place, dataset: str) -> Outcomes:
    path = folder / grid.name(place)
    found = outcome_file.read(path)
    grid.require_content(path, found, place, dataset)
    return found


def _on_all_images(found: Outcomes, others: Iterable[Outcomes]) -> Outcomes:
    """Outcomes on the first m images as outcomes on the n that the other suites of the same network were run on."""
    other = next(one for one in others if (one.seed, one.row) == (found.seed, found.row))
    count, kept = len(other.rows), min(len(other.rows), len(found.rows))
    clean = np.concatenate([found.clean[:kept], other.clean[kept:]])
    records = tuple(_fitted(record, kept, count) for record in found.records)
    return replace(found, rows=other.rows, labels=other.labels, clean=clean, records=records)


def _fitted(record: Record, kept: int, count: int) -> Record:
    """The first `kept` images of a record, as one of `count` images of which the others were not asked."""
    missing = count - kept
    correct = np.pad(record.correct[:, :kept], [(0, 0), (0, missing)])
    asked = np.ones(kept, bool) if record.asked is None else record.asked[:kept]
    telemetry = {name: np.pad(seen[:kept], (0, missing), constant_values=np.nan) for name, seen in record.telemetry.items()}
    return replace(record, correct=correct, telemetry=telemetry, asked=np.pad(asked, (0, missing)))


def _accuracies(outcomes: list[Outcomes]) -> pd.DataFrame:
    names, lines, known = labels(rows()), [], set()
    for found in outcomes:
        start = (found.dataset, names[found.row], found.seed)
        if start not in known:
            known.add(start)
            lines.append((*start, "", "clean", "", np.nan, float(found.clean.mean()), len(found.rows)))
        for record in found.records:
            if record.semantics != "probe":
                count = len(found.rows) if record.asked is None else int(record.asked.sum())
                lines.append((*start, record.semantics, record.attack, record.norm, record.epsilon, record.accuracy, count))
    return pd.DataFrame(lines, columns=COLUMNS)


def image_scores(record: Record) -> np.ndarray:
    """How far each image counts as correct, (n,) in [0, 1]; NaN where the attack was not asked for."""
    return record.per_image if record.asked is None else np.where(record.asked, record.per_image, np.nan)


def _per_seed(outcomes: list[Outcomes]) -> dict[tuple[str, Column], dict[int, np.ndarray]]:
    names = labels(rows())
    found: dict[tuple[str, Column], dict[int, np.ndarray]] = {}
    for one in outcomes:
        found.setdefault((names[one.row], CLEAN), {}).setdefault(one.seed, one.clean.astype(float))
        for record in one.records:
            column = Column(record.semantics, record.attack, record.norm, record.epsilon)
            scores = image_scores(record)
            found.setdefault((names[one.row], column), {})[one.seed] = scores
    return found


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
