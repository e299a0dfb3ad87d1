"""The paper's own numbers, from published.csv beside this file (Tables 1 and 2 of Noack et al.)."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib.report.rows import Row
from lib.statistics.columns import CLEAN, Column

PATH = Path(__file__).with_name("published.csv")
DATASETS = {"mnist": "mnist", "mnist5k": "mnist", "cifar10": "cifar10"}
NO_GROUP = "none"


@cache
def _published() -> dict[tuple[str, ...], list[tuple[float, float]]]:
    """(dataset, technique, group, attack, norm) -> the radii and the accuracies in percent."""
    frame = pd.read_csv(PATH, dtype={"epsilon": str, "group": str}, keep_default_na=False)
    found: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for line in frame.itertuples():
        radius = float(Fraction(line.epsilon)) if line.epsilon else 0.0
        key = (line.dataset, line.technique, line.group or NO_GROUP, line.attack, line.norm)
        found.setdefault(key, []).append((radius, float(line.accuracy_percent)))
    return found


def percent(dataset: str, row: Row, column: Column) -> float | None:
    """The accuracy in percent that the paper printed for this technique and attack, or None where it printed none.

    Only clean accuracies and those under the paper's own attack can be compared; mnist5k is compared with the paper's MNIST.
    """
    if column != CLEAN and column.semantics != "paper":
        return None
    key = (DATASETS.get(dataset, ""), row.technique, row.group or NO_GROUP, column.attack, column.norm)
    fits = (percent for radius, percent in _published().get(key, ()) if np.isclose(radius, column.epsilon, rtol=2e-3))
    return next(fits, None)
