"""The claims of the paper as a part of the page: each with the paper's own numbers, ours under every attack, and the verdicts."""

from markupsafe import Markup

from lib.report.claims import GRADIENTS, Claim, tally
from lib.report.contrasts import Contrast
from lib.report.results import Evidence
from lib.report.series import headline_column, headline_columns
from lib.report.templates import rendered


def to_html(found: list[Claim], family: list[Contrast], evidence: Evidence) -> Markup:
    """The table of the claims and how to read it; `family` are the contrasts that decided them. The colours are the page's."""
    columns = headline_columns(evidence)
    return rendered(
        "claims.html.j2",
        claims=found,
        gradients=GRADIENTS,
        attacks={name: column.called for name, column in columns.items()},
        tallies={name: tally(found, name) for name in columns},
        family=len(family) // len(columns),
        threat=headline_column(evidence).threat,
        images=images(family),
        seeds=len(evidence.seeds),
    )


def images(family: list[Contrast]) -> str:
    """On how many images the contrasts were made: `80`, or by attack where these differ."""
    counts = {contrast.column.called: contrast.images for contrast in family}
    if len(set(counts.values())) <= 1:
        return ", ".join(dict.fromkeys(map(str, counts.values())))
    return ", ".join(f"{count} ({name})" for name, count in counts.items())
