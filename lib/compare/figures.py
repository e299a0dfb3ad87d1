"""Security curves of several revisions over one another, a panel per row and norm: the picture where no chart can be drawn."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from lib.compare.comparison import Comparison
from lib.compare.looks import looks
from lib.report.charts.looks import Look
from lib.report.drawing import drawn
from lib.report.figures import Picture
from lib.statistics.columns import NORMS, SEMANTICS

NAME = "security"
# Matplotlib's letters for the symbols of the chart.
MARKS = {"circle": "o", "square": "s", "triangle-up": "^", "diamond": "D", "triangle-down": "v", "cross": "P", "triangle-right": ">"}
PER_LINE = 4
ATTACKS = ("strict", "autoattack", "paper")  # the first that all revisions have is drawn


def attack(frames: list[pd.DataFrame]) -> str | None:
    """The semantics whose curves are drawn; None where the revisions that have curves have none in common."""
    known = [set(frame["semantics"]) for frame in frames if len(frame)]
    return next((name for name in ATTACKS if known and all(name in one for one in known)), None)


def curves(compared: Comparison, folder: Path) -> Picture | None:
    """Draw the rows that differ, to `folder`; None where there is nothing to draw."""
    semantics = attack([revision.curves for revision in compared.revisions])
    frames = [_chosen(revision.curves, semantics) for revision in compared.revisions]
    panels = [
        (row, norm)
        for row in compared.moved
        for norm in NORMS
        if any(len(_of(frame, revision.rows.get(row), norm)) for frame, revision in zip(frames, compared.revisions))
    ]
    if not panels:
        return None
    lines, across = -(-len(panels) // PER_LINE), min(PER_LINE, len(panels))
    with drawn(folder / NAME, 2.7 * across, 2.3 * lines + 0.5) as figure:
        grid = figure.subplots(lines, across, sharey=True, squeeze=False).ravel()
        for axes, (row, norm) in zip(grid, panels):
            _panel(axes, compared, frames, row, norm)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        handles = {line.get_label(): line for axes in grid for line in axes.get_lines()}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return _picture(compared, [row for row, _ in panels], semantics or "", 2.7 * across)


def _picture(compared: Comparison, rows: list[str], semantics: str, inches: float) -> Picture:
    """The words that go with the file."""
    names = ", ".join(compared.rows[row] for row in dict.fromkeys(rows))
    caption = "Accuracy, mean over seeds, at each radius that was measured; radius 0 is clean accuracy."
    reading = f"The {SEMANTICS[semantics]}, rows that differ: {names}."
    alt = f"Accuracy against the attack’s radius in each revision, a panel per norm and row: {names}."
    return Picture(NAME, "Accuracy against the attack’s radius", caption, alt, inches, reading=reading, dark=True)


def _chosen(curves: pd.DataFrame, semantics: str | None) -> pd.DataFrame:
    if not len(curves):
        return pd.DataFrame(columns=["technique", "norm", "epsilon", "accuracy"])
    return curves[curves["semantics"] == semantics].astype({"epsilon": float, "accuracy": float})


def _of(frame: pd.DataFrame, technique: str | None, norm: str) -> pd.DataFrame:
    return frame[(frame["technique"] == technique) & (frame["norm"] == norm)].sort_values("epsilon")


def _panel(axes: Axes, compared: Comparison, frames: list[pd.DataFrame], row: str, norm: str) -> None:
    names = [revision.name for revision in compared.revisions]
    for revision, frame, look in zip(compared.revisions, frames, looks(names)):
        found = _of(frame, revision.rows.get(row), norm)
        if len(found):
            axes.plot(found["epsilon"], 100 * found["accuracy"], label=look.name, markersize=3.5, linewidth=1.4, **_drawn_as(look))
    axes.set(title=f"{compared.rows[row]}, {NORMS[norm]}", xlabel="radius", ylabel="accuracy, %", ylim=(-3, 103))
    axes.label_outer(remove_inner_ticks=False)
    axes.set_xlabel("radius")


def _drawn_as(look: Look) -> dict[str, Any]:
    solid = look.dash[-1] == 0
    return {"color": look.light, "marker": MARKS[look.shape], "linestyle": "-" if solid else (0, [length / 2 for length in look.dash])}
