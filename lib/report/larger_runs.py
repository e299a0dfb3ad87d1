"""Larger runs of the pipeline, published, in the form of Table 1, cell by cell beside what the paper printed."""

from math import nan

import numpy as np
import pandas as pd

from lib.report import published, published_folder, table
from lib.report.published_folder import Published
from lib.report.rows import Row
from lib.statistics.columns import CLEAN, Column
from lib.statistics.intervals import wilson


def frame(run: Published) -> pd.DataFrame:
    """A line per row that params.yaml attacks in the tables' threat models and per column, as `table.build` has; NaN where not measured.

    The columns are those of the paper's table of this dataset, of another dataset those that were measured, and the same threat models
    under the strict attack where one was measured.
    """
    lines = []
    for key, entry in run.document["rows"].items():
        row, mine = Row(**entry), run.table[run.table["row"] == key]
        for column in _columns(run) if row.threats == "table" else []:
            cells = mine[_at(mine, column)]
            accuracy = 100 * float(cells["accuracy"].mean()) if len(cells) else nan
            said = published.percent(run.about.dataset, row, column)
            printed = nan if said is None else said
            counts = {"n": int(cells["n"].min()) if len(cells) else 0, "seeds": cells["seed"].nunique()}
            numbers = {"accuracy_percent": accuracy, "published_percent": printed, "difference": accuracy - printed}
            lines.append({"group": row.group, "technique": row.technique, "rank": ""} | table.place(column) | numbers | counts)
    return pd.DataFrame(lines, columns=table.COLUMNS)


def facts(run: Published) -> dict[str, object]:
    """Of the cells under the paper's attack how many are there, measured and held against the paper, and how far from it, in points.

    `unexplained`: where the printed number lies outside the 95 % interval that the test images leave to ours.
    """
    cells = frame(run)
    ours, compared = cells[cells["semantics"] != "strict"], cells.dropna(subset="difference")
    gaps, limits = compared["difference"].abs(), [wilson(share / 100, n) for share, n in zip(compared["accuracy_percent"], compared["n"])]
    inside = [low <= said / 100 <= high for (low, high), said in zip(limits, compared["published_percent"])]
    counts = {"cells": len(ours), "measured": int(ours["accuracy_percent"].notna().sum()), "compared": len(compared)}
    unfinished = [run.document["rows"][row]["technique"] for row in run.unfinished]
    told = {"about": run.about, "missing": published_folder.missing(run), "unfinished": unfinished, "notes": run.notes}
    return told | counts | {"median": float(gaps.median()), "farthest": float(gaps.max()), "unexplained": inside.count(False)}


def gradients(run: Published) -> pd.DataFrame:
    """Mean norm of the label's gradient and cosine with the reference, by technique; empty where they were not measured."""
    if not len(run.gradients):
        return pd.DataFrame(columns=["label_norm", "cosine_reference"])
    names = {key: entry["technique"] for key, entry in run.document["rows"].items()}
    return run.gradients.groupby("row", sort=False)[["label_norm", "cosine_reference"]].mean().rename(index=names)


def _columns(run: Published) -> list[Column]:
    known = published.DATASETS.get(run.about.dataset)
    lines = run.table[(run.table["semantics"] == "paper") & (run.table["attack"] != "fgsm")]
    measured = (Column("paper", *kind) for kind in dict.fromkeys(zip(lines["attack"], lines["norm"], lines["epsilon"])))
    paper = list(published.attacked(known)) if known else list(measured)
    strict = (
        [Column("strict", "search", column.norm, column.epsilon) for column in paper] if (run.table["semantics"] == "strict").any() else []
    )
    return [CLEAN, *paper, *strict]


def _at(mine: pd.DataFrame, column: Column) -> pd.Series:
    """The lines of a column; under the strict attack, which may have been another one, by the threat model alone."""
    if column == CLEAN:
        return mine["attack"] == "clean"
    chosen = (mine["semantics"] == column.semantics) & (mine["attack"] != "fgsm") & (mine["norm"] == column.norm)
    chosen &= np.isclose(mine["epsilon"], column.epsilon, rtol=2e-3)
    return chosen & (mine["attack"] == column.attack) if column.semantics == "paper" else chosen
