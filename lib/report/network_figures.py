"""Robust accuracy of every trained network against the direction and the size of its gradients, for print."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter
from scipy.stats import spearmanr

from lib.report.drawing import colours, drawn
from lib.report.families import Family, families
from lib.report.figures import Picture
from lib.report.networks import attacks
from lib.report.series import headline
from lib.statistics.columns import NORMS, radius

PANELS = {"cosine_reference": "(a) Cosine with the reference maps", "label_norm": "(b) Norm of the label’s gradient, logarithmic"}
# Those of the chart on the page.
SHAPES: dict[Family, str] = {
    "standard": "o",
    "adversarial": "s",
    "jacobian": "^",
    "other": ">",
    "permuted": "D",
    "non_robust": "v",
    "robust": "P",
}


def networks_figure(frame: pd.DataFrame, folder: Path) -> Picture:
    """Figure 7: both panels under the strict attack, or under the first one where it is missing; shapes by family."""
    known = attacks(frame)
    attack = "strict" if "strict" in known else next(iter(known))
    found, threat = frame[frame["attack"] == attack], headline()
    with drawn(folder / "fig7_networks", 9.6, 4.0) as figure:
        for axes, (column, title) in zip(figure.subplots(1, 2, sharey=True), PANELS.items()):
            _marks(axes, found, column)
            axes.set_title(title, loc="left")
        left, right = figure.axes
        right.set_xscale("log")
        right.xaxis.set_major_locator(MaxNLocator(6))
        right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        right.xaxis.set_minor_formatter(NullFormatter())
        left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        left.set_ylabel(f"accuracy at {NORMS.get(threat.norm, threat.norm)} {radius(threat.epsilon)}, {known[attack]}")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    means = found.groupby("row")[["accuracy", *PANELS]].mean()
    words = f"{_order(means, 'cosine_reference')} with the cosine and {_order(means, 'label_norm')} with the norm"
    finding = f"Rank correlation of accuracy under the {known[attack]} over the {found['row'].nunique()} rows (Spearman): {words}."
    caption = "Seeds are averaged for the correlation. Rows differ in more than one thing at a time, so neither can be read as a cause."
    reading = "One mark per trained network, a row with a seed."
    alt = f"Two scatter plots of {len(found)} networks; rank correlation of robust accuracy is {words}."
    title = "Figure 7. Robust accuracy, direction and size of gradients"
    return Picture("fig7_networks", title, caption, alt, 9.6, finding=finding, reading=reading, dark=True)


def _order(means: pd.DataFrame, column: str) -> str:
    """`0.47 (p = 0.12)`; not defined where all rows are alike in either."""
    if means["accuracy"].nunique() < 2 or means[column].nunique() < 2:
        return "not defined"
    found = spearmanr(means["accuracy"], means[column])
    return f"{found.statistic:.2f} (p = {found.pvalue:.2f})".replace("-", "−")


def _marks(axes: Axes, found: pd.DataFrame, column: str) -> None:
    shades, kinds = colours(), families()
    named: set[str] = set()
    for line in found.to_dict("records"):
        label = None if line["row"] in named else line["technique"]
        named.add(line["row"])
        axes.plot(
            line[column], line["accuracy"], SHAPES[kinds[line["row"]]], color=shades[line["row"]], ms=6, mec="white", mew=0.6, label=label
        )
