"""The answer as one picture: how much larger our rows' mean radii are than their controls', with intervals (a forest plot)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
from altair import SCHEMA_VERSION

from lib.report import contrasts
from lib.report.charts.looks import themes
from lib.report.charts.panel import Drawing, Panel, specification
from lib.report.contrasts import Compared
from lib.report.figures import Picture
from lib.report.wording import interval, p_value
from lib.statistics.columns import NORMS

NAME, WIDTH = "contrasts", 640
OVER = {
    contrasts.CONTENT: "the same maps, pixels permuted",
    contrasts.TEACHER: "maps of a non-robust teacher",
    contrasts.JACOBIAN: "small gradients, no maps",
    contrasts.ADVERSARIAL: "adversarial training",
}
READING = (
    "Right of zero: the first named network is the more robust one. Filled: also after the correction. Point at a mark for its numbers."
)


def frame(compared: Sequence[Compared]) -> pd.DataFrame:
    """The comparisons that the question is about (`Pair.asked`), a line per pair and norm."""
    lines = [
        {
            "pair": f"{' over '.join(line.techniques)}|{OVER[line.pair.name]}",
            "norm": NORMS[line.norm],
            "percent": line.contrast.estimate,
            "low": line.contrast.low,
            "high": line.contrast.high,
            "decided": line.contrast.decided,
            "interval": f"{interval(line.contrast)} %",
            "p": f"{p_value(line.contrast.adjusted)} after Holm’s correction",
            "size": f"{line.contrast.seeds} seeds, {line.contrast.images} images",
        }
        for line in compared
        if line.pair.asked
    ]
    return pd.DataFrame(lines).dropna() if lines else pd.DataFrame()


def panel(points: pd.DataFrame) -> Panel:
    """The chart over the lines of `frame`."""
    return Panel(NAME, READING, (Drawing("contrasts_forest", "", _specification(points)),))


def picture(points: pd.DataFrame, folder: Path) -> Picture:
    """The same chart as a file for print and for pages without scripts, drawn into `folder`."""
    spec = _specification(points) | {"width": WIDTH, "background": "white", "config": themes([])["light"] | {"background": "white"}}
    text, version = json.dumps(spec), SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.png").write_bytes(vl_convert.vegalite_to_png(text, vl_version=version, scale=2))
    (folder / f"{NAME}.svg").write_text(vl_convert.vegalite_to_svg(text, vl_version=version), encoding="utf-8")
    decided = [f"{line['pair'].partition('|')[0]} in {line['norm']}" for line in points.to_dict("records") if line["decided"]]
    caption = (
        "Difference of mean robust radii in percent of the second network’s, with 95 % intervals over images and seeds: what other test "
        "images and other trainings would have given. The robust radius of an image is the length of the shortest perturbation that any "
        "attack found."
    )
    alt_text = f"Forest plot of {points['pair'].nunique()} comparisons in {points['norm'].nunique()} norms; decided: "
    return Picture(NAME, "Do the maps make the difference?", caption, f"{alt_text}{'; '.join(decided) or 'none'}.", WIDTH / 108, dark=True)


def _specification(points: pd.DataFrame) -> dict[str, Any]:
    order = list(dict.fromkeys(points["pair"]))
    axis = alt.Axis(labelExpr="split(datum.label, '|')", labelLimit=0, ticks=False, domain=False, labelPadding=8)
    down = alt.Y("pair:N", title=None, sort=order, axis=axis)
    offset = alt.YOffset("norm:N", sort=list(NORMS.values()))
    shape = alt.Shape("norm:N", title=None, sort=list(NORMS.values()), legend=alt.Legend(orient="top"))
    title = "mean robust radius, difference in percent"
    zero = alt.Chart(pd.DataFrame({"zero": [0]}), name="forest_zero").mark_rule(aria=False, tooltip=None, strokeDash=[4, 2])
    rules = alt.Chart(name="forest_intervals").mark_rule(aria=False, tooltip=None, strokeWidth=2)
    rules = rules.encode(down, offset, alt.X("low:Q", title=title), alt.X2("high:Q"))
    across = alt.X("percent:Q", title=title)
    marks = alt.Chart(name="forest_estimates").mark_point(size=70, style="contrast", opacity=1)
    marks = marks.encode(down, offset, across, shape, tooltip=_tips(), description="interval:N")
    centres = alt.Chart(name="forest_decided").mark_point(size=70, style="contrast", opacity=1, filled=True, aria=False, tooltip=None)
    centres = centres.encode(down, offset, across, shape).transform_filter("datum.decided")
    chart = alt.layer(zero.encode(x="zero:Q"), *(layer.properties(data=points) for layer in (rules, marks, centres)))
    return specification(chart, "Differences of mean robust radii with intervals, by pair and norm.", 62 * len(order))


def _tips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("norm:N", title="norm"),
        alt.Tooltip("interval:N", title="difference, 95 %"),
        alt.Tooltip("p:N", title="p"),
        alt.Tooltip("size:N", title="counted over"),
    ]
