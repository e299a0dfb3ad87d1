"""Figure 4: the norm of the label logit's gradient, and of the other logits', of every row of the main table."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from lib.report.charts import looks
from lib.report.charts.looks import Look
from lib.report.charts.permutation import over_seeds
from lib.report.charts.render import Figure

KINDS = {"label_norm": "label’s logit", "other_norm": "other logits, mean"}
LOGARITHMIC = 8  # from so many times the median on, the largest norm would press all others together


def figure(gradients: pd.DataFrame, rows: Mapping[str, Look], over_images: pd.DataFrame) -> Figure:
    """Marks at the means, bars over the images, strokes for single seeds; gradients: `Evidence.gradients`."""
    frame = summary(gradients, rows, over_images)
    label = frame[frame["kind"] == KINDS["label_norm"]].set_index("row")["mean"]
    logarithmic = bool(label.max() > LOGARITHMIC * label.median())
    scale = alt.Scale(type="log", nice=False, padding=12) if logarithmic else alt.Scale(zero=True)
    title = "mean norm, logits per unit of pixel intensity" + (" (logarithmic)" if logarithmic else "")
    names = [look.name for look in rows.values()]
    hue = looks.colour(list(rows.values()))
    y = alt.Y("row:N", title=None, sort=names, axis=alt.Axis(labelLimit=0)), alt.YOffset("kind:N", sort=list(KINDS.values()))
    fill = alt.condition(f"datum.kind === '{KINDS['label_norm']}'", alt.value(1), alt.value(0))
    heads = {"mean": "mean norm", "least": "95 % over images, from", "most": "to", "low": "over seeds, from", "high": "to "}
    tips = [alt.Tooltip("row:N"), alt.Tooltip("kind:N", title="gradient of")]
    tips += [alt.Tooltip(f"{name}:Q", title=words, format=".3f") for name, words in heads.items()]

    def across(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))

    bars = alt.Chart(frame).mark_rule(strokeWidth=2.5, aria=False).encode(across("least"), alt.X2("most:Q"), *y, hue)
    single = gradients[gradients["row"].isin(rows)].melt(["row", "seed"], list(KINDS), "kind", "norm").round(4)
    single = single.assign(row=[rows[row].name for row in single["row"]], kind=single["kind"].map(KINDS))
    seeds = alt.Chart(single).mark_tick(thickness=1.5, size=9, opacity=1, aria=False, tooltip=None).encode(across("norm"), *y, hue)
    marks = (
        alt.Chart(frame)
        .mark_point(size=80, strokeWidth=2, opacity=1)
        .encode(across("mean"), *y, hue, alt.Fill("row:N", legend=None, scale=hue["scale"]), fillOpacity=fill)
    )
    marks = marks.encode(tooltip=[*tips, alt.Tooltip("seeds:N", title="each seed")])
    chart = alt.layer(bars, seeds, marks).properties(width=640, height=34 * len(names) + 20)
    words = f"Mean gradient norms of {len(names)} training techniques; the largest label gradient is that of {label.idxmax()}, "
    return Figure("fig4_gradient_norms", chart, f"{words}{label.max():.2f}, the smallest that of {label.idxmin()}, {label.min():.2f}.")


def summary(gradients: pd.DataFrame, rows: Mapping[str, Look], over_images: pd.DataFrame) -> pd.DataFrame:
    """A line per row and kind of logit: the mean over seeds, the intervals over images and over seeds, what each seed gave."""
    lines = []
    for row, look in rows.items():
        for column, kind in KINDS.items():
            values = list(gradients[gradients["row"] == row][column])
            mean, half, (low, high) = sum(values) / len(values), float(over_images.loc[row, column]), over_seeds(values)
            numbers = {"mean": mean, "least": mean - half, "most": mean + half, "low": low, "high": high}
            lines.append({"row": look.name, "kind": kind} | numbers | {"seeds": " / ".join(f"{value:.3f}" for value in values)})
    return pd.DataFrame(lines).round(4)
