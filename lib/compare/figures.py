"""Security curves of several revisions over one another, a panel per row and norm."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from lib.compare.comparison import Comparison
from lib.report.columns import NORMS
from lib.report.drawing import drawn

# Okabe and Ito's colours, which people with any colour vision tell apart, and a mark each for print.
LOOKS = [
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", "--"),
    ("#009E73", "^", "-."),
    ("#CC79A7", "D", ":"),
    ("#E69F00", "v", "-"),
    ("#56B4E9", "P", "--"),
]
PER_LINE = 4
ATTACKS = ("strict", "autoattack", "paper")  # the first that all revisions have is drawn


def attack(compared: Comparison) -> str | None:
    """The semantics whose curves are drawn; None where the revisions have none in common."""
    known = [set(revision.curves.get("semantics", [])) for revision in compared.revisions]
    return next((name for name in ATTACKS if all(name in one for one in known)), None)


def curves(compared: Comparison, path: Path) -> list[str]:
    """Draw the rows that differ to `path`.svg; gives their names, none where there is nothing to draw."""
    semantics = attack(compared)
    frames = [_chosen(revision.curves, semantics) for revision in compared.revisions] if semantics else []
    panels = [
        (row, norm)
        for row in compared.moved
        for norm in NORMS
        if any(len(_of(frame, revision.rows.get(row), norm)) for frame, revision in zip(frames, compared.revisions))
    ]
    if not panels:
        return []
    lines = -(-len(panels) // PER_LINE)
    with drawn(path, 2.7 * min(PER_LINE, len(panels)), 2.3 * lines + 0.5) as figure:
        grid = figure.subplots(lines, min(PER_LINE, len(panels)), sharey=True, squeeze=False).ravel()
        for axes, (row, norm) in zip(grid, panels):
            _panel(axes, compared, frames, row, norm)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        handles = {line.get_label(): line for axes in grid for line in axes.get_lines()}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return [compared.rows[row] for row in dict.fromkeys(row for row, _ in panels)]


def _chosen(curves: pd.DataFrame, semantics: str) -> pd.DataFrame:
    found = curves[curves["semantics"] == semantics]
    return found.astype({"epsilon": float, "accuracy": float})


def _of(frame: pd.DataFrame, technique: str | None, norm: str) -> pd.DataFrame:
    return frame[(frame["technique"] == technique) & (frame["norm"] == norm)].sort_values("epsilon")


def _panel(axes: Axes, compared: Comparison, frames: list[pd.DataFrame], row: str, norm: str) -> None:
    for place, (revision, frame) in enumerate(zip(compared.revisions, frames)):
        found, (colour, mark, dashes) = _of(frame, revision.rows.get(row), norm), LOOKS[place % len(LOOKS)]
        if len(found):
            accuracy = 100 * found["accuracy"]
            axes.plot(found["epsilon"], accuracy, dashes, label=revision.name, color=colour, marker=mark, markersize=3.5, linewidth=1.4)
    axes.set(title=f"{compared.rows[row]}, {NORMS[norm]}", xlabel="radius", ylabel="accuracy, %", ylim=(-3, 103))
    axes.label_outer(remove_inner_ticks=False)
    axes.set_xlabel("radius")
