"""What a chart is for the page: specifications of Vega-Lite with words, controls that set their parameters, and the files beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from lib.report.charts.looks import Look

HEIGHT = 300


@dataclass(frozen=True)
class Drawing:
    """One chart: the id of its place on the page, its heading (or none), and its specification."""

    key: str
    heading: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """A list that one value is chosen from, which becomes `parameter` of all the panel's charts: (value, words) pairs."""

    parameter: str
    words: str
    options: tuple[tuple[str, str], ...]
    chosen: str


@dataclass(frozen=True)
class Panel:
    """Charts that share their controls, in place of the static `picture` of that name.

    legend: the rows that can be switched off, each with what stands behind its name; their names go into the parameter `hidden`.
    legend_words: what stands above them.
    linked: a parameter that selects points by `fields`, shared by all charts of the panel; "" without one.
    """

    picture: str
    reading: str
    drawings: tuple[Drawing, ...]
    choices: tuple[Choice, ...] = ()
    legend: tuple[tuple[Look, str], ...] = ()
    linked: str = ""
    legend_words: str = "Rows shown"


def hues(looks: Sequence[Look]) -> alt.Scale:
    """Rows to colours of the page's theme."""
    return alt.Scale(domain=[look.name for look in looks], range="category")


def shade(looks: Sequence[Look]) -> alt.Color:
    """Colour by row."""
    return alt.Color("row:N", legend=None, scale=hues(looks))


def symbol(looks: Sequence[Look]) -> alt.Shape:
    """Shape by row."""
    scale = alt.Scale(domain=[look.name for look in looks], range=[look.shape for look in looks])
    return alt.Shape("row:N", legend=None, scale=scale)


def dashed(looks: Sequence[Look]) -> alt.StrokeDash:
    """Dash by row."""
    scale = alt.Scale(domain=[look.name for look in looks], range=[look.dash for look in looks])
    return alt.StrokeDash("row:N", legend=None, scale=scale)


def specification(chart: alt.LayerChart | alt.FacetChart, description: str, height: int = HEIGHT) -> dict[str, Any]:
    """The chart as wide as its place, without Altair's own look; `description` is read out."""
    sized = chart.properties(width="container", height=height, description=description)
    found = sized.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding")).to_dict()
    return {key: value for key, value in found.items() if key != "config"}
