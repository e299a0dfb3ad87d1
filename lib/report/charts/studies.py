"""The study beyond: the grid of λd and λm as heat maps, and robust accuracy of all variants against norm and direction."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from lib.report.charts import looks
from lib.report.charts.render import Figure

GROUP = "grid"
WEIGHTS = ("lambda_d", "lambda_m")
# Column -> what stands above its panel, what its values are multiplied by, and how they are written.
PANELS = {
    "robust": ("Accuracy, strict attack, %", 100, ".0f"),
    "label_norm": ("Norm of the label’s gradient", 1, ".2f"),
    "cosine_reference": ("Cosine with the reference", 1, ".2f"),
}


def cells(frame: pd.DataFrame, variants: Mapping[str, dict]) -> pd.DataFrame:
    """The study's lines of the variants in the group "grid", with columns lambda_d and lambda_m from what each variant changes.

    Args:
        variants: section `variants` of the study's params.yaml.
    """
    weights = {name: _weights(entry.get("change") or {}) for name, entry in variants.items() if entry["group"] == GROUP}
    complete = {name: found for name, found in weights.items() if set(found) == set(WEIGHTS)}
    chosen = frame[frame["variant"].isin(complete)]
    return chosen.assign(**{weight: [complete[name][weight] for name in chosen["variant"]] for weight in WEIGHTS})


def grid(lines: pd.DataFrame) -> Figure:
    """Three heat maps over λd (across) and λm (up), each cell with the mean over the seeds and their standard deviation; lines: `cells`."""
    groups = lines.groupby(list(WEIGHTS))
    best = groups["robust"].mean()
    place = dict(zip(WEIGHTS, best.idxmax()))
    charts = []
    for column, (title, factor, form) in PANELS.items():
        data = (factor * groups[column].agg(["mean", "std"])).reset_index()
        data["dark"] = data["mean"] < (data["mean"].min() + data["mean"].max()) / 2
        x = alt.X("lambda_d:O", title="λd, weight of the direction", axis=alt.Axis(labelAngle=0, format=".3~g"))
        y = alt.Y("lambda_m:O", title="λm, weight of the norm", sort="descending", axis=alt.Axis(format=".3~g"))
        tips = [alt.Tooltip(f"{weight}:Q", title=name) for weight, name in zip(WEIGHTS, ("λd", "λm"))]
        tips += [alt.Tooltip("mean:Q", format=form), alt.Tooltip("std:Q", title="standard deviation", format=".2f")]
        base = alt.Chart(data).encode(x, y)
        ink = alt.condition("datum.dark", alt.value("white"), alt.value(looks.INK))
        said = f"'λd ' + datum.lambda_d + ', λm ' + format(datum.lambda_m, '.3~g') + ': ' + format(datum.mean, '{form}')"
        heat = base.mark_rect().transform_calculate(said=said)
        heat = heat.encode(alt.Color("mean:Q", legend=None, scale=alt.Scale(scheme="cividis")), tooltip=tips, description="said:N")
        means = base.mark_text(aria=False, fontSize=13, fontWeight="bold", dy=-6).encode(alt.Text("mean:Q", format=form), color=ink)
        spread = base.mark_text(aria=False, fontSize=10, dy=10).transform_filter("isValid(datum.std)")
        spread = spread.transform_calculate(words=f"'± ' + format(datum.std, '{'.1f' if factor > 1 else form}')").encode(
            text="words:N", color=ink
        )
        charts.append(alt.layer(heat, means, spread).properties(title=title, width=225, height=200).resolve_scale(color="independent"))
    words = f"Three heat maps; robust accuracy is highest, {best.max():.0%}, at λd {place['lambda_d']:g} and λm {place['lambda_m']:g}."
    return Figure("beyond_grid", alt.hconcat(*charts).resolve_scale(color="independent"), words)


def regression(points: pd.DataFrame, fit: pd.DataFrame) -> Figure:
    """Robust accuracy (percent) against the norm, the cosine, and what both predict; points: `regression.points`, as fitted."""
    data = points.assign(norm=2 ** points["doublings"], predicted=fit.attrs["fitted"]).round(4)
    groups = looks.of_names(list(dict.fromkeys(points["group"])))
    panels = {
        "norm": ("norm of the label’s gradient (logarithmic)", alt.Scale(type="log", base=2, nice=False, padding=10)),
        "cosine_reference": ("cosine with the reference", alt.Scale(zero=False)),
        "predicted": ("what both predict, percent", alt.Scale(zero=False)),
    }
    legend = alt.Legend(title=None, orient="bottom", columns=7)
    tips = [alt.Tooltip("label:N", title="variant"), alt.Tooltip("group:N"), alt.Tooltip("robust:Q", title="accuracy, %", format=".1f")]
    tips += [alt.Tooltip(f"{name}:Q", title=words, format=".2f") for name, (words, _) in panels.items()]
    marks = (
        alt.Chart(data)
        .mark_point(filled=True, size=50, opacity=0.9)
        .transform_calculate(said="datum.label + ': ' + format(datum.robust, '.1f') + ' %'")
    )
    charts: list[alt.Chart | alt.LayerChart | alt.FacetChart] = []
    for name, (words, scale) in panels.items():
        y = alt.Y("robust:Q", title=None if charts else "accuracy, strict attack, percent", scale=alt.Scale(zero=False))
        x = alt.X(f"{name}:Q", title=words, scale=scale, axis=alt.Axis(tickCount=6, format="~g"))
        hues = looks.colour(groups, "group", legend), looks.shape(groups, "group", legend)
        charts.append(marks.encode(x, y, *hues, tooltip=tips, description="said:N").properties(width=235, height=230))
    ends = [float(data[["robust", "predicted"]].min().max()), float(data[["robust", "predicted"]].max().min())]
    perfect = alt.Chart(pd.DataFrame({"predicted": ends, "robust": ends})).mark_line(style="muted", strokeDash=[4, 2], aria=False)
    charts[-1] = alt.layer(perfect.encode(x="predicted:Q", y="robust:Q"), charts[-1]).properties(width=235, height=230)
    explained = fit.attrs["explained"]
    words = f"Three scatter plots of {len(data)} variants; norm and cosine together explain {explained:.0%} of the variance."
    return Figure("beyond_regression", alt.hconcat(*charts), words)


def _weights(change: Mapping[str, object]) -> dict[str, float]:
    return {key.rpartition(".")[2]: float(str(value)) for key, value in change.items() if key.rpartition(".")[2] in WEIGHTS}
