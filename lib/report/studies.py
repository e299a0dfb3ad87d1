"""The published studies as tables: every variant with what it reaches and how far it lies from its base."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from markupsafe import Markup, escape

from lib.base.errors import require
from lib.report import published_folder
from lib.report.comparisons import STUDIED, Comparison, grouped, outcome, studied
from lib.report.published_folder import Published
from lib.report.table import escape_markdown, piped
from lib.report.templates import environment
from lib.report.wording import interval
from lib.statistics.columns import Column

Cell = Callable[[str, Comparison | None], str]  # a mean over the seeds, and how far it lies from that of the base


def of_studies(published: Mapping[str, Published]) -> dict[str, Published]:
    """Those of what was published that are studies."""
    return {name: study for name, study in published.items() if study.about.kind == "study"}


def table(study: Published, compared: Sequence[Comparison], cell: Cell) -> pd.DataFrame:
    """A line per variant and a column per measure: those that others are compared with, then the largest effect on the outcome first.

    The index holds group, label and what the variant is compared with. A study that matched validation loss has four columns more.
    """
    mine = {(line.pair.first, line.measure): line for line in compared if line.experiment == study.about.name}
    about, groups = outcome(studied(study.table)), grouped(study.table)
    order = sorted(groups, key=lambda name: -mine[name, about].size if (name, about) in mine else float("-inf"))
    lines = {str(name): lines for name, lines in study.table.groupby("variant", sort=False)}
    cells = [_searched(study, lines[name]) | _cells(lines[name], name, mine, cell) for name in order]
    labels = {name: str(part["label"].iloc[0]) for name, part in lines.items()}
    index = [(groups[name], mine[name, about].techniques[1] if (name, about) in mine else "", labels[name]) for name in order]
    return pd.DataFrame(cells, pd.MultiIndex.from_tuples(index, names=["", "", "variant"]))


def in_html(level: str, line: Comparison | None) -> Markup:
    """A cell of the page: intervals that exclude no effect are of the class `clear`, † is for those that withstand the correction."""
    words = escape(_words(line)) if line else ""
    kind = " class=clear" if line and line.contrast.clear else ""
    return Markup(f"{level}<small{kind}>{words}</small>" if words else level)


def in_markdown(level: str, line: Comparison | None) -> str:
    """A cell of studies.md, the same in bold."""
    if line is None:
        return level
    words = f"**{_words(line)}**" if line.contrast.clear else _words(line)
    return f"{level}<br><sub>{words}</sub>"


def document(published: Mapping[str, Published], compared: Sequence[Comparison]) -> str:
    """studies.md: the table of every study, for readers who have the repository in front of them and not the report."""
    parts = [facts(study) | {"table": Markup(_markdown(table(study, compared, in_markdown)))} for study in of_studies(published).values()]
    return environment().get_template("studies.md.j2").render(studies=parts)


def facts(study: Published) -> dict[str, object]:
    """What the sentences about a study say of how it was measured."""
    first, called = study.table.iloc[0], dict(zip(study.table["variant"], study.table["label"]))
    return {
        "about": study.about,
        "missing": published_folder.missing(study),
        "unfinished": [called[name] for name in study.unfinished],
        "notes": study.notes,
        "seeds": int(study.table["seed"].nunique()),
        "images": int(first["n_attacked"]),
        "clean_images": int(first["n_clean"]),
        "threat": Column("", "", first["norm"], first["epsilon"]).threat,
    }


def _cells(lines: pd.DataFrame, name: str, compared: Mapping[tuple[str, str], Comparison], cell: Cell) -> dict[str, str]:
    means = {measure: STUDIED[measure].factor * lines[measure].mean() for measure in studied(lines)}
    levels = {measure: f"{mean:.{STUDIED[measure].digits}f}".replace("-", "−") for measure, mean in means.items()}
    return {STUDIED[measure].title: cell(level, compared.get((name, measure))) for measure, level in levels.items()}


def _words(line: Comparison) -> str:
    digits = 2 if not line.unit else 1
    return f"{interval(line.contrast, digits)}{' %' if line.unit == '%' else ''}{' †' if line.contrast.decided else ''}"


def _searched(study: Published, lines: pd.DataFrame) -> dict[str, str]:
    """What the search for the same validation loss found, seed by seed; nothing of another study."""
    if study.about.name != "matched":
        return {}
    needed = {"strength", "trials", "wanted_loss", "matched"}
    require(needed <= set(lines.columns), f"the table of the study matched must have the columns {', '.join(sorted(needed))}")
    scale = study.document["variants"][lines["variant"].iloc[0]].get("scale", [])
    return {
        "times": ", ".join(key.rpartition(".")[2] for key in scale),
        "strength": " ".join(f"{value:.3g}" for value in lines["strength"]),
        "validation loss (wanted)": " ".join(f"{a:.3f} ({b:.3f})" for a, b in zip(lines["validation_loss"], lines["wanted_loss"])),
        "trainings": str(int(lines["trials"].sum())),
        "matched": f"{int((lines['matched'] > 0).sum())} of {len(lines)}",
    }


def _markdown(shown: pd.DataFrame) -> str:
    names = [
        f"{escape_markdown(label)}<br><sub>{escape_markdown(f'{group}, against: {base}' if base else group)}</sub>"
        for group, base, label in shown.index
    ]
    return piped(["variant", *shown.columns], [[name, *cells] for name, cells in zip(names, shown.to_numpy().tolist())])
