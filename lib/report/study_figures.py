"""Pictures of the studies: the effect of every switch with its interval, and robust accuracy against norm and direction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from lib.report.drawing import INK, MUTED, RULE, drawn
from lib.report.effects import Change, Effect, outcome
from lib.report.figures import Picture
from lib.report.regression import Regression
from lib.report.study_sentences import collapsed

CLEAR, UNCLEAR = "#0b5394", "#98a2b3"
PANELS = {
    "linf": ("mean L∞ radius", "ratio"),
    "robust": ("strict attack", "points"),
    "clean": ("clean", "points"),
    "norm": ("gradient norm", "ratio"),
    "cosine": ("cosine with ref.", "difference"),
}
STEPS = (1.05, 1.1, 1.25, 1.5, 2, 4, 16, 64)  # of which one is marked on either side of a ratio of 1
# Colours that people with any colour vision tell apart (Okabe and Ito 2008), each with a shape of its own.
LOOKS = [("#000000", "s"), ("#0072b2", "o"), ("#d55e00", "D"), ("#009e73", "^"), ("#cc79a7", "v"), ("#e69f00", "P"), ("#56b4e9", "X")]


def forest_figure(changes: Sequence[Change], folder: Path) -> Picture:
    """One line per switch, in the order given, with its effect on four measures and its interval over the seeds."""
    with drawn(folder / "audit_effects", 9.6, 1.2 + 0.29 * len(changes)) as figure:
        known = {measure: words for measure, words in PANELS.items() if measure in changes[0].effects}
        names, *panels = figure.subplots(1, 1 + len(known), sharey=True, width_ratios=[2.9, 1.5, *[1.1] * (len(known) - 1)])
        _names(names, changes)
        for axes, (measure, (title, unit)) in zip(panels, known.items()):
            _effects(axes, [change.effects[measure] for change in changes])
            axes.set_title(title)
            axes.set_xlabel(unit)
        figure.legend(handles=_key(), loc="outside lower center", ncols=4, handletextpad=0.4)
    caption = (
        "Each switch minus what it is compared with, same seeds: mean, 95 % interval, and the single seeds as short grey "
        "strokes. The vertical line is no effect. An arrow means that the interval goes on beyond the panel, a number that the effect "
        "itself lies there."
    )
    clear = [change.label for change in changes if change.effects[outcome(change.effects)].clear]
    alt = f"Forest plot of {len(changes)} switches; on robustness the interval excludes no effect for {'; '.join(clear) or 'none'}."
    return Picture("audit_effects", "Figure 9. What every switch moves", caption, alt, 9.6, dark=True)


def scatter_figure(points: pd.DataFrame, found: Regression, folder: Path) -> Picture:
    """Robust accuracy of all variants against the norm, against the cosine, and against what both predict."""
    looks = {group: LOOKS[place % len(LOOKS)] for place, group in enumerate(dict.fromkeys(points["group"]))}
    panels = {
        "(a) Norm of the label’s gradient, logarithmic": 2 ** points["doublings"],
        "(b) Cosine with the reference": points["cosine_reference"],
        "(c) What both predict, percent": pd.Series(found.fitted, index=points.index),
    }
    with drawn(folder / "beyond_regression", 9.6, 3.7) as figure:
        for axes, (title, values) in zip(figure.subplots(1, 3, sharey=True), panels.items()):
            for group, (colour, shape) in looks.items():
                mine = points["group"] == group
                axes.plot(values[mine], points["robust"][mine], shape, color=colour, ms=5, mec="white", mew=0.5, alpha=0.9, label=group)
            axes.set_title(title, loc="left")
            axes.set_xlabel(title[4:].partition(",")[0].lower())
        left, _, right = figure.axes
        left.set_xscale("log", base=2)
        left.xaxis.set_major_locator(LogLocator(base=2, numticks=7))
        left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        left.xaxis.set_minor_locator(NullLocator())
        left.set_ylabel("accuracy, strict attack, percent")
        ends = [min(right.get_xlim()[0], right.get_ylim()[0]), max(right.get_xlim()[1], right.get_ylim()[1])]
        right.plot(ends, ends, color=MUTED, lw=0.9, ls=(0, (4, 2)), zorder=0, scalex=False, scaley=False)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=min(7, len(looks)))
    caption = (
        "One mark per variant, means over the seeds, coloured by its table below; grid: the cells of Figure 10; references: what the "
        "others are compared with. Variants of which a network has learned nothing are left out. The dashed line in (c) is a perfect "
        "prediction."
    )
    alt = f"Three scatter plots of {len(points)} variants; norm and cosine together explain {found.explained:.0%} of the variance."
    return Picture("beyond_regression", "Figure 11. Robust accuracy, size and direction of gradients", caption, alt, 9.6, dark=True)


def limits(effects: Sequence[Effect]) -> tuple[float, float]:
    """Ends of a panel: wide enough for most, not for the few outermost effects and intervals, which would press all others together."""
    found = np.array([[one.mean, one.low, one.high] for one in effects])
    values = np.log(found) if effects[0].none == 1 else found
    means, ends = np.abs(values[:, 0]), np.abs(values[:, 1:]).max(1)
    wide = [1.3 * np.nanquantile(known, share) for known, share in ((means, 0.94), (ends, 0.8)) if np.isfinite(known).any()]
    end = 1.08 * max([*wide, 1e-3])
    return (float(np.exp(-end)), float(np.exp(end))) if effects[0].none == 1 else (float(-end), float(end))


def _names(axes: Axes, changes: Sequence[Change]) -> None:
    axes.set_axis_off()
    axes.set_ylim(len(changes) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    broken = collapsed(changes)
    for place, change in enumerate(changes):
        axes.text(1, place, change.label + (" (collapsed)" if change in broken else ""), ha="right", va="bottom", fontsize=7.6, color=INK)
        axes.text(1, place + 0.04, change.group, ha="right", va="top", fontsize=6.4, color=MUTED)


def _effects(axes: Axes, effects: Sequence[Effect]) -> None:
    low, high = limits(effects)
    if effects[0].none == 1:
        axes.set_xscale("log", base=2)
        step = max((factor for factor in STEPS if factor <= high), default=high)
        axes.xaxis.set_major_locator(FixedLocator([1 / step, 1, step]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{value:.2g}"))
    axes.set_xlim(low, high)
    axes.axvline(effects[0].none, color=INK, lw=0.9)
    for place, one in enumerate(effects):
        _effect(axes, place, one, low, high)
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.grid(False, axis="y")
    for place in range(0, len(effects), 2):
        axes.axhspan(place - 0.5, place + 0.5, color=RULE, alpha=0.35, lw=0, zorder=0)


def _effect(axes: Axes, place: int, one: Effect, low: float, high: float) -> None:
    colour = CLEAR if one.clear else UNCLEAR
    inside = [value for value in one.per_seed if low <= value <= high]
    axes.plot(inside, np.full(len(inside), place), "|", color=MUTED, ms=5, mew=0.7, alpha=0.7)
    axes.plot(np.clip([one.low, one.high], low, high), [place, place], "-", color=colour, lw=1.6 if one.clear else 1.1)
    for end, shape, beyond in ((low, "<", one.low < low), (high, ">", one.high > high)):
        if beyond:
            axes.plot(end, place, shape, color=colour, ms=4, clip_on=False)
    if not low <= one.mean <= high:  # off the panel: its number stands at the edge
        outside, side = (low, "left") if one.mean < low else (high, "right")
        shift = (7 if side == "left" else -7, 0)
        axes.annotate(one.shown, (outside, place), shift, textcoords="offset points", ha=side, va="center", fontsize=7, color=colour)
        return
    shape = "D" if one.withstands else "o"
    axes.plot(one.mean, place, shape, ms=5, mfc=colour if one.clear else "white", mec=colour, mew=1.2)


def _key() -> list[Line2D]:
    kinds = [("o", "white", UNCLEAR, "interval includes no effect"), ("o", CLEAR, CLEAR, "interval excludes it")]
    kinds += [("D", CLEAR, CLEAR, "and after Holm’s correction"), ("|", MUTED, MUTED, "one seed")]
    return [Line2D([], [], marker=shape, ls="", mfc=fill, mec=edge, ms=5.5, label=words) for shape, fill, edge, words in kinds]
