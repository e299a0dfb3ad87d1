"""The effects of the studies as Markdown tables, for readers who have the repository in front of them and not the report."""

from collections.abc import Mapping

import pandas as pd

from lib.report.effects import MEASURES, Change, Effect, changes, grouped
from lib.report.published_folder import Published, provenance
from lib.report.study_sentences import ranked, reading
from lib.report.table_formats import escape_markdown, piped


def document(published: Mapping[str, Published]) -> str:
    """The table of every study that has been published, with where it comes from."""
    studies = [one for one in published.values() if one.about.kind == "study"]
    parts = [f"## {one.about.name}\n\n{provenance(one.about)} {to_markdown(one.table)}" for one in studies]
    return "\n".join(["# Studies\n", *(parts or ["No study has been published; `make audit`, `make beyond` and `make matched` do so.\n"])])


def to_markdown(table: pd.DataFrame) -> str:
    """All variants of a study's table (lib/study_table.py): those without a base, then the others minus theirs, the largest effect on
    strict robust accuracy first; before the effects, what they reach under the strict attack, in percent.
    """
    found, levels = changes(table), table.groupby("variant")["robust"].mean()
    heads = ["variant", "strict attack, %", *(f"Δ {measure.title}" for measure in MEASURES.values())]
    labels, groups = dict(zip(table["variant"], table["label"])), grouped(table)
    based = {change.variant for change in found}
    empty = [""] * len(MEASURES)
    lines = [[_named(labels[name], group), _percent(levels[name]), *empty] for name, group in groups.items() if name not in based]
    lines += [_line(change, levels[change.variant]) for change in ranked(found)]
    return f"{reading(table)}\n\n{piped(heads, lines)}\n"


def _line(change: Change, level: float) -> list[str]:
    name = _named(change.label, f"{change.group}, against: {change.against}")
    return [name, _percent(level), *(_cell(change.effects[measure]) for measure in MEASURES)]


def _named(label: str, below: str) -> str:
    return f"{escape_markdown(label)}<br><sub>{escape_markdown(below)}</sub>"


def _percent(level: float) -> str:
    return f"{100 * level:.1f}"


def _cell(effect: Effect) -> str:
    shown = f"**{effect.shown}**" if effect.clear else effect.shown
    return f"{shown}{'†' * effect.withstands}" + (f"<br><sub>{effect.interval}</sub>" if effect.interval else "")
