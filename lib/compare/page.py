"""The comparison as one self-contained page in the report's look: what differs, in words first, then in tables and curves."""

import re
from pathlib import Path

from markupsafe import Markup

from lib.compare import cells, claims, contrasts, gates, gradients, radii, sentences, settings
from lib.compare.comparison import Comparison
from lib.report.charts import render as charts
from lib.report.charts.looks import SYMBOLS, of_names
from lib.report.charts.render import Figure
from lib.report.templates import environment

HERE = Path(__file__).parent


def render(compared: Comparison, drawn: Figure | None) -> str:
    """The page; `drawn` is its chart, where there is one."""
    looks = of_names([revision.name for revision in compared.revisions])
    known = {"revisions": compared.revisions, "looks": looks, "symbols": SYMBOLS, "drawn": drawn and charts.html(drawn)}
    sections = _rendered("comparison_sections.html.j2", **known, **_made_with(compared), **_measured(compared), **_judged(compared))
    return _rendered(
        "comparison.html.j2", **known, **_top(compared), sections=sections, places=headings(sections), head=charts.head() if drawn else ""
    )


def headings(text: str) -> list[tuple[str, str]]:
    """Id and words of every second-level heading, for the list at the top.

    >>> headings('<h2 id="gate">The gate</h2><h2>no id</h2>')
    [('gate', 'The gate')]
    """
    return [(place, Markup(words).unescape()) for place, words in re.findall(r'<h2 id="([^"]+)">([^<]+)</h2>', text)]


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
    """Radii, accuracies, curves and gradients."""
    steady = [row for row in compared.rows if row not in compared.moved]
    return {
        "radii": radii.table(compared),
        "tables": cells.accuracies(compared, compared.moved, len(compared.revisions)),
        "steady": cells.accuracies(compared, steady, 1),
        "names": [compared.rows[row] for row in steady],
        "curveless": compared.without("curves"),
        "gradients": gradients.table(compared),
        "unmeasured": compared.without("networks"),
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
