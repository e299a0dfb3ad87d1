"""Charts as files and as parts of a page: PNG, SVG and Vega-Lite's JSON, each with the same bytes for the same chart."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from altair import SCHEMA_VERSION
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from lib.report.charts import looks

VERSION = SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
SCALE = 1.5  # pixels of a PNG for each of the chart's
TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True)


@dataclass(frozen=True)
class Figure:
    """A chart, the `name` of its files, and the `description` that is read out in its place."""

    name: str
    chart: alt.TopLevelMixin
    description: str

    @cached_property
    def specification(self) -> dict[str, Any]:
        """Vega-Lite's specification without a theme, which the page chooses."""
        spec = self.chart.to_dict(validate=False)
        return spec | {"config": {}, "description": self.description}

    @cached_property
    def svg(self) -> str:
        """The chart in the light theme, as it is before anything is chosen."""
        drawn = vl_convert.vegalite_to_svg(json.dumps(_light(self.specification)), vl_version=VERSION)
        numbers: dict[str, str] = {}  # Vega counts what it defines over all charts of a process
        return re.sub(r"(gradient_|clip)\d+", lambda found: numbers.setdefault(found[0], f"{found[1]}{len(numbers)}"), drawn)

    @property
    def png(self) -> bytes:
        """The same in pixels."""
        return vl_convert.svg_to_png(self.svg, scale=SCALE)


def write(figure: Figure, folder: Path) -> None:
    """Write name.png, name.svg and name.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{figure.name}.png").write_bytes(figure.png)
    (folder / f"{figure.name}.svg").write_text(figure.svg, encoding="utf-8")
    (folder / f"{figure.name}.json").write_text(json.dumps(_light(figure.specification), ensure_ascii=False) + "\n", encoding="utf-8")


def html(figure: Figure) -> Markup:
    """The chart's place on a page with a `head`; a still picture where scripts are off and on paper."""
    picture = b64encode(figure.svg.encode("utf-8")).decode("ascii")
    return Markup(TEMPLATES.get_template("chart.html.j2").render(figure=figure, spec=as_json(figure.specification), picture=picture))


@cache
def head() -> Markup:
    """Vega, Vega-Lite and Vega-Embed, the themes, and what draws all charts of the page; goes once into its head."""
    export = "window.vega = vega; window.vegaLite = vegaLite; window.vegaEmbed = vegaEmbed;"
    bundle = vl_convert.javascript_bundle(export, vl_version=VERSION).replace("</script", "<\\/script")
    themes = as_json({"light": looks.theme(False) | {"background": "transparent"}, "dark": looks.theme(True)})
    return Markup(TEMPLATES.get_template("chart_head.html.j2").render(bundle=Markup(bundle), themes=themes))


def as_json(content: dict[str, Any]) -> Markup:
    """JSON that can stand inside a `<script>`."""
    return Markup(json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


def choice(name: str, words: str, options: dict[str, str], value: str) -> alt.Parameter:
    """A list below which the chart stands: what is chosen from `options` (value -> words) is the parameter `name`."""
    binding = alt.binding_select(name=f"{words} ", options=list(options), labels=list(options.values()))
    return alt.param(name=name, bind=binding, value=value)


def _light(specification: dict[str, Any]) -> dict[str, Any]:
    return specification | {"config": looks.theme(False)}
