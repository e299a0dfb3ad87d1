"""Table 1 as Markdown, as LaTeX and as a part of the page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd
from markupsafe import Markup

from lib.report.tables import Cell, Line, Table
from lib.report.templates import rendered
from lib.report.wording import signed
from lib.statistics.columns import CLEAN, Column
from lib.statistics.intervals import wilson

_MARKDOWN_MARKS = {"": "{}", "best": "**{}**", "second": "<u>{}</u>", "third": "\\*{}"}
_LATEX_MARKS = {"": "{}", "best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "third": "{}$^*$"}
_MARKDOWN_SPECIAL = str.maketrans({character: "\\" + character for character in "\\`*_|[]#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
_LATEX_SPECIAL = str.maketrans(
    {character: "\\" + character for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "∞": r"$\infty$"}
    | {"<": r"\textless{}", ">": r"\textgreater{}"}
)


@dataclass(frozen=True)
class Shown:
    """A cell of the page's table in words: `interval` is Wilson's 95 % over the test images, `difference` that to the `published` value;
    `title` is the tooltip; `first` where a new attack begins.
    """

    cell: Cell
    value: str
    interval: str
    published: str
    difference: str
    title: str
    first: bool


def to_html(table: Table) -> Markup:
    """The table as a part of the page, sortable by `sortable.script`, with what the paper printed and intervals on demand."""
    groups = [column.group for column in table.columns]
    firsts = [place > 0 and group != groups[place - 1] for place, group in enumerate(groups)]
    bodies = [
        (next((line.header for line in lines if line.header), ""), [(line, _line(line, table.columns, firsts)) for line in lines])
        for lines in (list(members) for _, members in groupby(table.lines, lambda line: line.group))
    ]
    columns = [(column, _name(column), first) for column, first in zip(table.columns, firsts)][1:]
    compared = any(cell.published is not None for line in table.lines for cell in line.cells)
    return rendered("table.html.j2", table=table, columns=columns, bodies=bodies, compared=compared)


def to_markdown(table: Table, origin: str = "") -> str:
    """A Markdown table; below each value, in small print, the spread over seeds and the number in the paper. `origin`: where its rows come
    from, for the caption.
    """
    heads = ["Technique", "Clean", f"all attacks together<br>{table.headline}"]
    heads += [f"{escape_markdown(column.group)}<br>{column.threat}" for column in table.columns[1:]]
    caption = " ".join([f"**Table {table.number}.** {table.caption} *Paper*: the published value.", *[origin] * bool(origin)])
    lines = []
    for line in table.lines:
        if line.header:
            lines.append([f"*{escape_markdown(line.header)}*"] + [""] * (len(heads) - 1))
        cells = [line.cells[0], line.worst, *line.cells[1:]]
        lines.append([escape_markdown(line.technique)] + [_markdown_cell(cell) for cell in cells])
    return f"{caption}\n\n{piped(heads, lines)}\n"


def piped(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown already; the first column is text, the others are numbers.

    >>> print(piped(["row", "clean"], [["JR", "**97.5**"]]))
    | row | clean |
    | --- | ---: |
    | JR | **97.5** |
    """
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, rule, *lines])


def to_latex(table: Table, origin: str = "") -> str:
    """A LaTeX table that needs no package: one block of lines per attack, as all of them side by side are wider than a page.

    Spread and published numbers stand in lines of their own below the values. `origin` as for `to_markdown`.
    """
    blocks = _blocks(table)
    threats = [_latex_threat(table.columns[index]) for index in blocks[0][1]] if blocks else []
    body = [entry for name, places in blocks for entry in _latex_block(table, name, places)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{escape_latex(chr(32).join(filter(None, [table.caption, origin])))}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(threats) + 1)}}}",
            r"\hline",
            rf"{' & '.join(['Technique', 'Clean', *threats])} \\",
            *body,
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def frame_to_latex(frame: pd.DataFrame) -> str:
    """Every line and column of a data frame as a LaTeX table over several pages; it needs the packages booktabs and longtable.

    >>> print(frame_to_latex(pd.DataFrame({"name": ["a_b"], "share": [0.12345]})).splitlines()[-2])
    a\\_b & 0.1235 \\\\
    """
    shown = frame.map(_latex_value).rename(columns=escape_latex)
    return shown.to_latex(index=False, escape=False, longtable=True)


def _latex_value(value: object) -> str:
    missing = value is None or value != value
    return "" if missing else f"{value:.4g}" if isinstance(value, float) else escape_latex(str(value))


def escape_markdown(text: str) -> str:
    """`text` so that Markdown shows it as it is.

    >>> print(escape_markdown("a_b|c"))
    a\\_b\\|c
    """
    return text.translate(_MARKDOWN_SPECIAL)


def escape_latex(text: str) -> str:
    """`text` so that LaTeX prints it as it is.

    >>> print(escape_latex("5 % of a_b"))
    5 \\% of a\\_b
    """
    return text.translate(_LATEX_SPECIAL)


def _line(line: Line, columns: tuple[Column, ...], firsts: list[bool]) -> list[Shown]:
    """The cells in the order of the page: clean, all attacks together, then attack by attack."""
    clean, *rest = (_shown(*cell) for cell in zip(line.cells, map(_name, columns), firsts))
    return [clean, _shown(line.worst, "all attacks together", False), *rest]


def _shown(cell: Cell, name: str, first: bool) -> Shown:
    digits = len(cell.shown.partition(".")[2])
    low, high = wilson(cell.mean / 100, cell.images)
    interval = f"[{100 * low:.{digits}f}, {100 * high:.{digits}f}]"
    published = "" if cell.published is None else f"{cell.published:.2f}"
    difference = "" if cell.published is None else signed(cell.mean - cell.published)
    parts = [f"{name}: {cell.shown} %", f"over {cell.images} images {interval} (95 %, Wilson)"]
    parts += [f"over the seeds {cell.spread}"] * bool(cell.spread) + [f"paper {published}, difference {difference}"] * bool(published)
    return Shown(cell, f"{cell.mean:.4f}", interval, published, difference, "; ".join(parts), first)


def _name(column: Column) -> str:
    return "clean" if column == CLEAN else f"{column.group}, {column.threat}"


def _markdown_cell(cell: Cell) -> str:
    said = "" if cell.published is None else f"paper {cell.published:.2f}"
    small = [f"<br><sub>{text}</sub>" for text in (cell.spread, said) if text]
    return _MARKDOWN_MARKS[cell.mark].format(cell.shown) + "".join(small)


def _blocks(table: Table) -> list[tuple[str, list[int]]]:
    """Every attack's name, with where its columns are."""
    places = range(1, len(table.columns))
    return [(name, [place for place in places if table.columns[place].group == name]) for name, _ in table.column_groups]


def _latex_block(table: Table, name: str, places: list[int]) -> list[str]:
    """The lines of one attack, below its name; the clean accuracies stand in the first block only."""
    first = 0 if places[0] == 1 else None
    span = len(places) + 2
    found = [r"\hline", rf"\multicolumn{{{span}}}{{l}}{{{escape_latex(name)}}} \\", r"\hline"]
    for line in table.lines:
        found += _latex_lines(line, [None if place is None else line.cells[place] for place in (first, *places)], span)
    return found


def _latex_lines(line: Line, cells: list[Cell | None], span: int) -> list[str]:
    marked = ["" if cell is None else _LATEX_MARKS[cell.mark].format(cell.shown) for cell in cells]
    found = [rf"\multicolumn{{{span}}}{{l}}{{\textit{{{escape_latex(line.header)}}}}} \\"] * bool(line.header)
    found.append(rf"{escape_latex(line.technique)} & {' & '.join(marked)} \\")
    found += _latex_below("seeds", cells, lambda cell: escape_latex(cell.spread))
    return found + _latex_below("paper", cells, lambda cell: "" if cell.published is None else f"{cell.published:.2f}")


def _latex_below(name: str, cells: list[Cell | None], text: Callable[[Cell], str]) -> list[str]:
    """A line of small print, left out where it would be empty."""
    entries = ["" if cell is None else text(cell) for cell in cells]
    small = [rf"{{\tiny {entry}}}" if entry else "" for entry in entries]
    return [rf"\quad{{\tiny {name}}} & {' & '.join(small)} \\"] if any(entries) else []


def _latex_threat(column: Column) -> str:
    norm = {"l2": r"\ell_2", "linf": r"\ell_\infty"}.get(column.norm, column.norm)
    return rf"${norm}$ {escape_latex(column.threat.split()[-1])}"
