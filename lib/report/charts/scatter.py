"""Robust accuracy against direction and size of gradients: one mark per trained network, two charts that share a selection."""

from dataclasses import replace

import altair as alt
import pandas as pd

from lib.report.charts.looks import Look
from lib.report.charts.panel import Choice, Drawing, Panel, shade, specification, symbol
from lib.report.networks import attacks
from lib.report.series import headline
from lib.statistics.columns import radius

NONE = ""  # no row is chosen
PICKED = "picked"
ACROSS = {
    "cosine_reference": ("Against direction", "cosine with the reference maps", alt.Scale(zero=False, nice=False, padding=14)),
    "label_norm": ("Against gradient size", "norm of the label’s gradient (logarithmic)", alt.Scale(type="log", nice=False, padding=12)),
}
READING = (
    "One mark per trained network: a row with a seed. Select marks in either chart, or a row in the list, and the same networks stand out "
    "in both; “all rows” in the list, or a double click, shows all again. If direction were what matters, the first chart would rise; if "
    "size were, the second would fall."
)


def panel(frame: pd.DataFrame, looks: list[Look]) -> Panel:
    """Two charts over the lines of `networks`."""
    shown = [look for look in looks if look.name in set(frame["technique"])]
    known = attacks(frame)
    chosen = "strict" if "strict" in known else next(iter(known))
    choices = Choice("attack", "Attack", tuple(known.items()), chosen), _rows(shown)
    drawings = tuple(_drawing(_lines(frame), column, shown, looks, chosen) for column in ACROSS)
    legend = tuple((replace(look, dash=[0, 99]), "") for look in shown)  # no line behind the symbol
    return Panel("fig7_networks", READING, drawings, choices, legend, PICKED)


def _rows(shown: list[Look]) -> Choice:
    return Choice("row", "Highlight", ((NONE, "all rows"), *((look.name, look.name) for look in shown)), NONE)


def _lines(frame: pd.DataFrame) -> pd.DataFrame:
    """What the charts need of `networks`, with a name for each network and its interval in words."""
    network = frame["technique"] + ", seed " + frame["seed"].astype(str)
    interval = [f"{100 * low:.1f} to {100 * high:.1f} %" for low, high in zip(frame["low"], frame["high"])]
    kept = ["attack", "accuracy", "low", "high", "n", *ACROSS]
    accuracy = [f"{100 * value:.1f} %" for value in frame["accuracy"]]
    said = [f"{name}: {value}, 95 % over images {between}" for name, value, between in zip(network, accuracy, interval)]
    return frame[kept].assign(row=frame["technique"], network=network, interval=interval, said=said)


def _drawing(frame: pd.DataFrame, column: str, shown: list[Look], looks: list[Look], chosen: str) -> Drawing:
    heading, title, scale = ACROSS[column]
    threat = headline()
    across = alt.X(f"{column}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6, labelOverlap="greedy", labelSeparation=6))
    ball = {"l2": "L2", "linf": "L∞"}.get(threat.norm, threat.norm)
    up = alt.Y("accuracy:Q", title=f"accuracy at {ball} {radius(threat.epsilon)}", axis=alt.Axis(format="%"))
    picked = alt.selection_point(name=PICKED, fields=["network"], on="click", toggle="true", clear="dblclick", empty=True)
    name = f"networks_{column}"
    bright = alt.condition(
        f"(row === '' || datum.row === row) && (!length(data('{PICKED}_store')) || {_selected()})", alt.value(1), alt.value(0.13)
    )
    interval = alt.Chart(name=f"{name}_interval").mark_rule(aria=False, tooltip=None, strokeWidth=1)
    interval = interval.encode(across, alt.Y("low:Q", title=""), alt.Y2("high:Q"), shade(looks), opacity=bright)
    # A selection remembers the name of the marks it was made in: the same one in both charts, so that either can take it back.
    marks = alt.Chart(name="networks_marks").mark_point(filled=True, size=95, cursor="pointer")
    marks = marks.encode(across, up, shade(looks), symbol(looks), opacity=bright, tooltip=_tips(), description="said:N").add_params(picked)
    parameters = alt.param(name="attack", value=chosen), alt.param(name="row", value=NONE), alt.param(name="hidden", value=[])
    shown_only = "datum.attack === attack && indexof(hidden, datum.row) < 0"
    chart = alt.layer(interval, marks, data=frame).add_params(*parameters).transform_filter(shown_only)
    words = f"Robust accuracy against {title}, one mark for each network of {len(shown)} training techniques."
    return Drawing(name, heading, specification(chart, words))


def _selected() -> str:
    return f"vlSelectionTest('{PICKED}_store', datum)"


def _tips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("network:N", title="network"),
        alt.Tooltip("accuracy:Q", title="accuracy", format=".1%"),
        alt.Tooltip("interval:N", title="95 % over images"),
        alt.Tooltip("n:Q", title="images"),
        alt.Tooltip("cosine_reference:Q", title="cosine with reference", format=".3f"),
        alt.Tooltip("label_norm:Q", title="gradient norm", format=".3f"),
    ]
