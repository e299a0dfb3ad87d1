"""Accuracy against the attack's radius: every attack of one row in a panel of its own (Figure 5), and all rows in one (Figure 6)."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from lib.report.charts import looks
from lib.report.charts.looks import Look
from lib.report.charts.render import Figure, choice
from lib.report.results import Evidence
from lib.statistics.columns import CLEAN, NORMS, SEMANTICS, Column, in_columns, radius
from lib.statistics.intervals import wilson

STRICT = "strict"
TIPS = {
    "attack": "attack",
    "written": "radius",
    "share": "accuracy",
    "interval": "95 % over images",
    "seeds": "each seed, %",
    "n": "images",
}


def panels(frame: pd.DataFrame, norm: str, rows: Sequence[Look], images: int) -> Figure:
    """Figure 5, up to the largest radius that every attack was tried at; frame: `points`."""
    frame = frame[(frame["norm"] == norm) & frame["row"].isin([look.name for look in rows])]
    frame = frame[frame["radius"] <= frame.groupby("kind")["radius"].max().min()]
    ends = frame.groupby(["row", "radius"])["accuracy"].agg(["min", "max", "count"])
    shared = ends[ends["count"] == frame["kind"].nunique()].reset_index().assign(panel=lambda lines: lines["row"])
    others = [frame[(frame["row"] != look.name) & (frame["semantics"] == STRICT)].assign(panel=look.name, own=False) for look in rows]
    data = pd.concat([frame.assign(panel=frame["row"], own=True), *others, shared], ignore_index=True)
    kinds = dict(zip(frame["attack"], frame["semantics"]))
    dashes = alt.Scale(domain=list(kinds), range=[{"strict": [1, 0], "paper": [6, 3]}.get(kind, [2, 2]) for kind in kinds.values()])
    x = alt.X("radius:Q", title=f"radius of the {NORMS.get(norm, norm)} ball", axis=alt.Axis(grid=False, tickCount=4))
    y = alt.Y("accuracy:Q", title=None, axis=alt.Axis(format="%", tickCount=5))
    hue = looks.colour(rows)
    grey = alt.Chart().mark_line(style="faint", strokeWidth=1, aria=False, tooltip=None).transform_filter("datum.own === false")
    band = alt.Chart().mark_area(opacity=0.16, aria=False, tooltip=None).encode(x, alt.Y("min:Q", title=None), alt.Y2("max:Q"), hue)
    own = alt.Chart().mark_line(strokeWidth=2, aria=False, tooltip=None).transform_filter("datum.own")
    marks = alt.Chart().mark_point(filled=True, size=24, opacity=1).transform_filter("datum.own")
    marks = marks.transform_calculate(said=_said("row", norm))
    layers = [
        grey.encode(x, y, detail="row:N"),
        band.transform_filter("datum.count > 0"),
        own.encode(
            x,
            y,
            hue,
            alt.StrokeDash("attack:N", scale=dashes, legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolSize=400)),
        ),
        marks.encode(x, y, hue, tooltip=_tips({"row": "row"}), description="said:N"),
    ]
    facet = alt.Facet("panel:N", title=None, sort=[look.name for look in rows])
    chart = alt.layer(*layers, data=data).properties(width=255, height=120).facet(facet, columns=3 if len(rows) <= 9 else 4)
    words = f"Small multiples of accuracy against the {NORMS.get(norm, norm)} radius on {images} test images, one panel for each of "
    return Figure("fig5_curves", chart, f"{words}{len(rows)} training techniques.")


def security(
    frame: pd.DataFrame,
    lines: Sequence[Look],
    chance: float,
    named: Mapping[str, str],
    choices: Mapping[str, Mapping[str, str]] | None = None,
    behind: Mapping[str, str] | None = None,
) -> alt.HConcatChart:
    """A chart per norm, linear up to where the last line falls to `chance`.

    Args:
        frame: lines with kind, semantics, attack, norm, radius, accuracy, low, high, interval, seeds, n and the columns of `named`.
        lines: how each value of the first column of `named` looks.
        named: the columns that name a line of the chart -> what a tip calls them; the first tells lines apart, the page chooses the others.
        choices: column of `named` -> its values and what they are called; the first is chosen.
        behind: what stands behind a line's name in the legend.
    """
    line = next(iter(named))
    kinds = dict(zip(frame["kind"], frame["attack"]))
    chosen = next((kind for kind in kinds if kind.startswith(STRICT)), next(iter(kinds)))
    parameters = [choice(column, named[column], dict(options), next(iter(options))) for column, options in (choices or {}).items()]
    parameters.append(choice("kind", "Attack", kinds, chosen))
    names = [look.name for look in lines]
    shown = alt.selection_point(name="shown", fields=[line], bind="legend", toggle="true", value=[{line: name} for name in names])
    words = {name: f"{name}  {behind[name]}" if behind else name for name in names}
    asked = " && ".join(f"datum.{column} === {column}" for column in ["kind", *(choices or {})])
    norms = [norm for norm in NORMS if norm in set(frame["norm"])]
    charts = [
        _of_norm(frame[frame["norm"] == norm], norm, lines, chance, named, shown, [] if place else [shown], asked, words)
        for place, norm in enumerate(norms)
    ]
    return alt.hconcat(*charts).add_params(*parameters)


def figure(frame: pd.DataFrame, areas: pd.DataFrame, rows: Sequence[Look], chance: float) -> Figure | None:
    """Figure 6, the mean radius behind each name; None where no security curve was measured. areas: lines of auc.csv."""
    if areas.empty:
        return None
    means = areas.groupby(["technique", "norm"])["mean_radius"].mean()
    norms = [norm for norm in NORMS if norm in set(areas["norm"])]
    behind = {look.name: " / ".join(f"{means[look.name, norm]:.3g}" for norm in norms) for look in rows}
    first = means.unstack().idxmax()
    words = "; ".join(f"in {NORMS[norm]} that of {first[norm]}, {means[first[norm], norm]:.3g}" for norm in norms)
    chart = security(frame, rows, chance, {"row": "row"}, behind=behind)
    return Figure("fig6_security", chart, f"Accuracy against the radius, one panel per norm. Largest mean radius: {words}.")


def points(evidence: Evidence, curves: pd.DataFrame) -> pd.DataFrame:
    """The lines of curves.csv with what `security` shows of them: the interval over the n images, and what each seed gave."""
    kept, recorded = [], {" ".join(kind): kind for kind in in_columns(evidence.accuracies)}
    for line in curves.to_dict("records"):
        kind = f"{line['semantics']} {line['attack']}"
        column = CLEAN if line["epsilon"] == 0 else Column(*recorded[kind], line["norm"], line["epsilon"])
        scores = evidence.per_seed[line["technique"], column].values()
        count, shares = int(min((~np.isnan(score)).sum() for score in scores)), [float(np.nanmean(score)) for score in scores]
        start = {"row": line["technique"], "semantics": line["semantics"], "norm": line["norm"]}
        kept.append(start | point(line["semantics"], line["attack"], line["epsilon"], line["accuracy"], count, shares))
    return pd.DataFrame(kept)


def point(semantics: str, attack: str, epsilon: float, accuracy: float, count: int | None, shares: Sequence[float]) -> dict[str, object]:
    """One point of a curve in numbers and in words; count None: it is not known on how many images."""
    low, high = wilson(accuracy, count) if count else (accuracy, accuracy)
    called = Column(semantics, attack, "", 0).group if semantics == "autoattack" else f"{SEMANTICS.get(semantics, semantics)} ({attack})"
    numbers: dict[str, object] = {
        "radius": epsilon,
        "accuracy": round(accuracy, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "n": count,
    }
    interval = f"{100 * low:.1f} to {100 * high:.1f} %" if count else "not known"
    seeds = " / ".join(f"{100 * share:.1f}" for share in shares) if count else "not known"
    share = f"{100 * accuracy:.1f} %"
    words = {"kind": f"{semantics} {attack}", "attack": called, "written": radius(epsilon) if epsilon else "0", "share": share}
    return numbers | words | {"interval": interval, "seeds": seeds}


def _of_norm(
    frame: pd.DataFrame,
    norm: str,
    lines: Sequence[Look],
    chance: float,
    named: Mapping[str, str],
    shown: alt.Parameter,
    parameters: Sequence[alt.Parameter],
    asked: str,
    words: dict[str, str],
) -> alt.LayerChart | alt.FacetChart:
    line, end = next(iter(named)), _end(frame, chance)
    x = alt.X(
        "radius:Q",
        title=f"radius of the {NORMS[norm]} ball",
        axis=alt.Axis(grid=False, tickCount=7),
        scale=alt.Scale(domain=[0, end], nice=False),
    )
    y = alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    label = f"{words}[datum.label]"
    legend = alt.Legend(title=None, orient="bottom", columns=3, labelExpr=label)
    hue, symbol = looks.colour(lines, line, legend), looks.shape(lines, line, legend)
    hovered = alt.selection_point(name=f"hovered_{norm}", fields=[line], on="pointerover", clear="pointerout", empty=False)
    near = [f"datum.radius <= {end}"]
    band = alt.Chart().mark_area(aria=False, tooltip=None).encode(x, alt.Y("low:Q", title="accuracy"), alt.Y2("high:Q"), hue)
    curve = alt.Chart().mark_line(aria=False, tooltip=None).encode(x, y, hue, looks.dashed(lines, line, legend))
    # What is pointed at is wider than what is seen, wide enough for a finger.
    marks = alt.Chart(name=f"security_{norm}").mark_point(filled=True, size=50, opacity=1, stroke="transparent", strokeWidth=14)
    marks = marks.encode(x, y, hue, symbol, description="said:N", tooltip=_tips(named)).transform_calculate(said=_said(line, norm))
    layers = [
        band.encode(fillOpacity=alt.condition(hovered, alt.value(0.18), alt.value(0))),
        curve.encode(strokeWidth=alt.condition(hovered, alt.value(3.5), alt.value(1.8))),
        marks.add_params(*parameters, hovered),
    ]
    chart = alt.layer(*layers, data=frame.drop(columns=["norm", "semantics"])).properties(width=380, height=300)
    return chart.transform_filter(" && ".join([asked, *near])).transform_filter(shown)


def _end(frame: pd.DataFrame, chance: float) -> float:
    """The first radius at which no line is above chance any more, or the last one."""
    above = frame[(frame["accuracy"] > chance) & (frame["radius"] > 0)]["radius"].max()
    beyond = frame[frame["radius"] > (above if above == above else 0)]["radius"]
    return float(beyond.min() if len(beyond) else frame["radius"].max())


def _said(line: str, norm: str) -> str:
    point = f"datum['{line}'] + ', {NORMS.get(norm, norm)} radius ' + datum.written"
    return f"{point} + ': ' + datum.share + ', 95 % over images ' + datum.interval"


def _tips(named: Mapping[str, str]) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{column}:N", title=title) for column, title in {**named, **TIPS}.items()]
