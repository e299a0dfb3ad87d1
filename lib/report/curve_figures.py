"""Accuracy against the attack's radius: every attack of one row beside each other, and the security curves of all rows in each norm."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from lib.report.drawing import INK, MUTED, RULE, colours, drawn
from lib.report.figures import Picture
from lib.report.results import Evidence, labels
from lib.report.series import areas, curves, headline
from lib.statistics.columns import NORMS, SEMANTICS, Column, in_columns, radius

GREY = "#d5d9e0"
FAR = 1.6  # a radius more than so many times the last interesting one stands behind a break in the axis


def curve_figure(evidence: Evidence, folder: Path) -> Picture:
    """Accuracy against the radius, one small panel per row: the paper's attack dashed, the strict one solid, others dotted."""
    norm = headline().norm
    frame = curves(evidence)
    frame = frame[(frame["norm"] == norm) & (frame["epsilon"] <= _last_of_paper(frame, norm))]
    names, shades, rows = labels(evidence.rows), colours(), _rows(evidence)
    across = 3 if len(rows) <= 9 else 4
    down = -(-len(rows) // across)
    with drawn(folder / "fig5_curves", 9.6, 0.7 + 1.95 * down) as figure:
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flatten()
        for axes, key in zip(grid, rows):
            _curves_of(axes, frame, names[key], shades[key])
            axes.set_title(names[key], loc="left", color=INK, fontweight="bold")
        for axes in grid[len(rows) :]:
            axes.set_axis_off()
        grid[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        grid[0].set_ylim(-0.02, 1.02)
        figure.supxlabel(f"radius of the {NORMS.get(norm, norm)} ball", fontsize=9, color=INK)
        handles = [Line2D([], [], color=INK, ls=_dash(*kind), label=_called(*kind)) for kind in in_columns(evidence.accuracies)]
        handles.append(Line2D([], [], color=GREY, lw=1, label="all other rows, strict attack"))
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    caption = f"Accuracy on {evidence.images} test images, mean over seeds. Radius 0 is clean accuracy."
    reading = "Shaded: images that the weakest of the attacks leaves standing and the strongest one does not."
    alt = f"Small multiples of accuracy against the {NORMS.get(norm, norm)} radius, one panel for each of {len(rows)} training techniques."
    return Picture("fig5_curves", "Figure 5. Accuracy against the attack’s radius", caption, alt, 9.6, reading=reading, dark=True)


def security_figure(evidence: Evidence, folder: Path) -> Picture | None:
    """The strict attack at all radii, one panel per norm, the mean accuracy over the radius behind each name; None without that attack."""
    under = areas(evidence)
    if under.empty:
        return None
    frame = curves(evidence)
    frame = frame[frame["semantics"] == "strict"]
    norms = list(dict.fromkeys(frame["norm"]))
    names, shades, rows = labels(evidence.rows), colours(), _rows(evidence)
    chance = 1 / len(np.unique(evidence.outcomes[0].labels))
    with drawn(folder / "fig6_security", 9.6, 4.6) as figure:
        panels = figure.subplots(1, len(norms), sharey=True, squeeze=False)[0]
        for axes, norm in zip(panels, norms):
            part = frame[frame["norm"] == norm]
            _security(axes, part, {names[key]: shades[key] for key in rows}, chance)
            axes.set_xlabel(f"radius of the {NORMS.get(norm, norm)} ball")
            axes.legend(handles=_key_of_areas(under[under["norm"] == norm], names, shades, rows), fontsize=7.5, **_above_curves())
        panels[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panels[0].set_ylim(-0.02, 1.02)
    caption = (
        f"Accuracy on {evidence.images} test images, mean over {_seeds(evidence)}: the share of images whose robust radius is larger. "
        "Behind each name, the area under the curve: the mean robust radius, in units of pixel intensity."
    )
    best = {norm: under[under["norm"] == norm].groupby("technique")["mean_radius"].mean() for norm in norms}
    words = "; ".join(f"under {NORMS.get(norm, norm)} {_first_two(means)}" for norm, means in best.items())
    alt = f"Accuracy against the radius, one panel per norm. Largest mean radius: {words}."
    finding = f"The largest mean radius is, {words}."
    reading = "The strict attack. // marks a break in the axis; beyond it, dots."
    return Picture("fig6_security", "Figure 6. Security curves", caption, alt, 9.6, finding=finding, reading=reading, dark=True)


def _first_two(means: pd.Series) -> str:
    """`that of AT(L2,1.5) (0.136) and JR (0.135)`: how little the first may be ahead."""
    ranked = means.sort_values(ascending=False)[:2]
    return f"that of {' and '.join(f'{name} ({value:.3g})' for name, value in ranked.items())}"


def positions(radii: np.ndarray, limit: float) -> np.ndarray:
    """Where radii stand on the axis: as they are up to about `limit`, which is one of them; those far beyond at equal steps behind a break.

    >>> positions(np.array([0.0, 1.0, 2.0, 14.0]), 2.0).round(2).tolist()
    [0.0, 1.0, 2.0, 2.32]
    """
    far = radii > FAR * limit
    last = radii[~far].max()
    steps = np.searchsorted(np.unique(radii[far]), radii) + 1
    return np.where(far, last * (1 + 0.16 * steps), radii)


def _security(axes: Axes, frame: pd.DataFrame, shades: dict[str, str], chance: float) -> None:
    """All rows' curves; the axis is linear up to the largest radius at which some row is above chance."""
    radii = np.sort(frame["epsilon"].unique())
    above = frame[(frame["accuracy"] > chance) & (frame["epsilon"] > 0)]["epsilon"]
    limit = float(above.max()) if len(above) else float(radii[1])
    places = dict(zip(radii, positions(radii, limit)))
    near = [epsilon for epsilon in radii if places[epsilon] == epsilon]
    for name, colour in shades.items():
        line = frame[frame["technique"] == name].sort_values("epsilon")
        heights, at = line["accuracy"].to_numpy(), line["epsilon"].map(places).to_numpy()
        axes.plot(at[: len(near)], heights[: len(near)], "-", color=colour, lw=1.8, marker="o", ms=3.4, clip_on=False)
        axes.plot(at[len(near) - 1 :], heights[len(near) - 1 :], ":", color=colour, lw=1.2, marker="o", ms=3.4, clip_on=False)
    axes.set_xticks([places[epsilon] for epsilon in radii], [radius(epsilon) if epsilon else "0" for epsilon in radii])
    axes.set_xlim(0, places[radii[-1]])
    if len(near) < len(radii):
        middle = (places[near[-1]] + places[radii[len(near)]]) / 2
        axes.annotate("//", (middle, 0), (0, 0), xycoords=axes.get_xaxis_transform(), textcoords="offset points", ha="center",
                      va="center", fontsize=11, color=MUTED, annotation_clip=False)  # fmt: skip


def _key_of_areas(under: pd.DataFrame, names: dict[str, str], shades: dict[str, str], rows: list[str]) -> list[Line2D]:
    means = under.groupby("technique")["mean_radius"].mean()
    ranked = sorted(rows, key=lambda key: -means[names[key]])
    return [Line2D([], [], color=shades[key], lw=2, label=f"{names[key]}  {means[names[key]]:.3g}") for key in ranked]


def _above_curves() -> dict[str, object]:
    return {"loc": "upper right", "title": "mean radius", "title_fontsize": 7.5, "borderaxespad": 0.0, "labelspacing": 0.25}


def _curves_of(axes: Axes, frame: pd.DataFrame, name: str, colour: str) -> None:
    for technique, part in frame.groupby("technique", sort=False):
        for kind, line in part.groupby(["semantics", "attack"], sort=False):
            if technique != name and kind[0] == "strict":
                axes.plot(line["epsilon"], line["accuracy"], color=GREY, lw=0.9, zorder=1)
    mine = frame[frame["technique"] == name].pivot(index="epsilon", columns=["semantics", "attack"], values="accuracy")
    shared = mine.dropna()
    axes.fill_between(shared.index, shared.min(axis=1), shared.max(axis=1), color=colour, alpha=0.14, lw=0, zorder=2)
    for kind in mine.columns:
        line = mine[kind].dropna()
        axes.plot(line.index, line, color=colour, lw=1.9, ls=_dash(*kind), marker="o", ms=3, zorder=3)
    axes.set_axisbelow(True)
    axes.grid(True, color=RULE)


def _rows(evidence: Evidence) -> list[str]:
    return [key for key, row in evidence.rows.items() if row.threats == "table"]


def _last_of_paper(frame: pd.DataFrame, norm: str) -> float:
    """The largest radius that every attack was tried at."""
    return float(frame[frame["norm"] == norm].groupby(["semantics", "attack"])["epsilon"].max().min())


def _dash(semantics: str, attack: str) -> str:
    return {"paper": "--", "strict": "-"}.get(semantics, ":")


def _called(semantics: str, attack: str) -> str:
    group = Column(semantics, attack, "", 0).group
    return group if semantics == "autoattack" else f"{SEMANTICS.get(semantics, semantics)} ({attack})"


def _seeds(evidence: Evidence) -> str:
    return f"{len(evidence.seeds)} seeds" if len(evidence.seeds) > 1 else "one seed"
