"""Differences with their intervals, line by line: the answer of this run, and what every variant of a study changes (forest plots)."""

import altair as alt
import numpy as np
import pandas as pd

from lib.report.charts import looks
from lib.report.charts.render import Figure
from lib.report.comparisons import CANNOT_TELL, CONTROLS, THIS
from lib.statistics.columns import NORMS

# Column of a study's table -> what stands above its panel, and whether its effects are ratios.
MEASURES = {
    "radius_linf": ("mean L∞ radius", True),
    "robust": ("strict attack, points", False),
    "clean": ("clean, points", False),
    "label_norm": ("gradient norm", True),
    "cosine_reference": ("cosine with reference", False),
}
COLLAPSE = 30.0  # points of clean accuracy: a network that loses so much has not learnt its task
KINDS = {"interval includes no effect": "circle", "interval excludes it": "square", "and after Holm’s correction": "diamond"}


def contrasts(frame: pd.DataFrame) -> Figure | None:
    """The comparisons of mean radii that the question is about, in both norms; None without any.

    Args:
        frame: columns experiment, name, first, second, norm, measure, estimate, low, high (percent), p_adjusted, images, seeds, verdict
            and asked.
    """
    return _forest("contrasts", frame[frame["experiment"] == THIS])


def elsewhere(frame: pd.DataFrame) -> Figure | None:
    """The same comparisons in every published run, a panel for each; None without any."""
    return _forest("contrasts_elsewhere", frame[frame["experiment"] != THIS])


def _forest(name: str, frame: pd.DataFrame) -> Figure | None:
    frame = frame[frame["asked"] & (frame["measure"] == "radius")].dropna(subset=["low", "high"])
    if frame.empty:
        return None
    pairs = frame["first"] + " over " + frame["second"] + "|" + frame["name"].map(CONTROLS).fillna("")
    frame = frame.assign(pair=pairs, norm=frame["norm"].map(NORMS), decided=frame["verdict"] != CANNOT_TELL)
    order, norms = list(dict.fromkeys(pairs)), list(NORMS.values())
    axis = alt.Axis(labelExpr="split(datum.label, '|')", labelLimit=0, ticks=False, domain=False, labelPadding=8)
    y = alt.Y("pair:N", title=None, sort=order, axis=axis), alt.YOffset("norm:N", sort=norms)
    title = "mean robust radius, difference in percent"
    shape = alt.Shape("norm:N", title=None, sort=norms, legend=alt.Legend(orient="top"))
    fill = alt.condition("datum.decided", alt.value(1), alt.value(0))
    tips = [alt.Tooltip("norm:N"), alt.Tooltip("estimate:Q", title="difference, %", format="+.1f")]
    tips += [alt.Tooltip(f"{name}:Q", title=words, format="+.1f") for name, words in (("low", "95 %, from"), ("high", "to"))]
    tips += [alt.Tooltip("p_adjusted:Q", title="p, after Holm’s correction", format=".3f"), alt.Tooltip("verdict:N")]
    tips += [alt.Tooltip("seeds:Q"), alt.Tooltip("images:Q")]
    said = (
        "datum.norm + ': ' + format(datum.estimate, '+.1f') + ' [' + format(datum.low, '+.1f') + ', ' + format(datum.high, '+.1f') + '] %'"
    )
    data = frame[["experiment", "pair", "norm", "estimate", "low", "high", "p_adjusted", "verdict", "decided", "seeds", "images"]]
    bars = alt.Chart().mark_rule(aria=False, tooltip=None, strokeWidth=2).encode(alt.X("low:Q", title=title), alt.X2("high:Q"), *y)
    marks = alt.Chart().mark_point(size=75, style="ink", opacity=1, fill=looks.INK_NOW).transform_calculate(said=said)
    marks = marks.encode(alt.X("estimate:Q", title=title), *y, shape, fillOpacity=fill, tooltip=tips, description="said:N")
    zero = alt.Chart().mark_rule(aria=False, strokeDash=[4, 2]).encode(x=alt.datum(0))
    experiments = list(dict.fromkeys(frame["experiment"]))
    alone = experiments == [THIS]
    width, height = (560 if len(experiments) == 1 else 330), (62 if alone else 42)
    decided = [f"{line['first']} over {line['second']} in {line['norm']}" for line in frame[frame["decided"]].to_dict("records")]
    words = f"Forest plot of {len(order)} comparisons in {frame['norm'].nunique()} norms; decided: {'; '.join(decided) or 'none'}."
    chart = alt.layer(zero, bars, marks, data=data).properties(width=width, height=height * len(order))
    if not alone:
        chart = chart.facet(alt.Facet("experiment:N", title=None, sort=experiments), columns=len(experiments))
    return Figure(name, chart, words)


def effects(frame: pd.DataFrame, study: str) -> Figure | None:
    """What every variant of a study changes, measure by measure, the largest effect on its first measure on top; None without any.

    Args:
        frame: lines of effects.csv.
    """
    frame = frame[(frame["study"] == study) & frame["measure"].isin(MEASURES)]
    if frame.empty:
        return None
    measures = [measure for measure in MEASURES if measure in set(frame["measure"])]
    frame = frame.assign(size=np.where(frame["unit"].isin(["points", "cosine"]), frame["effect"], np.log(frame["effect"].clip(1e-9))))
    collapsed = set(frame[(frame["measure"] == "clean") & (frame["effect"] < -COLLAPSE)]["variant"])
    named = [
        f"{label}{' (collapsed)' if name in collapsed else ''}|{group}"
        for name, label, group in zip(frame["variant"], frame["label"], frame["group"])
    ]
    withstands, clear = frame["excludes_none_holm"], frame["excludes_none"]
    kind = np.select([withstands, clear], [list(KINDS)[2], list(KINDS)[1]], list(KINDS)[0])
    frame = frame.assign(named=named, kind=kind)
    first = frame[frame["measure"] == measures[0]]
    order = list(first.loc[first["size"].abs().sort_values(ascending=False, kind="stable").index, "named"])
    panels = [_panel(frame[frame["measure"] == measure], measure, order, place == 0) for place, measure in enumerate(measures)]
    known = first[first["excludes_none"]]["label"]
    words = f"Forest plot of {len(order)} variants; in {MEASURES[measures[0]][0]} the interval excludes no effect for "
    return Figure(f"{study}_effects", alt.hconcat(*panels, spacing=12), f"{words}{'; '.join(known) or 'none'}.")


def limits(lines: pd.DataFrame, ratio: bool) -> tuple[float, float]:
    """Ends of a panel: wide enough for most, not for the few outermost effects and intervals, which would press all others together."""
    values = lines[["effect", "low", "high"]].to_numpy(float).copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(values) if ratio else values
    values[~np.isfinite(values)] = np.nan
    means, ends = np.abs(values[:, 0]), np.abs(values[:, 1:])
    ends = np.where(np.isnan(ends).all(1), np.nan, np.nanmax(np.nan_to_num(ends, nan=-1), 1))
    wide = [1.3 * np.nanquantile(known, share) for known, share in ((means, 0.94), (ends, 0.8)) if np.isfinite(known).any()]
    end = 1.08 * max([*wide, 1e-3])
    return (float(np.exp(-end)), float(np.exp(end))) if ratio else (float(-end), float(end))


def _panel(lines: pd.DataFrame, measure: str, order: list[str], names: bool) -> alt.LayerChart | alt.FacetChart:
    title, ratio = MEASURES[measure]
    low, high = limits(lines, ratio)
    ends = {"from": lines["low"].clip(low, high), "to": lines["high"].clip(low, high), "at": lines["effect"].clip(low, high)}
    outside = ~lines["effect"].between(low, high)
    data = lines.assign(**ends, outside=outside)[
        ["named", "kind", "effect", "low", "high", "per_seed", "p_holm", "label", "base", "outside", *ends]
    ].dropna(subset=["effect"])
    axis = (
        alt.Axis(labelExpr="split(datum.label, '|')", labelLimit=0, labelFontSize=10, labelLineHeight=11, ticks=False, domain=False)
        if names
        else None
    )
    y = alt.Y("named:N", title=None, sort=order, axis=axis)
    scale = alt.Scale(domain=[low, high], type="log" if ratio else "linear", nice=False)
    form = ".2~f" if ratio else "~g"
    x = alt.X(
        "at:Q",
        title=None,
        scale=scale,
        axis=alt.Axis(orient="top", tickCount=3, labelExpr=f"'{'×' if ratio else ''}' + format(datum.value, '{form}')"),
    )
    legend = alt.Legend(title=None, orient="bottom")
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=list(KINDS), range=list(KINDS.values())), legend=legend)
    fill = alt.FillOpacity("kind:O", sort=list(KINDS), scale=alt.Scale(domain=list(KINDS), range=[0, 1, 1]), legend=legend)
    faint = alt.condition(f"datum.kind === '{list(KINDS)[0]}'", alt.value(0.55), alt.value(1))
    heads = {"effect": "effect", "low": "95 %, from", "high": "to"}
    tips = [alt.Tooltip("label:N", title="variant"), alt.Tooltip("base:N", title="against")]
    tips += [alt.Tooltip(f"{name}:Q", title=words, format=".3~f") for name, words in heads.items()]
    tips += [alt.Tooltip("per_seed:N", title="each seed"), alt.Tooltip("p_holm:Q", title="p (Holm)", format=".3f")]
    none = alt.Chart().mark_rule(aria=False, style="ink").encode(x=alt.datum(1 if ratio else 0))
    effect, *interval = (f"format(datum.{field}, '.3~f')" for field in ("effect", "low", "high"))
    said = f"datum.label + ': {title} ' + {effect} + ' [' + {interval[0]} + ', ' + {interval[1]} + ']'"
    bars = (
        alt.Chart(data)
        .mark_rule(strokeWidth=1.6, clip=True, style="ink", aria=False)
        .encode(alt.X("from:Q", scale=scale), alt.X2("to:Q"), y, opacity=faint)
    )
    marks = alt.Chart(data).mark_point(size=40, style="ink", fill=looks.INK_NOW).transform_calculate(said=said)
    marks = marks.encode(x, y, shape, fill, opacity=faint, tooltip=tips, description="said:N")
    side = alt.expr(f"datum.effect > {high} ? 'right' : 'left'")
    beyond = alt.Chart(data).mark_text(fontSize=10, aria=False, align=side).encode(x, y, alt.Text("effect:Q", format=".2~f"))
    layers = alt.layer(none, bars, marks.transform_filter("!datum.outside"), beyond.transform_filter("datum.outside"))
    return layers.properties(title=alt.Title(title, fontSize=11, frame="group"), width=150 if names else 100, height=alt.Step(26))
