"""The effects of the studies as Markdown tables, for readers who have the repository in front of them and not the report."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.report.effects import Change, Effect, grouped, measures, outcome
from lib.report.published_folder import Published, provenance
from lib.report.studies import Line, line
from lib.report.study_sentences import ranked, reading
from lib.report.table_formats import escape_markdown, piped


def document(published: Mapping[str, Published], effects: Mapping[str, Sequence[Change]]) -> str:
    """The table of every study that has been published, with where it comes from and its `effects`."""
    parts = [f"## {name}\n\n{provenance(published[name].about)} {_table(published[name].table, found)}" for name, found in effects.items()]
    return "\n".join(["# Studies\n", *(parts or ["No study has been published; `make audit`, `make beyond` and `make matched` do so.\n"])])


def _table(table: pd.DataFrame, found: Sequence[Change]) -> str:
    """All variants of a study's table: those without a base, then the others minus theirs, the largest effect on what the study is about
    first; before the effects, what they reach in that.
    """
    known = measures(table)
    heads = ["variant", known[outcome(known)].title, *(f"Δ {measure.title}" for measure in known.values())]
    labels, groups = dict(zip(table["variant"], table["label"])), grouped(table)
    by_name = {change.variant: change for change in ranked(found)}
    order = [name for name in groups if name not in by_name] + list(by_name)
    lines = [_line(line(table, name, by_name.get(name), labels), groups[name]) for name in order]
    return f"{reading(table)}\n\n{piped(heads, lines)}\n"


def _line(shown: Line, group: str) -> list[str]:
    below = f"{group}, against: {shown.base}" if shown.base else group
    name = f"{escape_markdown(shown.label)}<br><sub>{escape_markdown(below)}</sub>"
    return [name, shown.cells[outcome(shown.cells)].level, *(_cell(cell.effect) for cell in shown.cells.values())]


def _cell(effect: Effect | None) -> str:
    if effect is None:
        return ""
    shown = f"**{effect.shown}**" if effect.clear else effect.shown
    return f"{shown}{'†' * effect.withstands}" + (f"<br><sub>{effect.interval}</sub>" if effect.interval else "")
