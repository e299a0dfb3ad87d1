"""The claims of the paper as a part of the page: each with the paper's own numbers, ours under every attack, and the verdicts."""

from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lib.report.claims import GRADIENTS, Claim, tally
from lib.report.columns import SEMANTICS
from lib.report.contrasts import Contrast
from lib.report.results import Evidence
from lib.report.series import headline_columns

TEMPLATE = Path(__file__).with_name("claims.html.j2")


def to_html(found: list[Claim], family: list[Contrast], evidence: Evidence) -> Markup:
    """The table of the claims and how to read it; `family` are the contrasts that decided them. The colours are the page's."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    columns = headline_columns(evidence)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(
        claims=found,
        gradients=GRADIENTS,
        attacks={name: SEMANTICS.get(name, name) for name in columns},
        tallies={name: tally(found, name) for name in columns},
        family=len(family) // len(columns),
        threat=next(iter(columns.values())).threat,
        images=images(family),
        seeds=len(evidence.seeds),
    )
    return Markup(text)


def images(family: list[Contrast]) -> str:
    """On how many images the contrasts were made: `80`, or by attack where these differ."""
    counts = {contrast.column.semantics: contrast.images for contrast in family}
    if len(set(counts.values())) <= 1:
        return ", ".join(dict.fromkeys(map(str, counts.values())))
    return ", ".join(f"{count} ({SEMANTICS.get(name, name)})" for name, count in counts.items())
