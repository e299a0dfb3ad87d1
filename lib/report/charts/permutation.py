"""Figure 3: accuracy, gradient norm and cosine against the permuted fraction, with intervals over seeds and over images."""

import altair as alt
import pandas as pd

from lib.report.charts import looks
from lib.report.charts.looks import Look
from lib.report.charts.render import Figure
from lib.report.families import families, permuted_targets
from lib.report.results import Evidence, labels
from lib.statistics.columns import SEMANTICS, Column, per_seed
from lib.statistics.intervals import t_half_width, wilson

# Measure of permutation.csv -> its column in `over_images`, and how it is written.
MEASURES = {"accuracy": ("", ".1%"), "label_norm": ("label_norm", ".3f"), "cosine": ("cosine_target", ".3f")}


def figure(evidence: Evidence, frame: pd.DataFrame, over_images: pd.DataFrame, rows: dict[str, Look], column: Column) -> Figure | None:
    """Three charts of the lines of permutation.csv, accuracies in `column`; None without permuted rows."""
    if frame["fraction"].nunique() < 2:
        return None
    titles = {
        "accuracy": f"Accuracy at {column.threat}, {SEMANTICS.get(column.semantics, column.semantics)}",
        "label_norm": "Norm of the label’s gradient",
        "cosine": "Cosine of gradient and own target",
    }
    look, levels = rows[next(iter(permuted_targets()))], references(evidence, column)
    charts = [
        _chart(summary(evidence, frame, measure, over_images), frame, measure, title, look, levels if measure == "accuracy" else None, rows)
        for measure, title in titles.items()
    ]
    ends = frame.groupby("fraction")["accuracy"].mean()
    words = f"Three line charts over the permuted share of pixels: accuracy goes from {ends.iloc[0]:.0%} to {ends.iloc[-1]:.0%}, with "
    return Figure("fig3_permutation", alt.hconcat(*charts), f"{words}gradient norm and cosine beside it.")


def summary(evidence: Evidence, frame: pd.DataFrame, measure: str, over_images: pd.DataFrame) -> pd.DataFrame:
    """By fraction: the mean, `low` and `high` over the seeds, `least` and `most` over the images (NaN: not known), and each seed."""
    rows, lines = {fraction: row for row, fraction in permuted_targets().items()}, []
    gradient, written = MEASURES[measure]
    for fraction, values in frame.groupby("fraction")[measure]:
        mean, (low, high) = float(values.mean()), over_seeds(list(values))
        if measure == "accuracy":
            least, most = wilson(mean, evidence.images)
        else:
            half = float(over_images[gradient].get(rows[fraction], float("nan")))
            least, most = mean - half, mean + half
        numbers = {"fraction": fraction, "mean": mean, "low": low, "high": high, "least": least, "most": most}
        lines.append(numbers | {"seeds": " / ".join(format(value, written) for value in values)})
    return pd.DataFrame(lines).round(5)


def over_seeds(values: list[float]) -> tuple[float, float]:
    """Student's t interval from three seeds on, both values of two, the value itself of one."""
    if len(values) < 3:
        return min(values), max(values)
    mean, half = sum(values) / len(values), t_half_width(values)
    return mean - half, mean + half


def references(evidence: Evidence, column: Column) -> pd.DataFrame:
    """Standard training and Jacobian regularization: row and accuracy, for lines across the first chart."""
    kinds, names = families(), labels(evidence.rows)
    levels = {
        names[key]: per_seed(evidence.accuracies, names[key], column) for key in evidence.rows if kinds[key] in ("standard", "jacobian")
    }
    return pd.DataFrame({"row": name, "accuracy": round(float(values.mean()), 4)} for name, values in levels.items() if len(values))


def _chart(
    means: pd.DataFrame,
    single: pd.DataFrame,
    measure: str,
    title: str,
    look: Look,
    levels: pd.DataFrame | None,
    rows: dict[str, Look],
) -> alt.LayerChart | alt.FacetChart:
    written, scale = MEASURES[measure][1], alt.Scale(zero=measure == "accuracy")
    fractions = sorted(means["fraction"])
    axis = alt.Axis(format="%", values=fractions, grid=False)
    x = alt.X("fraction:Q", title="permuted pixels of each target", axis=axis, scale=alt.Scale(domain=[-0.04, max(fractions) + 0.04]))

    def up(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=None, scale=scale, axis=alt.Axis(format="%") if measure == "accuracy" else alt.Axis())

    hue, means = looks.colour(list(rows.values())), means.assign(row=look.name)
    heads = {"fraction": ("permuted", ".0%"), "mean": ("mean", written), "low": ("over seeds, from", written), "high": ("to", written)}
    heads |= {"least": ("95 % over images, from", written), "most": ("to ", written)}
    tips = [alt.Tooltip(f"{name}:Q", title=words, format=form) for name, (words, form) in heads.items()]
    layers = [
        alt.Chart(means).mark_area(opacity=0.18, aria=False).encode(x, up("low"), alt.Y2("high:Q"), hue),
        alt.Chart(means).mark_rule(strokeWidth=1.2, aria=False).encode(x, up("least"), alt.Y2("most:Q"), hue),
        alt.Chart(means).mark_line(strokeWidth=2.4, aria=False).encode(x, up("mean"), hue),
        alt.Chart(single[["fraction", measure]].round(5).assign(row=look.name))
        .mark_point(size=26, opacity=1, aria=False, tooltip=None)
        .encode(x, up(measure), hue),
        alt.Chart(means)
        .mark_point(filled=True, size=60, opacity=1)
        .encode(x, up("mean"), hue, tooltip=[*tips, alt.Tooltip("seeds:N", title="each seed")]),
    ]
    if levels is not None and len(levels):
        lines = alt.Chart(levels).mark_rule(strokeDash=[4, 3], strokeWidth=1.6).encode(up("accuracy"), hue, tooltip=["row:N", "accuracy:Q"])
        names = alt.Chart(levels).mark_text(dy=10, aria=False).encode(up("accuracy"))
        layers += [lines, names.encode(hue, text="row:N", x=alt.datum(sum(fractions[:2]) / 2))]
    return alt.layer(*layers).properties(title=title, width=250, height=220)
