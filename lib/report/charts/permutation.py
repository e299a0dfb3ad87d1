"""Figure 3: accuracy, gradient norm and cosine against the permuted fraction, with intervals over seeds and over images."""

from math import nan

import altair as alt
import pandas as pd

from lib.report.charts.looks import Look
from lib.report.charts.panel import Drawing, Panel, shade, specification
from lib.report.families import families, permuted_targets
from lib.report.results import Evidence, labels
from lib.report.series import headline_column, permutation
from lib.statistics.columns import SEMANTICS, per_seed
from lib.statistics.intervals import t_half_width, wilson

HEIGHT = 240
# Measure of the permutation series -> the column of `over_images` that it is.
GRADIENTS = {"label_norm": "label_norm", "cosine": "cosine_target"}


def panel(evidence: Evidence, looks: list[Look], over_images: pd.DataFrame) -> Panel | None:
    """Three charts; None without permuted rows."""
    frame = permutation(evidence)
    if frame["fraction"].nunique() < 2:
        return None
    column = headline_column(evidence)
    titles = {
        "accuracy": f"(a) Accuracy at {column.threat}, {SEMANTICS.get(column.semantics, column.semantics)}",
        "label_norm": "(b) Norm of the label’s gradient",
        "cosine": "(c) Cosine of gradient and own target",
    }
    source = next(look for look in looks if look.row == next(iter(permuted_targets())))
    drawings = []
    for measure, title in titles.items():
        found = summary(evidence, frame, measure, over_images).assign(row=source.name)
        lines = references(evidence) if measure == "accuracy" else None
        drawings.append(_drawing(found, frame.assign(row=source.name), measure, title, looks, lines))
    count = len(evidence.seeds)
    band = "95 % t interval over the seeds" if count >= 3 else "range of the two seeds, not an interval" if count == 2 else "one seed"
    reading = f"Line: mean over the seeds. Band: {band}. Bars: 95 % interval over the images. Rings: single seeds."
    return Panel("fig3_permutation", reading, tuple(drawings))


def summary(evidence: Evidence, frame: pd.DataFrame, measure: str, over_images: pd.DataFrame) -> pd.DataFrame:
    """By fraction: the mean, `low` and `high` over the seeds, `least` and `most` over the images, and what each seed gave."""
    rows, lines = {fraction: row for row, fraction in permuted_targets().items()}, []
    for fraction, values in frame.groupby("fraction")[measure]:
        mean, given = float(values.mean()), list(values)
        low, high = over_seeds(given)
        least, most = _over_images(evidence, rows[fraction], measure, mean, over_images)
        shown = " / ".join(_written(measure, value) for value in given)
        numbers = {"mean": mean, "low": low, "high": high, "least": least, "most": most}
        words = {"over_seeds": _between(measure, low, high), "over_images": _between(measure, least, most), "seeds": shown}
        lines.append({"fraction": fraction} | {name: round(value, 5) for name, value in numbers.items()} | words)
    return pd.DataFrame(lines)


def over_seeds(values: list[float]) -> tuple[float, float]:
    """Student's t interval from three seeds on, both values of two, the value itself of one."""
    if len(values) < 3:
        return min(values), max(values)
    mean, half = sum(values) / len(values), t_half_width(values)
    return mean - half, mean + half


def references(evidence: Evidence) -> pd.DataFrame:
    """Standard training and Jacobian regularization: row and accuracy, for lines across the first chart."""
    column, kinds, names = headline_column(evidence), families(), labels(evidence.rows)
    levels = {
        names[key]: per_seed(evidence.accuracies, names[key], column) for key in evidence.rows if kinds[key] in ("standard", "jacobian")
    }
    return pd.DataFrame({"row": name, "accuracy": round(float(values.mean()), 4)} for name, values in levels.items() if len(values))


def _over_images(evidence: Evidence, row: str, measure: str, mean: float, halves: pd.DataFrame) -> tuple[float, float]:
    if measure == "accuracy":
        return wilson(mean, evidence.images)
    half = float(halves.loc[row, GRADIENTS[measure]]) if row in halves.index else nan
    return mean - half, mean + half


def _drawing(
    found: pd.DataFrame, single: pd.DataFrame, measure: str, title: str, looks: list[Look], levels: pd.DataFrame | None
) -> Drawing:
    fractions = sorted(found["fraction"])
    across = alt.X(
        "fraction:Q",
        title="permuted pixels of each target",
        axis=alt.Axis(format="%", values=fractions, grid=False),
        scale=alt.Scale(domain=[-0.04, max(fractions) + 0.04], nice=False),
    )
    scale = alt.Scale(zero=measure == "accuracy")
    up = alt.Y("mean:Q", title=None, axis=alt.Axis(format="%") if measure == "accuracy" else alt.Axis(), scale=scale)
    name = f"permutation_{measure}"
    layers = [
        _layer(name, "seeds").mark_area(opacity=0.18, aria=False).encode(across, alt.Y("low:Q", title=None, scale=scale), alt.Y2("high:Q")),
        _layer(name, "images").mark_errorbar(ticks=True).encode(
            across, alt.Y("least:Q", title="", scale=scale), alt.Y2("most:Q"), strokeWidth=alt.value(1.2)
        ),
        _layer(name, "line").mark_line(aria=False, strokeWidth=2.4).encode(across, up),
        _layer(name, "mean").mark_point(filled=True, size=60, opacity=1).encode(across, up, tooltip=_tips(measure)),
    ]  # fmt: skip
    rings = alt.Chart(single[["fraction", measure, "row"]].round(5), name=f"{name}_rings").mark_point(
        size=26, opacity=1, aria=False, tooltip=None
    )
    layers.append(rings.encode(across, alt.Y(f"{measure}:Q", title="", scale=scale)))
    chart = alt.layer(*(layer.encode(shade(looks)) for layer in layers), data=found)
    if levels is not None and len(levels):
        chart = alt.layer(chart, *_levels(levels, looks, scale, sum(fractions[:2]) / 2))
    return Drawing(name, title, specification(chart, f"{title[4:]} against the share of permuted pixels.", HEIGHT))


def _layer(name: str, part: str) -> alt.Chart:
    return alt.Chart(name=f"{name}_{part}")


def _levels(levels: pd.DataFrame, looks: list[Look], scale: alt.Scale, place: float) -> list[alt.Chart]:
    """Dashed lines with the rows' names below them, at a place across where no marks are."""
    up = alt.Y("accuracy:Q", title="", scale=scale)
    tips = [alt.Tooltip("row:N"), alt.Tooltip("accuracy:Q", format=".1%")]
    line = alt.Chart(levels, name="permutation_level").mark_rule(strokeDash=[4, 3], strokeWidth=1.6)
    words = alt.Chart(levels, name="permutation_level_name").mark_text(dy=10, aria=False)
    return [line.encode(up, shade(looks), tooltip=tips), words.encode(up, shade(looks), x=alt.datum(place), text="row:N")]


def _tips(measure: str) -> list[alt.Tooltip]:
    mean = alt.Tooltip("mean:Q", title="mean", format=".1%" if measure == "accuracy" else ".3f")
    words = {"over_seeds": "over seeds", "over_images": "95 % over images", "seeds": "each seed"}
    rest = [alt.Tooltip(f"{name}:N", title=title) for name, title in words.items()]
    return [alt.Tooltip("fraction:Q", title="permuted", format=".0%"), mean, *rest]


def _written(measure: str, value: float) -> str:
    return f"{100 * value:.1f} %" if measure == "accuracy" else f"{value:.3f}"


def _between(measure: str, low: float, high: float) -> str:
    return "not known" if low != low else f"{_written(measure, low)} to {_written(measure, high)}"
