"""Figure 4: the norm of the label logit's gradient, and of the other logits', of every row of the main table."""

import altair as alt
import pandas as pd

from lib.report.charts.looks import Look
from lib.report.charts.panel import Drawing, Panel, hues, shade, specification
from lib.report.charts.permutation import over_seeds
from lib.report.results import Evidence

KINDS = {"label_norm": "label’s logit", "other_norm": "other logits, mean"}
LOGARITHMIC = 8  # from so many times the median on, the largest norm would press all others together


def panel(evidence: Evidence, looks: list[Look], over_images: pd.DataFrame) -> Panel:
    """One chart: marks at the means, bars over the images, strokes for single seeds."""
    shown = [look for look in looks if evidence.rows[look.row].threats == "table"]
    frame = summary(evidence, shown, over_images)
    label = frame[frame["kind"] == KINDS["label_norm"]]["mean"]
    logarithmic = bool(label.max() > LOGARITHMIC * label.median())
    scale = alt.Scale(type="log") if logarithmic else alt.Scale(zero=True)
    title = "mean norm, logits per unit of pixel intensity" + (" (logarithmic)" if logarithmic else "")
    across, down = (
        alt.X("mean:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6)),
        alt.Y("row:N", title=None, sort=[look.name for look in shown]),
    )
    offset = alt.YOffset("kind:N", sort=list(KINDS.values()))
    bar = (
        alt.Chart(name="norms_images")
        .mark_rule(strokeWidth=2.5, aria=False)
        .encode(x=alt.X("least:Q", title=title, scale=scale), x2="most:Q")
    )
    fill = alt.condition(f"datum.kind === '{KINDS['label_norm']}'", alt.value(1), alt.value(0))
    mean = (
        alt.Chart(name="norms_mean")
        .mark_point(size=80, strokeWidth=2, filled=False, opacity=1)
        .encode(across, tooltip=_tips(), fillOpacity=fill)
    )
    mean = mean.encode(alt.Fill("row:N", legend=None, scale=hues(looks)))
    seeds = alt.Chart(single(evidence, shown), name="norms_seeds").mark_tick(thickness=1.5, size=9, opacity=1, aria=False, tooltip=None)
    layers = [layer.encode(down, offset, shade(looks)) for layer in (bar, seeds.encode(alt.X("norm:Q", title=title, scale=scale)), mean)]
    chart = alt.layer(*layers, data=frame)
    words = "Mean gradient norms, two marks per training technique: label’s logit and other logits."
    reading = "Filled: label’s logit. Ring: mean of the other logits. Bars: 95 % interval over the train images. Strokes: single seeds."
    return Panel("fig4_gradient_norms", reading, (Drawing("norms", "", specification(chart, words, 60 + 34 * len(shown))),))


def summary(evidence: Evidence, shown: list[Look], halves: pd.DataFrame) -> pd.DataFrame:
    """A line per row and kind of logit: the mean over seeds, the interval over images, what each seed gave."""
    lines = []
    for look in shown:
        for column, kind in KINDS.items():
            values = list(evidence.gradients[evidence.gradients["row"] == look.row][column])
            mean, half = sum(values) / len(values), float(halves.loc[look.row, column])
            low, high = over_seeds(values)
            numbers = {"mean": mean, "least": mean - half, "most": mean + half}
            words = {"over_images": f"{mean - half:.3f} to {mean + half:.3f}", "over_seeds": f"{low:.3f} to {high:.3f}"}
            words |= {"seeds": " / ".join(f"{value:.3f}" for value in values)}
            lines.append({"row": look.name, "kind": kind} | {name: round(value, 4) for name, value in numbers.items()} | words)
    return pd.DataFrame(lines)


def single(evidence: Evidence, shown: list[Look]) -> pd.DataFrame:
    """A line per row, seed and kind of logit."""
    names = {look.row: look.name for look in shown}
    frame = evidence.gradients[evidence.gradients["row"].isin(names)].melt(["row", "seed"], list(KINDS), "kind", "norm")
    return frame.assign(row=frame["row"].map(names), kind=frame["kind"].map(KINDS)).round(4)


def _tips() -> list[alt.Tooltip]:
    words = {"row": "row", "kind": "gradient of", "over_images": "95 % over images", "over_seeds": "over seeds", "seeds": "each seed"}
    found = [alt.Tooltip(f"{name}:N", title=title) for name, title in words.items()]
    return [*found[:2], alt.Tooltip("mean:Q", title="mean norm", format=".3f"), *found[2:]]
