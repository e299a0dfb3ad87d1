"""The charts of the paper: Figure 3 (permutation) and Figure 4 (gradient norms)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from lib.report.drawing import INK, MUTED, colours, drawn
from lib.report.families import families, permuted_targets
from lib.report.results import Evidence, labels
from lib.report.series import headline_column, permutation
from lib.statistics.columns import SEMANTICS, per_seed
from lib.statistics.intervals import t_half_width


@dataclass(frozen=True)
class Picture:
    """A figure on disk (`name`.png and `name`.svg) and the words that go with it.

    finding: what it shows, in a sentence. caption: what holds for the picture and for a chart in its place. reading: how the picture alone
    is read. dark: whether it is drawn in lines on white, which a dark page may turn round.
    """

    name: str
    title: str
    caption: str
    alt: str
    inches: float
    vector: bool = True
    finding: str = ""
    reading: str = ""
    dark: bool = False

    @property
    def width(self) -> int:
        """How wide a page shows it, in CSS pixels."""
        return round(108 * self.inches)


def permutation_figure(evidence: Evidence, folder: Path) -> Picture | None:
    """Figure 3: accuracy, gradient norm and cosine against the fraction of permuted pixels; None without such rows."""
    frame = permutation(evidence)
    if frame["fraction"].nunique() < 2:
        return None
    column = headline_column(evidence)
    colour = colours()[next(iter(permuted_targets()))]
    titles = {
        "accuracy": f"(a) Accuracy at {column.threat}, {SEMANTICS.get(column.semantics, column.semantics)}",
        "label_norm": "(b) Norm of the label’s gradient",
        "cosine": "(c) Cosine of gradient and own target",
    }
    with drawn(folder / "fig3_permutation", 9.6, 3.1) as figure:
        for axes, (name, title) in zip(figure.subplots(1, 3), titles.items()):
            _trend(axes, frame, name, colour)
            axes.set_title(title, loc="left")
            axes.set_xlabel("permuted pixels of each target")
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.set_xticks(sorted(frame["fraction"].unique()))
            if name == "accuracy":
                axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
                _references(axes, evidence)
    caption = "0 % is the unpermuted target set. Dashed lines in (a): standard training and JR. The axis of (b) need not start at zero."
    reading = f"{_band_words(evidence)} Rings are single seeds."
    ends = frame.groupby("fraction")["accuracy"].mean()
    alt = (
        f"Three line charts over the permuted fraction: accuracy goes from {ends.iloc[0]:.0%} to {ends.iloc[-1]:.0%}, with gradient norm "
        "and cosine beside it."
    )
    title, finding = "Figure 3. What permuting the targets does", _ends(frame, SEMANTICS.get(column.semantics, column.semantics))
    return Picture("fig3_permutation", title, caption, alt, 9.6, finding=finding, reading=reading, dark=True)


def _ends(frame: pd.DataFrame, attack: str) -> str:
    """What becomes of accuracy, norm and cosine from no permuted pixels to all, or to the largest share."""
    first, last = (frame[frame["fraction"] == end].mean() for end in (frame["fraction"].min(), frame["fraction"].max()))
    accuracy = f"accuracy goes from {100 * first['accuracy']:.1f} to {100 * last['accuracy']:.1f} % under the {attack}"
    rest = f"gradient norm from {first['label_norm']:.2f} to {last['label_norm']:.2f}, cosine with the own target from"
    rest = f"{rest} {first['cosine']:.2f} to {last['cosine']:.2f}"
    return f"With {100 * last['fraction']:.0f} % of the pixels permuted {accuracy}, {rest}.".replace("-", "−")


def norm_figure(evidence: Evidence, folder: Path) -> Picture:
    """Figure 4: mean gradient norm of the label's logit and of the others, for every row of the main table."""
    frame, shades, names = evidence.gradients, colours(), labels(evidence.rows)
    rows = [key for key, row in evidence.rows.items() if row.threats == "table"]
    means = frame.groupby("row")[["label_norm", "other_norm"]].mean()
    logarithmic = bool(means.loc[rows, "label_norm"].max() > 8 * means.loc[rows, "label_norm"].median())
    with drawn(folder / "fig4_gradient_norms", 7.4, 0.9 + 0.36 * len(rows)) as figure:
        axes = figure.subplots()
        for place, key in enumerate(rows):
            for offset, kind in ((-0.19, "label_norm"), (0.19, "other_norm")):
                colour = shades[key]
                filled = colour if kind == "label_norm" else "white"
                values = frame[frame["row"] == key][kind]
                axes.plot(values, np.full(len(values), place + offset), "|", color=colour, ms=7, mew=1.1)
                axes.plot(means.loc[key, kind], place + offset, "o", ms=6, mfc=filled, mec=colour, mew=1.2)
        axes.set_yticks(range(len(rows)), [names[key] for key in rows], color=INK, fontsize=8.5)
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("mean norm, logits per unit of pixel intensity" + (" (logarithmic)" if logarithmic else ""))
        if logarithmic:
            axes.set_xscale("log")
        _key_of_bars(axes)
    largest = max(rows, key=lambda key: means.loc[key, "label_norm"])
    least = min(rows, key=lambda key: means.loc[key, "label_norm"])
    ends = [f"{names[key]} {means.loc[key, 'label_norm']:.2f}" for key in (largest, least)]
    finding = f"The label’s gradient is largest for {ends[0]}, smallest for {ends[1]}."
    reading = "Filled: label’s logit. Ring: mean of the other logits. Strokes: single seeds."
    alt = f"Chart of mean gradient norms; {names[largest]} has the largest label gradient, {means.loc[largest, 'label_norm']:.2f}."
    title, caption = "Figure 4. Gradient norms", "On train images, in evaluation mode."
    return Picture("fig4_gradient_norms", title, caption, alt, 7.4, finding=finding, reading=reading, dark=True)


def _trend(axes: Axes, frame: pd.DataFrame, name: str, colour: str) -> None:
    groups = frame.groupby("fraction")[name]
    fractions, means = list(groups.groups), groups.mean().to_numpy()
    if frame["seed"].nunique() >= 3:
        half = np.array([t_half_width(list(values)) for _, values in groups])
        axes.fill_between(fractions, means - half, means + half, color=colour, alpha=0.15, lw=0)
    else:
        axes.fill_between(fractions, groups.min(), groups.max(), color=colour, alpha=0.15, lw=0)
    axes.plot(fractions, means, "-", color=colour, lw=2, marker="o", ms=5)
    axes.plot(frame["fraction"], frame[name], "o", ms=3.2, mfc="white", mec=colour, mew=0.9)
    axes.margins(y=0.15)


def _references(axes: Axes, evidence: Evidence) -> None:
    """Standard training and Jacobian regularization as lines across the accuracy panel."""
    column = headline_column(evidence)
    kinds, names, shades = families(), labels(evidence.rows), colours()
    for key in evidence.rows:
        values = per_seed(evidence.accuracies, names[key], column)
        if kinds[key] in ("standard", "jacobian") and len(values):
            level = float(values.mean())
            axes.axhline(level, color=shades[key], lw=1.2, ls=(0, (4, 2)))
            axes.annotate(names[key], (0.125, level), (0, -3), textcoords="offset points", ha="center", va="top",
                          fontsize=8, color=shades[key])  # fmt: skip
    axes.set_ylim(bottom=0)


def _band_words(evidence: Evidence) -> str:
    if len(evidence.seeds) >= 3:
        return f"Mean over {len(evidence.seeds)} seeds with 95 % t intervals."
    return f"Mean over {len(evidence.seeds)} seeds; the band is their range, not an interval." if len(evidence.seeds) == 2 else "One seed."


def _key_of_bars(axes: Axes) -> None:
    label = Line2D([], [], marker="o", ls="", color=MUTED, ms=6, label="label’s logit")
    other = Line2D([], [], marker="o", ls="", mfc="white", mec=MUTED, ms=6, label="other logits, mean")
    axes.legend(handles=[label, other], loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
