"""Figure 7: robust accuracy against direction and size of gradients, one mark per trained network, two charts that share a selection."""

import warnings
from collections.abc import Sequence

import altair as alt
import pandas as pd

from lib.report.charts import looks
from lib.report.charts.looks import Look
from lib.report.charts.render import Figure, choice
from lib.statistics.columns import NORMS, radius

ACROSS = {
    "cosine_reference": ("cosine with the reference maps", alt.Scale(zero=False, nice=False, padding=14)),
    "label_norm": ("norm of the label’s gradient (logarithmic)", alt.Scale(type="log", nice=False, padding=12)),
}


def figure(frame: pd.DataFrame, rows: Sequence[Look], norm: str, epsilon: float) -> Figure:
    """The lines of networks.csv, whose accuracies are at this threat model; the page chooses the attack and a row that stands out."""
    attacks = dict(zip(frame["attack"], frame["called"]))
    attack = "strict" if "strict" in attacks else next(iter(attacks))
    names = [look.name for look in rows if look.name in set(frame["technique"])]
    shown = [look for look in rows if look.name in names]
    title = f"accuracy at {NORMS.get(norm, norm)} {radius(epsilon)}"
    charts = [_chart(_lines(frame), column, shown, title) for column in ACROSS]
    highlight = choice("highlighted", "Highlight", {"": "all rows"} | {name: name for name in names}, "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a selection in both charts is one selection
        both = alt.hconcat(*charts)
    chart = both.add_params(choice("attack", "Attack", attacks, attack), highlight)
    chosen = frame[frame["attack"] == attack].groupby("row")[["accuracy", *ACROSS]].mean().corr("spearman")["accuracy"]
    words = (
        f"rank correlation of accuracy over {frame['row'].nunique()} rows with the cosine {chosen['cosine_reference']:.2f}, with the norm "
    )
    words = f"Two scatter plots of {len(frame) // len(attacks)} networks under the {attacks[attack]}; {words}{chosen['label_norm']:.2f}."
    return Figure("fig7_networks", chart, words)


def _lines(frame: pd.DataFrame) -> pd.DataFrame:
    """What the charts need, with a name for each network and its interval in words."""
    network = frame["technique"] + ", seed " + frame["seed"].astype(str)
    interval = [f"{100 * low:.1f} to {100 * high:.1f} %" for low, high in zip(frame["low"], frame["high"])]
    said = [f"{name}: {100 * share:.1f} %, 95 % over images {words}" for name, share, words in zip(network, frame["accuracy"], interval)]
    kept = frame[["attack", "accuracy", "low", "high", "n", *ACROSS]]
    return kept.assign(row=frame["technique"], network=network, interval=interval, said=said)


def _chart(frame: pd.DataFrame, column: str, shown: Sequence[Look], words: str) -> alt.LayerChart | alt.FacetChart:
    title, scale = ACROSS[column]
    x = alt.X(f"{column}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6, labelOverlap="greedy", labelSeparation=6))
    picked = alt.selection_point(name="picked", fields=["network"], on="click", toggle="true", clear="dblclick")
    chosen = "(highlighted === '' || datum.row === highlighted)"
    bright = alt.condition(
        f"{chosen} && (!length(data('picked_store')) || vlSelectionTest('picked_store', datum))", alt.value(1), alt.value(0.13)
    )
    legend = alt.Legend(title=None, orient="bottom", columns=4)
    hue, tips = looks.colour(shown, legend=legend), {"network": "network", "interval": "95 % over images", "n": "images"}
    numbers = {"accuracy": ".1%", "cosine_reference": ".3f", "label_norm": ".3f"}
    marks = alt.Chart(name=f"networks_{column}").mark_point(filled=True, size=95, cursor="pointer")
    marks = marks.encode(x, alt.Y("accuracy:Q", title=words, axis=alt.Axis(format="%")), hue, looks.shape(shown, legend=legend))
    marks = marks.encode(
        opacity=bright,
        description="said:N",
        tooltip=[*(alt.Tooltip(f"{name}:N", title=head) for name, head in tips.items())]
        + [alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=form) for name, form in numbers.items()],
    ).add_params(picked)
    bars = alt.Chart().mark_rule(aria=False, tooltip=None, strokeWidth=1)
    bars = bars.encode(x, alt.Y("low:Q", title=words), alt.Y2("high:Q"), hue, opacity=bright)
    chart = alt.layer(bars, marks, data=frame).properties(width=390, height=300)
    return chart.transform_filter("datum.attack === attack")
