"""The paper's own numbers, from published.csv beside this file (Tables 1 and 2 of Noack et al.)."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib.columns import CLEAN, Column
from lib.report.rows import Row

PATH = Path(__file__).with_name("published.csv")
DATASETS = {"mnist": "mnist", "mnist5k": "mnist", "cifar10": "cifar10"}
NO_GROUP = "none"


@cache
def _published() -> pd.DataFrame:
    frame = pd.read_csv(PATH, dtype={"epsilon": str, "group": str}, keep_default_na=False)
    frame["radius"] = [float(Fraction(text)) if text else 0.0 for text in frame["epsilon"]]
    return frame.replace({"group": {"": NO_GROUP}})


def percent(dataset: str, row: Row, column: Column) -> float | None:
    """The accuracy in percent that the paper printed for this technique and attack, or None where it printed none.

    Only clean accuracies and those under the paper's own attack can be compared; mnist5k is compared with the paper's MNIST.
    """
    if column != CLEAN and column.semantics != "paper":
        return None
    frame = _published()
    chosen = (
        (frame["dataset"] == DATASETS.get(dataset)) & (frame["technique"] == row.technique) & (frame["group"] == (row.group or NO_GROUP))
    )
    chosen &= (frame["attack"] == column.attack) & (frame["norm"] == column.norm)
    chosen &= np.isclose(frame["radius"], column.epsilon, rtol=2e-3)
    found = frame[chosen]["accuracy_percent"]
    return None if found.empty else float(found.iloc[0])
