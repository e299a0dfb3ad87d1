"""Security curves: accuracy against the radius, one chart per norm, every attack, rows that can be switched off."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from lib.report.charts.looks import Look
from lib.report.charts.panel import Choice, Drawing, Panel, dashed, shade, specification, symbol
from lib.report.curve_figures import positions
from lib.report.results import Evidence
from lib.report.series import areas, curves
from lib.statistics.columns import CLEAN, NORMS, SEMANTICS, Column, in_columns, radius
from lib.statistics.intervals import wilson

STRICT = "strict"
ROWS = {"row": "row"}
EACH = "training technique"
READING = (
    "Point at a mark for its interval and its images. An axis is true to scale up to where some row is still above chance under some "
    "attack of the list; radii beyond stand at equal steps, where the curves are dotted."
)


def panel(evidence: Evidence, looks: list[Look]) -> Panel:
    """One chart per norm with all attacks; the page chooses the attack and the rows."""
    frame = points(evidence)
    kinds = {key: words for key, words in zip(frame["kind"], frame["attack"])}
    chosen = next((kind for kind in kinds if kind.startswith(STRICT)), next(iter(kinds)))
    shown = [look for look in looks if look.name in set(frame["row"])]
    drawings = [drawing(frame[frame["norm"] == norm], norm, looks, {"kind": chosen}) for norm in dict.fromkeys(frame["norm"])]
    under = areas(evidence).groupby(["technique", "norm"])["mean_radius"].mean()
    legend = tuple((look, _areas_of(under, look.name)) for look in shown)
    return Panel("fig6_security", READING, tuple(drawings), (Choice("kind", "Attack", tuple(kinds.items()), chosen),), legend)


def points(evidence: Evidence) -> pd.DataFrame:
    """One line per row, attack, norm and radius: accuracy (mean over seeds), its interval over the n images, what each seed gave, and
    the `place` on the axis. A line that goes on beyond the break starts there with its last point `again`.
    """
    frame = curves(evidence)
    frame["kind"] = [f"{semantics} {attack}" for semantics, attack in zip(frame["semantics"], frame["attack"])]
    frame["attack"] = [called(*kind) for kind in zip(frame["semantics"], frame["attack"])]
    recorded = {" ".join(kind): kind for kind in in_columns(evidence.accuracies)}
    counted = [_counted(evidence, line, recorded[line["kind"]]) for line in frame.to_dict("records")]
    frame = frame.assign(**pd.DataFrame(counted, index=frame.index)).rename(columns={"technique": "row", "epsilon": "radius"})
    chance = 1 / len(np.unique(evidence.outcomes[0].labels))
    parts = [placed(part, chance) for _, part in frame.groupby("norm", sort=False)]
    return pd.concat(parts, ignore_index=True).round({"accuracy": 4, "low": 4, "high": 4, "place": 4})


def _counted(evidence: Evidence, line: dict, kind: tuple[str, str]) -> dict[str, object]:
    """Images, interval and seeds of one point of a curve."""
    column = CLEAN if line["epsilon"] == 0 else Column(*kind, line["norm"], line["epsilon"])
    scores = evidence.per_seed[line["technique"], column]
    count = int(min((~np.isnan(score)).sum() for score in scores.values()))
    low, high = wilson(line["accuracy"], count)
    seeds = " / ".join(f"{100 * np.nanmean(score):.1f}" for score in scores.values())
    interval = f"{100 * low:.1f} to {100 * high:.1f} %"
    return {"n": count, "low": low, "high": high, "interval": interval, "seeds": seeds, "written": radius(line["epsilon"])}


def placed(frame: pd.DataFrame, chance: float, lines: Sequence[str] = ("row", "kind")) -> pd.DataFrame:
    """The points of one norm with their places: as far apart as their radii up to the last one at which some row is above chance.

    lines: the columns that tell one line from another.
    """
    radii = np.sort(frame["radius"].unique())
    above = frame[(frame["accuracy"] > chance) & (frame["radius"] > 0)]["radius"]
    places = dict(zip(radii, positions(radii, float(above.max()) if len(above) else float(radii[1]))))
    frame = frame.assign(place=frame["radius"].map(places), part="near", again=False)
    far = frame["place"] != frame["radius"]
    if not far.any():
        return frame
    kinds = set(frame[far]["kind"])
    last = frame[~far & frame["kind"].isin(kinds)].sort_values("radius").groupby(list(lines), sort=False).tail(1)
    return pd.concat([frame[~far], pd.concat([last.assign(again=True), frame[far]]).assign(part="far")])


def drawing(
    frame: pd.DataFrame, norm: str, looks: list[Look], chosen: Mapping[str, str], names: Mapping[str, str] = ROWS, each: str = EACH
) -> Drawing:
    """The chart of one norm, a line for each `row` of the lines in which the columns of `chosen` have the values that the page chooses.

    chosen: column -> the value at first. names: the columns that name a line, and what a tip calls them. each: one line in words.
    """
    written = dict(zip(frame["place"], frame["written"]))
    words = "{" + ", ".join(f"'{place:.4f}': '{text}'" for place, text in written.items()) + "}[format(datum.value, '.4f')]"
    axis = alt.Axis(values=sorted(written), labelExpr=words, grid=False)
    title = f"radius of the {NORMS.get(norm, norm)} ball"
    across = alt.X("place:Q", title=title, axis=axis, scale=alt.Scale(domain=[0, max(written)], nice=False))
    up = alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    parameters = [*(alt.param(name=column, value=value) for column, value in chosen.items()), alt.param(name="hidden", value=[])]
    hovered = alt.selection_point(name="hovered", fields=["row"], on="pointerover", clear="pointerout", empty=False)
    name = f"security_{norm}"
    chart = alt.layer(
        _bands(name, across, up, looks, hovered),
        *(_lines(name, part, across, up, looks, hovered) for part in ("near", "far")),
        _marks(name, across, up, looks),
        _touched(name, across, up, names).add_params(hovered),
        data=frame.drop(columns=["norm", "semantics"]),
    )
    asked = [*(f"datum.{column} === {column}" for column in chosen), "indexof(hidden, datum.row) < 0"]
    shown = chart.add_params(*parameters).transform_filter(" && ".join(asked))
    return Drawing(name, "", specification(shown, f"Accuracy against the {title}, one line per {each}."))


def _bands(name: str, across: alt.X, up: alt.Y, looks: list[Look], hovered: alt.Parameter) -> alt.Chart:
    """The interval over images, of the row that is pointed at."""
    bounds = (across, up, alt.Y2("high:Q"), shade(looks))
    seen = alt.condition(hovered, alt.value(0.18), alt.value(0))
    low = alt.Y("low:Q", title="accuracy")
    chart = alt.Chart(name=f"{name}_interval").mark_area(aria=False, tooltip=None)
    return chart.encode(bounds[0], low, bounds[2], bounds[3], opacity=seen, detail=["row:N", "part:N"])


def _lines(name: str, part: str, across: alt.X, up: alt.Y, looks: list[Look], hovered: alt.Parameter) -> alt.Chart:
    """The curves on one side of the break; beyond it dotted."""
    dash = dashed(looks) if part == "near" else alt.value([1, 5])
    chart = alt.Chart(name=f"{name}_{part}").mark_line(aria=False).transform_filter(f"datum.part === '{part}'")
    wide = alt.condition(hovered, alt.value(3.5), alt.value(1.8))
    return chart.encode(across, up, shade(looks), strokeDash=dash, strokeWidth=wide)


def _marks(name: str, across: alt.X, up: alt.Y, looks: list[Look]) -> alt.Chart:
    said = "datum.row + ', radius ' + datum.written + ': ' + format(datum.accuracy, '.1%') + ', 95 % over images ' + datum.interval"
    chart = alt.Chart(name=f"{name}_marks").mark_point(filled=True, size=46, opacity=1)
    chart = chart.transform_filter("!datum.again").transform_calculate(said=said)
    return chart.encode(across, up, shade(looks), symbol(looks), description="said:N")


def _touched(name: str, across: alt.X, up: alt.Y, names: Mapping[str, str]) -> alt.Chart:
    """What is not seen but pointed at: around every mark, wide enough for a finger."""
    tips = [
        *(alt.Tooltip(f"{column}:N", title=words) for column, words in names.items()),
        alt.Tooltip("attack:N", title="attack"),
        alt.Tooltip("written:N", title="radius"),
        alt.Tooltip("accuracy:Q", title="accuracy", format=".1%"),
        alt.Tooltip("interval:N", title="95 % over images"),
        alt.Tooltip("seeds:N", title="each seed, %"),
        alt.Tooltip("n:Q", title="images"),
    ]
    chart = alt.Chart(name=f"{name}_touched").mark_point(filled=True, size=420, opacity=0, aria=False)
    return chart.encode(across, up, detail="row:N", tooltip=tips)


def _areas_of(under: pd.Series, name: str) -> str:
    """The mean radii of a row: `L2 1.21 · L∞ 0.153`."""
    return " · ".join(f"{NORMS.get(norm, norm)} {area:.3g}" for norm, area in under[name].items())


def called(semantics: str, attack: str) -> str:
    """An attack in words, with its name."""
    group = Column(semantics, attack, "", 0).group
    return group if semantics == "autoattack" else f"{SEMANTICS.get(semantics, semantics)} ({attack})"
