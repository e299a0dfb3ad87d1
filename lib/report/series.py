"""The small results: metrics for `dvc metrics show`, and the series behind the curves, for DVC's plots and for the figures."""

from dataclasses import dataclass
from math import isnan

import pandas as pd

from lib.base import params
from lib.base.errors import require
from lib.report.columns import CLEAN, Column, at_threat, attacks, per_seed, radius
from lib.report.families import permuted_targets
from lib.report.results import Evidence, labels
from lib.threats import threats


@dataclass(frozen=True)
class FigureThreat:
    """Where Figure 3a is measured; also the threat model that the answer is given at."""

    norm: str
    epsilon: float
    semantics: str


def headline() -> FigureThreat:
    """`report.figure_threat`, which must be one of the threat models in every list."""
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


def summary(evidence: Evidence) -> dict[str, dict]:
    """Row -> clean accuracy, accuracy at the headline and at the first threat model of each other norm, gradients; seeds averaged."""
    found = {}
    for key, name in labels(evidence.rows).items():
        entry: dict = {"clean": _mean(evidence.accuracies, name, CLEAN)}
        for threat in _summarised(evidence.rows[key].threats):
            for semantics, column in at_threat(evidence.accuracies, *threat).items():
                entry.setdefault(semantics, {})[f"{column.norm}_{_key(column.epsilon)}"] = _mean(evidence.accuracies, name, column)
        means = evidence.gradients[evidence.gradients["row"] == key].drop(columns=["row", "seed"]).mean()
        entry["label_norm"] = round(float(means["label_norm"]), 4)
        if not isnan(means["cosine_target"]):
            entry["cosine"] = round(float(means["cosine_target"]), 4)
        found[key] = entry
    return found


def curves(evidence: Evidence) -> pd.DataFrame:
    """Mean accuracy over seeds by radius, for every row of the main table; radius 0 is the clean accuracy."""
    lines = []
    shown = {key: name for key, name in labels(evidence.rows).items() if evidence.rows[key].threats == "table"}
    norms = dict.fromkeys(threat.norm for threat in threats("table"))
    for name in shown.values():
        for semantics, attack in attacks(evidence.accuracies):
            for norm in norms:
                radii = [threat.epsilon for threat in threats("table") if threat.norm == norm]
                columns = [CLEAN] + [Column(semantics, attack, norm, epsilon) for epsilon in sorted(radii)]
                means = [float(per_seed(evidence.accuracies, name, column).mean()) for column in columns]
                lines += [(name, semantics, attack, norm, column.epsilon, mean) for column, mean in zip(columns, means)]
    return pd.DataFrame(lines, columns=["technique", "semantics", "attack", "norm", "epsilon", "accuracy"])


def permutation(evidence: Evidence) -> pd.DataFrame:
    """One line per permuted fraction (0: the unpermuted source) and seed: headline accuracy, label-gradient norm, cosine with the
    own targets. Empty where the rows hold no such experiment.
    """
    column = headline_columns(evidence)[headline().semantics]
    parts = []
    for key, fraction in permuted_targets().items():
        if key in evidence.rows:
            part = evidence.gradients[evidence.gradients["row"] == key].copy()
            part["accuracy"] = part["seed"].map(per_seed(evidence.accuracies, labels(evidence.rows)[key], column))
            part["fraction"] = fraction
            parts.append(part.rename(columns={"cosine_target": "cosine"}))
    names = ["fraction", "seed", "accuracy", "label_norm", "cosine"]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def _summarised(name: str) -> list[tuple[str, float]]:
    """The headline threat model, and the first of every other norm."""
    found = headline()
    chosen = {found.norm: found.epsilon}
    for threat in threats(name):
        chosen.setdefault(threat.norm, threat.epsilon)
    return list(chosen.items())


def _mean(accuracies: pd.DataFrame, name: str, column: Column) -> float:
    return round(float(per_seed(accuracies, name, column).mean()), 4)


def _key(epsilon: float) -> str:
    """A radius inside a metric's name, which may hold no dots or slashes: 0.2 is 0_2, 8/255 is 8_255."""
    return radius(epsilon).replace(".", "_").replace("/", "_")
