"""Evidence with known answers, made in memory: every row's accuracy in every column, and every row's gradient norm and cosine."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from lib.base import params
from lib.evaluation.threats import threats
from lib.report import rows
from lib.report.results import COLUMNS, Evidence, labels
from lib.statistics.columns import NORMS, Column

ROOT = Path(__file__).parents[1]
IMAGES = 200
ATTACKS = {"paper": "pgd40", "strict": "pgd40"}
# Every row where the paper's story has it, all differences clear.
LEAD = {
    "NR": 0.05,
    "NR_simple": 0.2,
    "NR_smoothgrad": 0.35,
    "R_smoothgrad_perm100": 0.45,
    "R_smoothgrad_perm75": 0.5,
    "R_smoothgrad_perm50": 0.6,
    "R_smoothgrad_perm25": 0.7,
    "JR": 0.55,
    "AT25": 0.6,
    "R": 0.6,
    "R_simple": 0.7,
    "R_smoothgrad": 0.9,
}
# Row, column, seed -> share of the images that stand: the first so many of them.
Share = Callable[[str, Column, int], float]
# Row, norm, seed -> mean robust radius, in units of each norm's own.
Length = Callable[[str, str, int], float]


def make(
    share: Share | dict[str, float],
    norms: Callable[[str, int], float] = lambda row, seed: 1.0 + seed / 100,
    cosines: Callable[[str, int], float] = lambda row, seed: 0.5,
    scale: str = "quick",
    seeds: Sequence[int] = (0, 1, 2),
    without: Sequence[str] = (),
    semantics: Sequence[str] = ("paper", "strict"),
    radius: Length | None = None,
) -> Evidence:
    """Write params.yaml of a scale into the current folder, without some rows, and make evidence that fits it.

    `share` may be a dictionary row -> share in all columns and seeds (0.5 where not given). The radii have the mean `radius`, that share
    where it is not given, and are spread around it by a tenth, alike in no two rows or seeds.
    """
    document = deepcopy(_document(scale))
    document["seeds"] = list(seeds)
    document["rows"] = {row: settings for row, settings in document["rows"].items() if row not in without}
    for section in rows.TRAINED_BY:
        document[section] = {row: settings for row, settings in document[section].items() if row not in without}
    Path("params.yaml").write_text(json.dumps(document))
    params.parsed.cache_clear()
    shares = {row: share.get(row, 0.5) for row in rows.rows()} if isinstance(share, dict) else {}
    stands = share if callable(share) else lambda row, column, seed: shares[row]
    per_seed = outcomes(stands, semantics)
    lengths = radius or (lambda row, norm, seed: stands(row, Column("strict", "pgd40", norm, 0.2), seed))
    gradients = [(row, seed, norms(row, seed), norms(row, seed) / 3, 0.5, cosines(row, seed)) for row in rows.rows() for seed in seeds]
    frame = pd.DataFrame(gradients, columns=["row", "seed", "label_norm", "other_norm", "cosine_reference", "cosine_target"])
    dataset = document["data"]["dataset"]
    none = np.empty(0)
    return Evidence(dataset, rows.rows(), list(seeds), accuracies(dataset, per_seed), frame, {}, none, per_seed, (), radii(lengths))


def outcomes(share: Share, semantics: Sequence[str]) -> dict[tuple[str, Column], dict[int, np.ndarray]]:
    """What `Evidence.per_seed` holds."""
    found: dict[tuple[str, Column], dict[int, np.ndarray]] = {}
    for row, name in labels(rows.rows()).items():
        for kind in semantics:
            for threat in threats(rows.rows()[row].threats):
                column = Column(kind, ATTACKS[kind], threat.norm, threat.epsilon)
                for seed in rows.seeds():
                    scores = (np.arange(IMAGES) < round(share(row, column, seed) * IMAGES)).astype(float)
                    found.setdefault((name, column), {})[seed] = scores
    return found


def radii(length: Length) -> dict[tuple[str, str], np.ndarray]:
    """What `Evidence.radii` holds."""
    return {
        (row, norm): np.stack([spread(length(row, norm, seed), row, seed) for seed in rows.seeds()])
        for row in rows.rows()
        for norm in NORMS
    }


def spread(mean: float, row: str, seed: int) -> np.ndarray:
    """Radii (n,) of this mean."""
    around = np.random.default_rng([seed, *row.encode()]).uniform(0.9, 1.1, IMAGES)
    return mean * around / around.mean()


def accuracies(dataset: str, per_seed: dict[tuple[str, Column], dict[int, np.ndarray]]) -> pd.DataFrame:
    """What `Evidence.accuracies` holds, without the clean ones."""
    lines = [
        (dataset, name, seed, column.semantics, column.attack, column.norm, column.epsilon, np.nanmean(scores), np.isfinite(scores).sum())
        for (name, column), seeds in per_seed.items()
        for seed, scores in seeds.items()
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


@cache
def _document(scale: str) -> dict:
    return YAML(typ="safe").load((ROOT / f"scales/{scale}.yaml").read_text())
