"""At a glance: bars for what each attack leaves of the best row of each family."""

import altair as alt
import pandas as pd

from lib.report.charts.looks import Look
from lib.report.charts.panel import Drawing, Panel, shade, specification
from lib.report.overview import STRONGEST, WEAKEST, strengths

READING = (
    "From pale to full colour: the attacks in this order; full: all of them together, image by image. Point at a bar for its interval."
)


def panel(found: pd.DataFrame, looks: list[Look], threat: str) -> Panel:
    """One chart over the lines of `overview.frame`."""
    opacity = strengths(found)
    said = [f"{line['row']}, {line['attack']}: {100 * line['accuracy']:.1f} %" for line in found.to_dict("records")]
    interval = [f"{100 * low:.1f} to {100 * high:.1f} %" for low, high in zip(found["low"], found["high"])]
    frame = found.drop(columns=["key", "place"]).assign(
        said=said, interval=interval, shown=[f"{100 * value:.1f} %" for value in found["accuracy"]]
    )
    down = alt.Y("row:N", title=None, sort=list(dict.fromkeys(found["row"])))
    offset = alt.YOffset("attack:N", sort=list(opacity))
    scale = alt.Scale(domain=[0, 1])
    across = alt.X("accuracy:Q", title=f"accuracy at {threat}", scale=scale, axis=alt.Axis(format="%", tickCount=5))
    legend = alt.Legend(title=None, orient="top", columns=2, labelLimit=0)
    strength = alt.Opacity("attack:O", sort=list(opacity), legend=legend, scale=alt.Scale(domain=list(opacity), range=[WEAKEST, STRONGEST]))
    bars = alt.Chart(name="glance_bars").mark_bar().encode(across, strength, shade(looks), tooltip=_tips(), description="said:N")
    lines = alt.Chart(name="glance_intervals").mark_rule(aria=False, tooltip=None, strokeWidth=1.2)
    lines = lines.encode(alt.X("low:Q", title="", scale=scale), alt.X2("high:Q"))
    words = alt.Chart(name="glance_values").mark_text(align="left", dx=5, fontSize=10, aria=False, tooltip=None)
    words = words.encode(alt.X("high:Q", title="", scale=scale), text="shown:N")
    chart = alt.layer(*(layer.encode(down, offset) for layer in (bars, lines, words)), data=frame)
    height = 16 * len(found)
    spec = specification(chart, f"Accuracy at {threat}, bars by training technique and attack.", height)
    return Panel("overview", READING, (Drawing("overview_bars", "", spec),))


def _tips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("row:N", title="row"),
        alt.Tooltip("family:N", title="trained by"),
        alt.Tooltip("attack:N", title="attack"),
        alt.Tooltip("accuracy:Q", title="accuracy", format=".1%"),
        alt.Tooltip("interval:N", title="95 % over images"),
        alt.Tooltip("n:Q", title="images"),
    ]
