"""The accuracies of one revision by row and attack, with the outcome of every image where its file could be had."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np

from lib.compare.revision import Revision
from lib.evaluation.outcome_file import Outcomes
from lib.evaluation.threats import Norm, Threat
from lib.report.results import image_scores, records
from lib.statistics.columns import CLEAN, Column


@dataclass(frozen=True)
class Scores:
    """One row under one attack: `accuracies` by seed, each of the same `n` images.

    `per_image` is how far every test image counts as correct (seeds, images) in [0, 1], NaN where the attack was not tried, the seeds in
    the order of `accuracies`; None where a file of outcomes is missing. `images` says which images these are.
    """

    accuracies: dict[int, float]
    n: int
    per_image: np.ndarray | None
    images: tuple[str, bytes] | None

    @property
    def mean(self) -> float:
        """The accuracy as a mean over seeds, a fraction."""
        return float(np.mean(list(self.accuracies.values())))


Cell = tuple[str, Column]  # a row and an attack


def scores(revision: Revision) -> dict[Cell, Scores]:
    """Everything in report/results.csv, in its order."""
    rows = {technique: row for row, technique in revision.rows.items()}
    accuracies: dict[Cell, dict[int, float]] = {}
    counts: dict[Cell, int] = {}
    for line in revision.accuracies.to_dict("records"):
        cell = rows.get(line["technique"], line["technique"]), _column(line)
        accuracies.setdefault(cell, {})[int(line["seed"])] = float(line["accuracy"])
        counts[cell] = int(line["n"])
    seen = _seen(revision.outcomes, accuracies)
    return {cell: _scores(found, counts[cell], seen.get(cell, {})) for cell, found in accuracies.items()}


def _column(line: dict[str, str]) -> Column:
    if line["attack"] == CLEAN.attack:
        return CLEAN
    return Column(line["semantics"], line["attack"], line["norm"], float(line["epsilon"]))


def _seen(outcomes: tuple[Outcomes, ...], cells: Iterable[Cell]) -> dict[Cell, dict[int, tuple[np.ndarray, tuple[str, bytes]]]]:
    """Of every row and attack of the `cells`, by seed: what became of each image, and which images these are."""
    met: dict[str, list[Threat]] = {}
    for row, column in cells:
        if column != CLEAN and (threat := Threat(cast(Norm, column.norm), column.epsilon)) not in met.setdefault(row, []):
            met[row].append(threat)
    found: dict[Cell, dict[int, tuple[np.ndarray, tuple[str, bytes]]]] = {}
    for one in outcomes:
        images = one.images_digest, one.rows.tobytes()
        found.setdefault((one.row, CLEAN), {}).setdefault(one.seed, (one.clean.astype(float), images))  # transfer attacks see fewer images
        for record in records(one, met.get(one.row, [])):
            column = Column(record.semantics, record.attack, record.norm, record.epsilon)
            found.setdefault((one.row, column), {})[one.seed] = image_scores(record), images
    return found


def _scores(accuracies: dict[int, float], n: int, seen: dict[int, tuple[np.ndarray, tuple[str, bytes]]]) -> Scores:
    whole = all(seed in seen for seed in accuracies) and len({seen[seed][1] for seed in accuracies}) == 1
    if not whole:
        return Scores(accuracies, n, None, None)
    return Scores(accuracies, n, np.stack([seen[seed][0] for seed in accuracies]), seen[next(iter(accuracies))][1])
