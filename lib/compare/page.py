"""The comparison as one self-contained page in the report's look: what differs, in words first, then in tables and curves."""

from pathlib import Path

from markupsafe import Markup

from lib.compare import cells, chart, claims, contrasts, gates, gradients, measures, radii, sentences, settings
from lib.compare.comparison import Comparison
from lib.compare.looks import looks
from lib.report import vega
from lib.report.page import headings
from lib.report.templates import environment

HERE = Path(__file__).parent


def render(compared: Comparison, drawn: chart.Drawn | None) -> str:
    """The page; `drawn` is its chart, where there is one."""
    found = looks([revision.name for revision in compared.revisions])
    known = {"revisions": compared.revisions, "looks": found, "outlines": vega.OUTLINES, "drawn": drawn}
    sections = _rendered("comparison_sections.html.j2", **known, **_made_with(compared), **_measured(compared), **_judged(compared))
    return _rendered("comparison.html.j2", **known, **_top(compared), sections=sections, places=headings(sections), style=vega.style(found))


def _rendered(template: str, **values: object) -> Markup:
    """A template beside this file, which may include those of the report."""
    return Markup(environment(HERE).get_template(template).render(**values))


def _top(compared: Comparison) -> dict[str, object]:
    """What differs, in words."""
    revisions = compared.revisions
    lost = {revision.name: revision.lost for revision in revisions if revision.lost}
    return {"dataset": revisions[0].dataset, "sentences": sentences.sentences(compared), "lost": lost}


def _made_with(compared: Comparison) -> dict[str, object]:
    revisions = compared.revisions
    return {
        "parameters": settings.parameters(revisions),
        "environments": settings.environments(revisions),
        "unrecorded": compared.without("environments"),
    }


def _measured(compared: Comparison) -> dict[str, object]:
    """Radii, accuracies, curves, gradients and what is left of report/summary.json."""
    steady = [row for row in compared.rows if row not in compared.moved]
    return {
        "radii": radii.table(compared),
        "tables": cells.accuracies(compared, compared.moved, len(compared.revisions)),
        "steady": cells.accuracies(compared, steady, 1),
        "names": [compared.rows[row] for row in steady],
        "curveless": compared.without("curves"),
        "gradients": gradients.table(compared),
        "unmeasured": compared.without("networks"),
        "measures": measures.table(compared),
        "unsummarised": compared.without("summary"),
    }


def _judged(compared: Comparison) -> dict[str, object]:
    """Verdicts that are not the same everywhere."""
    return {
        "gate": gates.gates(compared),
        "ungated": compared.without("gate"),
        "claims": claims.claims(compared),
        "unclaimed": compared.without("claims"),
        "contrasts": contrasts.contrasts(compared),
        "uncontrasted": compared.without("contrasts"),
        "rows": compared.rows,
    }
