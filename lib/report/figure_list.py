"""The figures of the page, each with the files it is kept in: a chart that can be pointed at where there is one, else the picture."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from lib.report import vega
from lib.report.charts import norms, permutation, scatter, security
from lib.report.charts.looks import Look
from lib.report.charts.panel import Panel
from lib.report.figures import Picture
from lib.report.results import Evidence
from lib.report.templates import inlined, rendered

# The tables behind a figure.
DATA = {
    "contrasts": ["contrasts.csv"],
    "fig3_permutation": ["permutation.csv"],
    "fig4_gradient_norms": ["networks.csv"],
    "fig5_curves": ["curves.csv"],
    "fig6_security": ["curves.csv", "auc.csv"],
    "fig7_networks": ["networks.csv"],
}


def panels(evidence: Evidence, networks: pd.DataFrame, over_images: pd.DataFrame, looks: list[Look]) -> dict[str, Panel]:
    """The charts that the rows at hand allow, by the name of the picture that each stands for."""
    found = [
        permutation.panel(evidence, looks, over_images),
        norms.panel(evidence, looks, over_images),
        security.panel(evidence, looks),
        scatter.panel(networks, looks),
    ]
    return {panel.picture: panel for panel in found if panel is not None}


def section(pictures: Sequence[Picture], charts: dict[str, Panel], folder: Path) -> Markup:
    """All figures in the order of `pictures`, whose files lie in `folder`."""
    return Markup("\n").join(_figure(picture, charts.get(picture.name), folder) for picture in pictures)


def _figure(picture: Picture, panel: Panel | None, folder: Path) -> Markup:
    data = inlined(picture, folder)
    if panel is None:
        return rendered("still.html.j2", picture=picture, data=data, files=_files(picture))
    return vega.figure(panel, picture, data, _files(picture))


def _files(picture: Picture) -> list[tuple[str, str]]:
    """What a figure is kept in: (name, path beside the page)."""
    tables = DATA.get(picture.name, [])
    named = [("data (CSV)" if len(tables) == 1 else f"{name.removesuffix('.csv')} (CSV)", name) for name in tables]
    return [("PNG", f"figures/{picture.name}.png"), ("SVG", f"figures/{picture.name}.svg"), *named]
