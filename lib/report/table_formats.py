"""Table 1 as Markdown and as LaTeX."""

from collections.abc import Callable

from lib.report.columns import Column
from lib.report.tables import Cell, Line, Table

_MARKDOWN_MARKS = {"": "{}", "best": "**{}**", "second": "<u>{}</u>", "third": "\\*{}"}
_LATEX_MARKS = {"": "{}", "best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "third": "{}$^*$"}
_MARKDOWN_SPECIAL = str.maketrans({character: "\\" + character for character in "\\`*_|[]#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
_LATEX_SPECIAL = str.maketrans(
    {character: "\\" + character for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "∞": r"$\infty$"}
    | {"<": r"\textless{}", ">": r"\textgreater{}"}
)


def to_markdown(table: Table) -> str:
    """A Markdown table; below each value, in small print, the spread over seeds and the number in the paper."""
    heads = ["Technique", "Clean"] + [f"{escape_markdown(column.group)}<br>{column.threat}" for column in table.columns[1:]]
    lines = [f"**Table {table.number}.** {table.caption} *Paper*: the published value.", "", _piped(heads)]
    lines.append(_piped(["---"] + ["---:"] * (len(heads) - 1)))
    for line in table.lines:
        if line.header:
            lines.append(_piped([f"*{escape_markdown(line.header)}*"] + [""] * (len(heads) - 1)))
        lines.append(_piped([escape_markdown(line.technique)] + [_markdown_cell(cell) for cell in line.cells]))
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    """A LaTeX table that needs no package; spread and published numbers stand in lines of their own below the values."""
    span = len(table.columns) + 1
    body = [entry for line in table.lines for entry in _latex_lines(line, span)]
    groups = " & ".join(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(name)}}}" for name, width in table.column_groups)
    threats = " & ".join(_latex_threat(column) for column in table.columns[1:])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{escape_latex(table.caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"\hline",
            rf" & & {groups} \\",
            rf"Technique & Clean & {threats} \\",
            r"\hline",
            *body,
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


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


def _piped(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_cell(cell: Cell) -> str:
    said = "" if cell.published is None else f"paper {cell.published:.2f}"
    small = [f"<br><sub>{text}</sub>" for text in (cell.spread, said) if text]
    return _MARKDOWN_MARKS[cell.mark].format(cell.shown) + "".join(small)


def _latex_lines(line: Line, span: int) -> list[str]:
    marked = [_LATEX_MARKS[cell.mark].format(cell.shown) for cell in line.cells]
    found = [rf"\multicolumn{{{span}}}{{l}}{{\textit{{{escape_latex(line.header)}}}}} \\"] * bool(line.header)
    found.append(rf"{escape_latex(line.technique)} & {' & '.join(marked)} \\")
    found += _latex_below("seeds", line, lambda cell: escape_latex(cell.spread))
    return found + _latex_below("paper", line, lambda cell: "" if cell.published is None else f"{cell.published:.2f}")


def _latex_below(name: str, line: Line, text: Callable[[Cell], str]) -> list[str]:
    """A line of small print, left out where it would be empty."""
    entries = [text(cell) for cell in line.cells]
    small = [rf"{{\tiny {entry}}}" if entry else "" for entry in entries]
    return [rf"\quad{{\tiny {name}}} & {' & '.join(small)} \\"] if any(entries) else []


def _latex_threat(column: Column) -> str:
    norm = {"l2": r"\ell_2", "linf": r"\ell_\infty"}.get(column.norm, column.norm)
    return rf"${norm}$ {escape_latex(column.threat.split()[-1])}"
