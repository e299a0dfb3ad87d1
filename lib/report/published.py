"""The paper's own numbers, from published.csv beside this file (Tables 1 and 2 of Noack et al.), and how far its rows lie apart there."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib.report.rows import Row
from lib.statistics.columns import CLEAN, Column

PATH = Path(__file__).with_name("published.csv")
DATASETS = {"mnist": "mnist", "mnist5k": "mnist", "cifar10": "cifar10"}  # the table that a dataset is compared with
NO_GROUP = "none"


@cache
def table(dataset: str) -> pd.DataFrame:
    """The lines of one of the paper's tables: technique, group, attack, norm, epsilon and accuracy_percent; clean ones at epsilon 0."""
    frame = pd.read_csv(PATH, dtype={"epsilon": str}, keep_default_na=False)
    frame = frame.assign(epsilon=[float(Fraction(text or "0")) for text in frame["epsilon"]])
    return frame[frame["dataset"] == dataset].replace({"group": {"": NO_GROUP}}).reset_index(drop=True)


def percent(dataset: str, row: Row, column: Column) -> float | None:
    """The accuracy in percent that the paper printed for this technique and attack, or None where it printed none.

    Only clean accuracies and those under the paper's own attack can be compared; mnist5k is compared with the paper's MNIST.
    """
    if column != CLEAN and column.semantics != "paper":
        return None
    lines = table(DATASETS.get(dataset, ""))
    lines = lines[(lines["technique"] == row.technique) & (lines["group"] == (row.group or NO_GROUP))]
    lines = lines[(lines["attack"] == column.attack) & (lines["norm"] == column.norm)]
    lines = lines[np.isclose(lines["epsilon"], column.epsilon, rtol=2e-3)]
    return float(lines["accuracy_percent"].iloc[0]) if len(lines) else None


@cache
def attacked(dataset: str) -> tuple[Column, ...]:
    """The attacked columns of the paper's table of this dataset."""
    lines = table(dataset)
    lines = lines[lines["attack"] != "clean"]
    return tuple(Column("paper", *kind) for kind in dict.fromkeys(zip(lines["attack"], lines["norm"], lines["epsilon"])))


def gaps(dataset: str, first: str, second: str) -> pd.DataFrame:
    """One technique's printed accuracy minus another's, in `points`: a line per attacked column and group that has both.

    >>> gaps("mnist", "IR(R,SmG)", "JR")["points"].tolist()
    [2.61, 1.2, 6.34, 11.81, 4.98]
    """
    keys = ["group", "attack", "norm", "epsilon"]
    lines = table(dataset)
    lines = lines[lines["attack"] != "clean"]
    one, other = (lines[lines["technique"] == name] for name in (first, second))
    both = one.merge(other, on=keys, suffixes=("", "_second"))
    return both[keys].assign(points=(both["accuracy_percent"] - both["accuracy_percent_second"]).round(2))
