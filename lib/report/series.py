"""The small results: metrics for `dvc metrics show`, and the series behind the curves, for DVC's plots and for the figures."""

import numpy as np
import pandas as pd

from lib.base import params
from lib.base.errors import require
from lib.evaluation.threats import threats
from lib.report.families import permuted_targets
from lib.report.results import Evidence, labels, together
from lib.report.settings import FigureThreat
from lib.report.worst_case import of
from lib.statistics.columns import CLEAN, Column, at_threat, in_columns, per_seed


def headline() -> FigureThreat:
    """`report.figure_threat`, which must be one of the paper's threat models in every list."""
    found = params.section(FigureThreat, "report", "figure_threat")
    for name in params.value("threats"):
        known = [(threat.norm, threat.epsilon) for threat in threats(name)]
        require((found.norm, found.epsilon) in known, f"report.figure_threat {found.norm} {found.epsilon} is not in threats.{name}")
    return found


def headline_columns(evidence: Evidence) -> dict[str, Column]:
    """The headline threat model under each semantics."""
    found = headline()
    columns = at_threat(evidence.accuracies, found.norm, found.epsilon)
    require(found.semantics in columns, f"report.figure_threat asks for semantics {found.semantics!r}, measured are {', '.join(columns)}")
    return columns


def headline_column(evidence: Evidence) -> Column:
    """The headline threat model under the semantics that it names."""
    return headline_columns(evidence)[headline().semantics]


def summary(evidence: Evidence) -> dict[str, dict]:
    """Row of the main table -> clean accuracy, the paper's attack at the headline and the mean robust radius; seeds averaged."""
    found, under_curve = {}, areas(evidence)
    for key, name in shown(evidence).items():
        column = headline_columns(evidence).get("paper")
        columns = {"clean": CLEAN} | ({"paper": column} if column else {})
        entry: dict = {word: round(float(per_seed(evidence.accuracies, name, one).mean()), 4) for word, one in columns.items()}
        radii = under_curve[under_curve["technique"] == name].groupby("norm", sort=False)["mean_radius"].mean()
        found[key] = entry | {"mean_radius": {norm: round(float(radius), 4) for norm, radius in radii.items()}}
    return found


def curves(evidence: Evidence) -> pd.DataFrame:
    """Mean accuracy over seeds by radius, for every row of the main table and every attack of its columns, at all its radii.

    Radius 0 is the clean accuracy, on those images that the attack was tried on.
    """
    lines = []
    for name in shown(evidence).values():
        for kind in in_columns(evidence.accuracies):
            for norm, columns in _radii(evidence, name, kind).items():
                means = [_start(evidence, name, columns[0])] + [float(np.nanmean(evidence.per_image[name, column])) for column in columns]
                lines += [(name, *kind, norm, column.epsilon, mean) for column, mean in zip([CLEAN, *columns], means)]
    return pd.DataFrame(lines, columns=["technique", "semantics", "attack", "norm", "epsilon", "accuracy"])


def areas(evidence: Evidence) -> pd.DataFrame:
    """The area under each security curve: the mean robust radius over the images, under all attacks together.

    Per row of the main table, seed and norm; `unbounded` images, where nothing was found, count with the longest perturbation that the box
    allows.
    """
    lines = []
    for key, name in shown(evidence).items():
        for seed in evidence.seeds:
            mine = of(evidence, key, seed)
            for norm in mine[0].radii:
                found = together(mine, norm)
                unbounded = int(np.isinf(found.radius).sum())
                lines.append((name, norm, seed, round(float(found.capped.mean(dtype=float)), 6), unbounded, len(found.radius)))
    return pd.DataFrame(lines, columns=["technique", "norm", "seed", "mean_radius", "unbounded", "n"])


def permutation(evidence: Evidence) -> pd.DataFrame:
    """One line per permuted fraction (0: the unpermuted source) and seed: headline accuracy, label-gradient norm, cosine with the
    own targets. Empty where the rows hold no such experiment.
    """
    column = headline_column(evidence)
    parts = []
    for key, fraction in permuted_targets().items():
        if key in evidence.rows:
            part = evidence.gradients[evidence.gradients["row"] == key].copy()
            part["accuracy"] = part["seed"].map(per_seed(evidence.accuracies, labels(evidence.rows)[key], column))
            part["fraction"] = fraction
            parts.append(part.rename(columns={"cosine_target": "cosine"}))
    names = ["fraction", "seed", "accuracy", "label_norm", "cosine"]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def shown(evidence: Evidence) -> dict[str, str]:
    """The rows of the main table and what they are called."""
    return {key: name for key, name in labels(evidence.rows).items() if evidence.rows[key].threats == "table"}


def _radii(evidence: Evidence, name: str, kind: tuple[str, str]) -> dict[str, list[Column]]:
    """Norm -> the columns that this attack was measured in on this row, by ascending radius."""
    found: dict[str, list[Column]] = {}
    for technique, column in evidence.per_seed:
        if technique == name and (column.semantics, column.attack) == kind:
            found.setdefault(column.norm, []).append(column)
    return {norm: sorted(columns, key=lambda column: column.epsilon) for norm, columns in sorted(found.items())}


def _start(evidence: Evidence, name: str, column: Column) -> float:
    """Clean accuracy on the images of `column`."""
    return float(evidence.per_image[name, CLEAN][~np.isnan(evidence.per_image[name, column])].mean())
