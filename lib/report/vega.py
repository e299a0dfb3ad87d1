"""Charts inside the page: Vega's JavaScript once for all of them, each one's specification, and a few lines that draw and steer them."""

import json
from functools import cache
from typing import Any

import vl_convert
from altair import SCHEMA_VERSION
from markupsafe import Markup

from lib.report.charts.looks import Look, themes
from lib.report.charts.panel import Panel
from lib.report.figures import Picture
from lib.report.templates import rendered

# Outlines of Vega's symbols in a box from -6 to 6, for the list of rows beside a chart.
OUTLINES = {
    "circle": "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0Z",
    "square": "M-4,-4H4V4H-4Z",
    "triangle-up": "M0,-4.6L5,4H-5Z",
    "triangle-down": "M0,4.6L5,-4H-5Z",
    "diamond": "M0,-5.4L5.4,0L0,5.4L-5.4,0Z",
    "triangle-right": "M4.6,0L-4,5V-5Z",
    "cross": "M-1.8,-5H1.8V-1.8H5V1.8H1.8V5H-1.8V1.8H-5V-1.8H-1.8Z",
}


def figure(panel: Panel, picture: Picture, inlined: Markup, files: list[tuple[str, str]]) -> Markup:
    """A figure of the page: the panel's charts, and the static picture wherever they cannot be drawn; `files`: (name, path) beside it."""
    specs = {drawing.key: as_json(drawing.spec) for drawing in panel.drawings}
    return rendered("chart.html.j2", panel=panel, picture=picture, data=inlined, files=files, specs=specs, outlines=OUTLINES)


def style(looks: list[Look]) -> Markup:
    """The style of the charts and their lists of rows; goes into the head."""
    return rendered("chart_style.html.j2", looks=looks)


def script(looks: list[Look]) -> Markup:
    """Vega, Vega-Lite and Vega-Embed, and what draws all charts of the page; goes once behind them."""
    return rendered("chart_script.html.j2", bundle=bundle(), themes=as_json(themes(looks)))


@cache
def bundle() -> Markup:
    """The three libraries as one script, which leaves nothing behind but `vega`, `vegaLite` and `vegaEmbed` of the window."""
    version = SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    code = vl_convert.javascript_bundle("window.vega = vega; window.vegaLite = vegaLite; window.vegaEmbed = vegaEmbed;", vl_version=version)
    return Markup(code.replace("</script", "<\\/script"))


def as_json(content: dict[str, Any]) -> Markup:
    """JSON that can stand inside a `<script>`."""
    return Markup(json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))
