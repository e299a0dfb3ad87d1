"""The security curves as the report's chart: accuracy against the radius, one chart per norm, a line per revision."""

import numpy as np
import pandas as pd

from lib.compare.comparison import Comparison
from lib.compare.revision import Revision
from lib.compare.scores import Cell, Scores
from lib.report.charts import curves
from lib.report.charts.looks import of_names
from lib.report.charts.render import Figure
from lib.statistics.columns import CLEAN, Column

NAMES = {"revision": "revision", "row": "row"}  # a line of the chart is a revision; what it is of, the page chooses


def chart(compared: Comparison) -> Figure | None:
    """One chart per norm with all rows and attacks; the page chooses both, and the revisions. None where no curves differ."""
    if len(compared.without("curves")) >= len(compared.revisions) - 1:
        return None
    frame = points(compared)
    names = [revision.name for revision in compared.revisions if revision.name in set(frame["revision"])]
    behind = {name: "" if place else "base" for place, name in enumerate(names)}
    rows = _rows(compared, frame)
    drawn = curves.security(frame, of_names(names), _chance(compared), NAMES, {"row": rows}, behind)
    words = f"Accuracy against the attack’s radius in {', '.join(names)}, a panel per norm, of one row at a time."
    return Figure("security", drawn, words)


def points(compared: Comparison) -> pd.DataFrame:
    """One line per revision, row, attack, norm and radius, with what `curves.security` shows.

    Accuracies are those of report/curves.csv; images and seeds those of report/results.csv, and not known where it lacks the attack.
    """
    lines = [line for revision, found in zip(compared.revisions, compared.scores) for line in _lines(compared, revision, found)]
    return pd.DataFrame(lines).astype({"n": "Int64"})


def _lines(compared: Comparison, revision: Revision, scores: dict[Cell, Scores]) -> list[dict[str, object]]:
    rows, lines = {technique: row for row, technique in revision.rows.items()}, []
    for line in revision.curves.to_dict("records"):
        row, kind, epsilon = rows.get(line["technique"], line["technique"]), (line["semantics"], line["attack"]), float(line["epsilon"])
        known = scores.get((row, Column(*kind, line["norm"], epsilon) if epsilon else CLEAN))
        count, shares = (known.n, list(known.accuracies.values())) if known else (None, [])
        start = {"revision": revision.name, "row": compared.rows.get(row, row), "semantics": kind[0], "norm": line["norm"]}
        lines.append(start | curves.point(*kind, epsilon, float(line["accuracy"]), count, shares))
    return lines


def _chance(compared: Comparison) -> float:
    """The accuracy of guessing; 0 where no file of outcomes says how many classes there are."""
    labels = [outcomes.labels for revision in compared.revisions for outcomes in revision.outcomes[:1]]
    return 1 / len(np.unique(labels[0])) if labels else 0.0


def _rows(compared: Comparison, frame: pd.DataFrame) -> dict[str, str]:
    """What can be chosen, those that moved first."""
    known = set(frame["row"])
    moved = [compared.rows[row] for row in compared.moved if compared.rows[row] in known]
    steady = [name for name in dict.fromkeys(frame["row"]) if name not in moved]
    return {name: name for name in moved} | {name: f"{name} (the same everywhere)" for name in steady}
