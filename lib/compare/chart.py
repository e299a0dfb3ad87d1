"""The security curves as the report's chart: accuracy against the radius, one chart per norm, a line per revision."""

from dataclasses import dataclass
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
from markupsafe import Markup

from lib.compare import figures
from lib.compare.comparison import Comparison
from lib.compare.looks import looks
from lib.compare.revision import Revision
from lib.compare.scores import Cell, Scores
from lib.report import vega
from lib.report.charts import security
from lib.report.charts.looks import Look
from lib.report.charts.panel import Choice, Panel
from lib.report.templates import inlined
from lib.statistics.columns import CLEAN, NORMS, Column, radius
from lib.statistics.intervals import wilson

NAMES = {"row": "revision", "technique": "row"}  # a line of the chart is a revision; what it is of, the page chooses
LINES = ("row", "technique", "kind")
DATA = [("data (CSV)", "comparison.csv")]


@dataclass(frozen=True)
class Drawn:
    """The chart for the page; `script` goes behind everything."""

    figure: Markup
    script: Markup


def chart(compared: Comparison, folder: Path) -> Drawn | None:
    """The chart, with a picture drawn in `folder` in its place where scripts are off; None where there are no curves that differ."""
    picture = figures.curves(compared, folder) if len(compared.without("curves")) < len(compared.revisions) - 1 else None
    if picture is None:
        return None
    found = looks([revision.name for revision in compared.revisions])
    return Drawn(vega.figure(panel(compared, found), picture, inlined(picture, folder), DATA), vega.script(found))


def panel(compared: Comparison, looks: list[Look]) -> Panel:
    """One chart per norm with all rows and attacks; the page chooses both, and the revisions."""
    frame = points(compared)
    attacks, rows = dict(zip(frame["kind"], frame["attack"])), _rows(compared, frame)
    chosen = {
        "technique": rows[0][0],
        "kind": next((kind for kind in attacks if kind.startswith(security.STRICT)), next(iter(attacks))),
    }
    choices = (
        Choice("technique", "Row", tuple(rows), chosen["technique"]),
        Choice("kind", "Attack", tuple(attacks.items()), chosen["kind"]),
    )
    norms = [norm for norm in NORMS if norm in set(frame["norm"])]
    with alt.data_transformers.disable_max_rows():
        drawings = tuple(security.drawing(frame[frame["norm"] == norm], norm, looks, chosen, NAMES, "revision") for norm in norms)
    reading = f"One line per revision. {security.READING}"
    return Panel(figures.NAME, reading, drawings, choices, _legend(compared, looks), legend_words="Revisions shown")


def points(compared: Comparison) -> pd.DataFrame:
    """One line per revision (`row`), row (`technique`), attack, norm and radius, with what `security.drawing` shows.

    Accuracies are those of report/curves.csv; images and seeds those of report/results.csv, and not known where it lacks the attack.
    """
    lines = [line for revision, found in zip(compared.revisions, compared.scores) for line in _lines(compared, revision, found)]
    frame, chance = pd.DataFrame(lines), _chance(compared)
    parts = [security.placed(part, chance, LINES) for _, part in frame.groupby("norm", sort=False)]
    return pd.concat(parts, ignore_index=True).round({"accuracy": 4, "low": 4, "high": 4, "place": 4})


def _lines(compared: Comparison, revision: Revision, scores: dict[Cell, Scores]) -> list[dict[str, object]]:
    rows, found = {technique: row for row, technique in revision.rows.items()}, []
    for line in revision.curves.to_dict("records"):
        row, kind, epsilon = rows.get(line["technique"], line["technique"]), (line["semantics"], line["attack"]), float(line["epsilon"])
        column = Column(*kind, line["norm"], epsilon) if epsilon else CLEAN
        start = {"row": revision.name, "technique": compared.rows.get(row, row), "kind": " ".join(kind), "attack": security.called(*kind)}
        place = {"semantics": kind[0], "norm": line["norm"], "radius": epsilon, "written": radius(epsilon)}
        found.append(start | place | _counted(float(line["accuracy"]), scores.get((row, column))))
    return found


def _counted(accuracy: float, scores: Scores | None) -> dict[str, object]:
    """Images, interval and seeds of one point of a curve."""
    if scores is None:
        return {"accuracy": accuracy, "n": None, "low": accuracy, "high": accuracy, "interval": "not known", "seeds": "not known"}
    low, high = wilson(accuracy, scores.n)
    seeds = " / ".join(f"{100 * share:.1f}" for share in scores.accuracies.values())
    interval = f"{100 * low:.1f} to {100 * high:.1f} %"
    return {"accuracy": accuracy, "n": scores.n, "low": low, "high": high, "interval": interval, "seeds": seeds}


def _chance(compared: Comparison) -> float:
    """The accuracy of guessing; 0 where no file of outcomes says how many classes there are."""
    labels = [one.labels for revision in compared.revisions for one in revision.outcomes[:1]]
    return 1 / len(np.unique(labels[0])) if labels else 0.0


def _rows(compared: Comparison, frame: pd.DataFrame) -> list[tuple[str, str]]:
    """What can be chosen, those that moved first."""
    known = set(frame["technique"])
    moved = [compared.rows[row] for row in compared.moved if compared.rows[row] in known]
    steady = [name for name in dict.fromkeys(frame["technique"]) if name not in moved]
    return [(name, name) for name in moved] + [(name, f"{name} (the same everywhere)") for name in steady]


def _legend(compared: Comparison, looks: list[Look]) -> tuple[tuple[Look, str], ...]:
    return tuple(
        (look, "no curves" if look.name in compared.without("curves") else "" if place else "base") for place, look in enumerate(looks)
    )
