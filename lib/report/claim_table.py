"""The claims of the paper as a part of the page: each with the paper's own numbers, ours under every attack, and the verdicts."""

from markupsafe import Markup

from lib.report.claims import GRADIENTS, Claim, tally
from lib.report.results import Evidence
from lib.report.series import headline_column, headline_columns
from lib.report.templates import rendered


def to_html(claims: list[Claim], evidence: Evidence) -> Markup:
    """The table of the claims and how to read it. The colours are the page's."""
    columns = headline_columns(evidence)
    return rendered(
        "claims.html.j2",
        claims=claims,
        gradients=GRADIENTS,
        attacks={name: column.called for name, column in columns.items()},
        tallies={name: tally(claims, name) for name in columns},
        threat=headline_column(evidence).threat,
        images=evidence.images,
        seeds=len(evidence.seeds),
    )
