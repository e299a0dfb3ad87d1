"""One line per trained network: what survives each attack at the headline threat model, beside the size and direction of its gradients."""

from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from lib.gradients import gradient_file
from lib.report.results import Evidence, labels
from lib.report.series import headline, headline_columns
from lib.report.worst_case import unbroken
from lib.statistics.intervals import CONFIDENCE, wilson

MEASURES = ("label_norm", "other_norm", "cosine_reference", "cosine_target")
WORST = "worst"


def networks(evidence: Evidence) -> pd.DataFrame:
    """A line per row, seed and attack (`worst`: all of them together): `accuracy` with its interval over n images, and the gradients."""
    names, threat, lines = labels(evidence.rows), headline(), []
    for measured in evidence.gradients.to_dict("records"):
        row, seed = measured["row"], measured["seed"]
        scores = {name: evidence.per_seed[names[row], column][seed] for name, column in headline_columns(evidence).items()}
        scores[WORST] = unbroken(evidence, row, threat.norm, threat.epsilon)[evidence.seeds.index(seed)].astype(float)
        rest = {name: round(measured[name], 4) for name in MEASURES}
        words = {name: column.called for name, column in headline_columns(evidence).items()} | {WORST: "all attacks together"}
        for attack, score in scores.items():
            count = int((~np.isnan(score)).sum())
            low, high = wilson(float(np.nanmean(score)), count)
            accuracy = {"accuracy": float(np.nanmean(score)), "low": low, "high": high}
            start = {"row": row, "technique": names[row], "seed": seed, "attack": attack, "called": words[attack]}
            lines.append(start | {name: round(value, 4) for name, value in accuracy.items()} | {"n": count} | rest)
    return pd.DataFrame(lines)


def attacks(frame: pd.DataFrame) -> dict[str, str]:
    """The attacks of `networks` and what they are called."""
    return dict(zip(frame["attack"], frame["called"]))


def over_images(gradients: Path, seeds: list[int]) -> pd.DataFrame:
    """By row, half the width of the 95 % interval that the train images leave of the mean over seeds of each of `MEASURES`.

    The normal interval of a mean over n images, of what each image has on average over the seeds; NaN where nothing was measured.
    """
    read = [gradient_file.read(gradients / f"{seed}.h5")[2] for seed in seeds]
    return pd.DataFrame({row: {name: _half([found[row] for found in read], name) for name in MEASURES} for row in read[0]}).T


def _half(found: list[gradient_file.Gradients], name: str) -> float:
    values = [getattr(one, name) for one in found]
    if any(value is None for value in values):
        return float("nan")
    images = np.mean(values, 0)
    if len(images) < 2:
        return float("nan")
    return float(ndtri((1 + CONFIDENCE) / 2) * images.std(ddof=1) / sqrt(len(images)))
