"""Every result of the report that is a table, as one data frame each, by the name of its file."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.report import black_box, claims, comparisons, networks, provenance, regression, series, table, training, worst_case
from lib.report.comparisons import Comparison
from lib.report.published_folder import Published
from lib.report.results import Evidence

INSIDE = ("comparisons", "regression")  # no files: other frames hold what they do
LATEX = ("black_box", "worst_case", "claims", "contrasts", "accuracy_contrasts", "effects", "environments")  # also files for LaTeX


def frames(
    evidence: Evidence, compared: Sequence[Comparison], published: Mapping[str, Published], records: pd.DataFrame, histories: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """All frames; `records` are those of lib/report/provenance.py, `histories` those of lib/report/training.py."""
    every = comparisons.frame(compared)
    return {
        "comparisons": every,
        "regression": regression.to_frame(regression.fits(published["beyond"].table) if "beyond" in published else {}),
        "results": evidence.accuracies.assign(environment=provenance.of_accuracies(evidence, records)),
        "curves": series.curves(evidence),
        "auc": series.areas(evidence),
        "permutation": series.permutation(evidence),
        "black_box": black_box.frame(evidence),
        "worst_case": worst_case.to_frame(evidence),
        "table1": table.build(evidence),
        "claims": claims.claims(evidence, compared),
        "contrasts": comparisons.of_mean_radii(every),
        "accuracy_contrasts": comparisons.of_accuracies(every),
        "effects": comparisons.of_studies(every),
        "environments": records,
        "networks": networks.networks(evidence),
        "training": histories,
        "trained_out": training.courses(histories),
    }
