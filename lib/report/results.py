"""The measurements on disk: every accuracy as a line of a data frame, every image's outcome as an array, every network's gradients."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.errors import require
from lib.base.image_file import Split
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import NORMS, PAPER, TRANSFER, Outcomes, Radius, Record
from lib.evaluation.threats import Norm, Threat, threats
from lib.gradients import gradient_file
from lib.gradients.gradient_file import Gradients
from lib.report import grid
from lib.report.rows import Row, rows, seeds
from lib.statistics.columns import CLEAN, Column

COLUMNS = ["dataset", "technique", "seed", "semantics", "attack", "norm", "epsilon", "accuracy", "n"]
CURVE = 12  # steps of a security curve, at most


@dataclass(frozen=True)
class Evidence:
    """Everything measured: `accuracies` with `COLUMNS`, without the probes; `gradients` with row, seed, label_norm, other_norm,
    cosine_reference and cosine_target; `examples`, the gradients kept as maps of the first seed, whose train rows are `example_rows`;
    `outcomes`, all files: of the evaluation, of your own attacks, and of transfer attacks, which may be of other first images.

    `per_seed`, of each technique and column (`CLEAN` and all radii of the security curves among them) and then of each seed, is how far
    every test image counts as correct, (n,) in [0, 1], and NaN where the attack was not tried on it. What compares two of these must leave
    out the images that are NaN in either: `in_both` says which remain. `radii`, of each row and norm, is the shortest perturbation that any
    attack found, (seeds, n); where none did, the longest that the box allows.
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
    count = len(outcomes[0].rows)
    found = [(one, [_fitted(record, count) for record in records(one, threats(rows()[one.row].threats))]) for one in (*outcomes, *shown)]
    measured = [_gradients(gradients / f"{seed}.h5", seed) for seed in seeds()]
    frame = pd.concat([_norms(seed, models) for seed, (_, models) in zip(seeds(), measured)], ignore_index=True)
    example_rows, models = measured[0]
    examples = {row: model.maps for row, model in models.items()}
    per_seed = _per_seed(found, _steps(outcomes))
    every = (*outcomes, *shown)
    return Evidence(test.dataset, rows(), seeds(), _accuracies(found), frame, examples, example_rows, per_seed, every, _radii(every))


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


def records(found: Outcomes, listed: Sequence[Threat]) -> list[Record]:
    """What has columns or lines of tables: every attack in these threat models; those whose radii are known, by comparison."""
    attack = grid.what(found)
    if attack == TRANSFER:
        return [record for threat in listed for record in found.transfer(threat.norm, threat.epsilon)]
    strict = [found.strict(threat.norm, threat.epsilon) for threat in listed]
    if attack != grid.EVALUATION:
        return [replace(record, semantics=attack, attack=attack) for record in strict]
    return [record for record in found.records if record.semantics == PAPER] + strict


def together(outcomes: Sequence[Outcomes], norm: Norm) -> Radius:
    """The shortest radius that any attack found on one network, image by image; the evaluation's own outcomes come first."""
    first, *others = outcomes
    return first.radii[norm].shortened(other.radii[norm] for other in others)


def radii(outcomes: Iterable[Outcomes]) -> dict[tuple[str, Norm], dict[int, np.ndarray]]:
    """(row, norm) -> seed -> the robust radius of every image (n,) under all attacks together, of every network that was evaluated."""
    networks: dict[tuple[str, int], list[Outcomes]] = {}
    for one in sorted(outcomes, key=lambda one: grid.what(one) != grid.EVALUATION):
        networks.setdefault((one.row, one.seed), []).append(one)
    found: dict[tuple[str, Norm], dict[int, np.ndarray]] = {}
    for (row, seed), mine in sorted(networks.items()):
        if grid.what(mine[0]) == grid.EVALUATION:
            for norm in mine[0].radii:
                found.setdefault((row, norm), {})[seed] = together(mine, norm).capped
    return found


def _radii(outcomes: Sequence[Outcomes]) -> dict[tuple[str, str], np.ndarray]:
    found = radii(outcomes)
    return {(row, norm): np.stack([found[row, norm][seed] for seed in seeds()]) for row in rows() for norm in NORMS}


def _fitted(record: Record, count: int) -> Record:
    """A record of the first images as one of the first `count`, which may be fewer; the others were not asked."""
    kept = min(record.correct.shape[1], count)
    missing = count - kept
    if missing == 0 and kept == record.correct.shape[1]:
        return record
    correct = np.pad(record.correct[:, :kept], [(0, 0), (0, missing)])
    return replace(record, correct=correct, telemetry={}, asked=np.arange(count) < kept)


def _accuracies(found: list[tuple[Outcomes, list[Record]]]) -> pd.DataFrame:
    names, lines, known = labels(rows()), [], set()
    for one, records in found:
        start = (one.dataset, names[one.row], one.seed)
        if start not in known:
            known.add(start)
            lines.append((*start, "", "clean", "", np.nan, float(one.clean.mean()), len(one.rows)))
        for record in records:
            count = record.correct.shape[1] if record.asked is None else int(record.asked.sum())
            lines.append((*start, record.semantics, record.attack, record.norm, record.epsilon, record.accuracy, count))
    return pd.DataFrame(lines, columns=COLUMNS)


def image_scores(record: Record) -> np.ndarray:
    """How far each image counts as correct, (n,) in [0, 1]; NaN where the attack was not asked for."""
    return record.per_image if record.asked is None else np.where(record.asked, record.per_image, np.nan)


def _steps(outcomes: list[Outcomes]) -> list[tuple[Norm, float]]:
    """Radii between which the security curves are drawn: at most 12 a norm, up to the largest that was found."""
    found: list[tuple[Norm, float]] = []
    for norm in NORMS:
        radii = np.concatenate([one.radii[norm].radius for one in outcomes if norm in one.radii])
        largest = float(radii[np.isfinite(radii)].max(initial=0))
        if largest > 0:
            power = 10.0 ** np.floor(np.log10(largest / CURVE))
            step = next(float(f"{factor * power:.6g}") for factor in (1, 2, 2.5, 5, 10) if factor * power * CURVE >= largest)
            found += [(norm, float(f"{number * step:.6g}")) for number in range(1, int(np.ceil(largest / step - 1e-9)) + 1)]
    return found


def _per_seed(
    found: list[tuple[Outcomes, list[Record]]], steps: list[tuple[Norm, float]]
) -> dict[tuple[str, Column], dict[int, np.ndarray]]:
    names = labels(rows())
    scores: dict[tuple[str, Column], dict[int, np.ndarray]] = {}
    for one, records in found:
        scores.setdefault((names[one.row], CLEAN), {}).setdefault(one.seed, one.clean.astype(float))
        curve = [one.strict(*step) for step in steps] if grid.what(one) == grid.EVALUATION else []
        for record in (*records, *curve):
            column = Column(record.semantics, record.attack, record.norm, record.epsilon)
            scores.setdefault((names[one.row], column), {})[one.seed] = image_scores(record)
    return scores


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
