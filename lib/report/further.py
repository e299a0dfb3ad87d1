"""Everything on the page that was published and is not made by this pipeline: studies and larger runs."""

from pathlib import Path

from markupsafe import Markup

from lib.report import larger_runs, studies
from lib.report.effects import Change
from lib.report.published_folder import Published, runs
from lib.report.templates import rendered

# How each part is made, for the sentence that stands where it is not there.
MADE_BY = {
    "audit": "the audit of unwritten choices (make audit)",
    "beyond": "what lies beyond the paper (make beyond)",
    "matched": "the comparison at matched validation loss (make matched)",
    "runs": "larger runs (docs/how-to/publish-results.md)",
}


def section(published: dict[str, Published], effects: dict[str, list[Change]], folder: Path) -> Markup:
    """The sections as one part of the page; `folder` receives their pictures."""
    parts: dict[str, object] = {"audit": "", "beyond": "", "matched": ""}
    if effects.get("audit"):
        parts["audit"] = studies.audit_section(published["audit"], effects["audit"], folder)
    if effects.get("beyond"):
        parts["beyond"] = studies.beyond_section(published["beyond"], effects["beyond"], folder)
    if effects.get("matched"):
        parts["matched"] = studies.matched_section(published["matched"], effects["matched"])
    parts["runs"] = [larger_runs.section(run) for run in runs(published)]
    left_out = [words for name, words in MADE_BY.items() if not parts[name]]
    return rendered("further.html.j2", left_out=left_out, **parts)
