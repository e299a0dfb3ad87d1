"""Every figure of the report that the rows at hand allow."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base import params
from lib.report import networks as measured
from lib.report import regression
from lib.report.charts import curves, forest, images, looks, networks, norms, permutation, studies
from lib.report.charts.render import Figure
from lib.report.published_folder import Published
from lib.report.results import Evidence, labels
from lib.report.series import headline, headline_column


def figures(
    evidence: Evidence, frames: Mapping[str, pd.DataFrame], tiles: pd.DataFrame, gradients: Path, published: Mapping[str, Published]
) -> dict[str, Figure]:
    """By name, in the order of the page.

    Args:
        frames: comparisons, permutation, curves, auc, networks and effects; tiles: `images.tiles`.
        gradients: folder of the gradient measurements.
    """
    rows, threat = looks.of_rows(labels(evidence.rows)), headline()
    table = {row: look for row, look in rows.items() if evidence.rows[row].threats == "table"}
    shown, over_images = list(table.values()), measured.over_images(gradients, evidence.seeds)
    points, chance = curves.points(evidence, frames["curves"]), 1 / len(np.unique(evidence.outcomes[0].labels))
    pictures = images.figures(tiles, [look.name for look in shown], params.value("report", "gallery"))
    drawn = [
        forest.contrasts(frames["comparisons"]),
        forest.elsewhere(frames["comparisons"]),
        pictures.get("gallery"),
        pictures.get("fig1_targets"),
        pictures.get("fig2_permuted"),
        permutation.figure(evidence, frames["permutation"], over_images, rows, headline_column(evidence)),
        norms.figure(evidence.gradients, table, over_images),
        curves.panels(points, threat.norm, shown, evidence.images),
        curves.figure(points, frames["auc"], shown, chance),
        networks.figure(frames["networks"], list(rows.values()), threat.norm, threat.epsilon),
        pictures.get("fig8_gradients"),
        forest.effects(frames["effects"], "audit"),
        *_beyond(published.get("beyond")),
        forest.effects(frames["effects"], "matched"),
    ]
    return {figure.name: figure for figure in drawn if figure is not None}


def _beyond(study: Published | None) -> list[Figure]:
    if study is None:
        return []
    cells, fits = studies.cells(study.table, study.document["variants"]), regression.fits(study.table)
    drawn = [studies.grid(cells)] if len(cells) else []
    return [*drawn, studies.regression(regression.points(study.table), fits["all"])] if fits else drawn
