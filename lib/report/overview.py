"""At a glance: the best row of each family, and what every attack leaves of it at the headline threat model."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from lib.columns import Column
from lib.report.drawing import INK, MUTED, colours, drawn
from lib.report.families import NAMES, families
from lib.report.figures import Picture
from lib.report.findings import accuracy, standings
from lib.report.results import Evidence, labels
from lib.report.series import headline_column, headline_columns
from lib.report.survival import Survival, worst_scores
from lib.statistics import wilson

TOGETHER = "all attacks together"
WEAKEST, STRONGEST = 0.3, 1.0  # opacities of the first attack's bars, and of those of all together


def rows(evidence: Evidence, found: Survival | None) -> list[str]:
    """The best row of each family, and those of ours that a control is held against, family by family."""
    shown = [standing.row for standing in standings(evidence).values()]
    names = labels(evidence.rows)
    held = {lead.ours for lead in found.leads} if found else set()
    shown += [row for row in evidence.rows if names[row] in held and row not in shown]
    order, kinds = list(NAMES), families()
    return sorted(shown, key=lambda row: order.index(kinds[row]))


def frame(evidence: Evidence, shown: list[str]) -> pd.DataFrame:
    """A line per row and attack: accuracy (mean over seeds, a fraction) with Wilson's interval over the n images it was tried on."""
    names, kinds, worst, lines = labels(evidence.rows), families(), worst_scores(evidence), []
    for row in shown:
        found = {
            column.called: (accuracy(evidence, row, column), _tried(evidence, names[row], column))
            for column in headline_columns(evidence).values()
        }
        found[TOGETHER] = float(worst[row].mean()), evidence.images
        for place, (attack, (share, count)) in enumerate(found.items()):
            low, high = wilson(share, count)
            numbers = {"accuracy": round(share, 4), "low": round(low, 4), "high": round(high, 4), "n": count}
            lines.append({"key": row, "row": names[row], "family": NAMES[kinds[row]], "attack": attack, "place": place} | numbers)
    return pd.DataFrame(lines)


def strengths(found: pd.DataFrame) -> dict[str, float]:
    """Attack -> opacity of its bars, from weak to all together."""
    attacks = list(dict.fromkeys(found["attack"]))
    return dict(zip(attacks, np.linspace(WEAKEST, STRONGEST, len(attacks)).round(3).tolist()))


def picture(evidence: Evidence, found: pd.DataFrame, folder: Path) -> Picture:
    """Bars for print and for pages without scripts, of the lines of `frame`."""
    shown, shades = list(dict.fromkeys(found["key"])), colours()
    opacity, threat = strengths(found), headline_column(evidence).threat
    with drawn(folder / "overview", 9.6, 0.9 + 0.62 * len(shown)) as figure:
        axes = figure.subplots()
        for line in found.to_dict("records"):
            place = shown.index(line["key"]) + 0.19 * (line["place"] - (len(opacity) - 1) / 2)
            axes.barh(place, line["accuracy"], 0.17, color=shades[line["key"]], alpha=opacity[line["attack"]])
            axes.plot([line["low"], line["high"]], [place, place], "-", color=INK, lw=0.9)
            axes.annotate(
                f"{100 * line['accuracy']:.1f} %", (line["high"], place), (4, 0), textcoords="offset points", va="center", fontsize=7
            )
        axes.set_yticks(range(len(shown)), [_name(found, row) for row in shown], fontsize=8.5)
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel(f"accuracy at {threat}")
        handles = [Patch(color=MUTED, alpha=strength, label=attack) for attack, strength in opacity.items()]
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    best = found[found["attack"] == TOGETHER].sort_values("accuracy").iloc[-1]
    alt = f"Bars of accuracy at {threat}; under all attacks together {best['row']} keeps most, {best['accuracy']:.1%}."
    seeds = f"{len(evidence.seeds)} seed{'s' if len(evidence.seeds) > 1 else ''}"
    caption = (
        f"{evidence.images} test images, mean over {seeds}; lines: 95 % interval over the images (Wilson). Of each family, the row with "
        f"the highest mean over the attacks at {threat} (at another radius it may be another one), and the row that the permuted maps are "
        "held against."
    )
    return Picture("overview", "What each attack leaves", caption, alt, 9.6, dark=True)


def _name(found: pd.DataFrame, row: str) -> str:
    first = found[found["key"] == row].iloc[0]
    return f"{first['row']}\n{first['family']}"


def _tried(evidence: Evidence, technique: str, column: Column) -> int:
    """On how many images an attack was tried."""
    return int((~np.isnan(evidence.per_image[technique, column])).sum())
