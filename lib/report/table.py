"""Tables: Table 1 (Table 2 on CIFAR-10) as one frame, written as HTML, Markdown and LaTeX, and any other frame as HTML or LaTeX."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite, nan

import numpy as np
import pandas as pd
from markupsafe import Markup

from lib.report import published
from lib.report.aligned import aligned
from lib.report.results import Evidence, in_both, labels
from lib.report.series import headline
from lib.report.templates import rendered
from lib.report.wording import signed
from lib.report.worst_case import unbroken
from lib.statistics.columns import CLEAN, Column, at_threat, per_seed, table_columns
from lib.statistics.intervals import t_half_width, wilson

MARKS = ("best", "second", "third")
ENOUGH_FOR_TWO_DECIMALS = 5000
WORST = "all attacks together"
COLUMNS = ["group", "technique", "semantics", "attack", "norm", "epsilon", "accuracy_percent", "rank", "low", "high", "published_percent",
           "difference", "paper_minus_strict", "n", "seeds"]  # fmt: skip
_SPECIAL = str.maketrans({character: "\\" + character for character in "\\`*_|[]#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "\\": r"\textbackslash{}",
          "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "−": "$-$", "∞": r"$\infty$", "λ": r"$\lambda$",
          "’": "'", "“": "``", "”": "''", "…": r"\ldots{}", "→": r"$\to$", "×": r"$\times$", "<": r"\textless{}", ">": r"\textgreater{}",
          "²": "$^2$", "φ": r"$\varphi$", "†": r"$\dagger$"}  # fmt: skip
Cell = Callable[[Mapping], str]  # a line of the frame as text


def build(evidence: Evidence) -> pd.DataFrame:
    """One line per row whose list of threat models is `table` and per column, with `COLUMNS`, in percent.

    `low` to `high` is what the training seeds say: a t interval from three on, both values of two, nothing of one. `rank` marks the three
    highest displayed values of a column within a group. `paper_minus_strict` stands on the lines of the strict attack: what it takes away,
    on the images that both were tried on. After the clean line of each row stands what no attack of any kind broke at the headline threat
    model. `attrs` holds the `number` of the paper's table.
    """
    columns, names = table_columns(evidence.accuracies), labels(evidence.rows)
    lines = []
    for key, row in evidence.rows.items():
        if row.threats == "table":
            worst = Column(WORST, "all", headline().norm, headline().epsilon)
            whole = unbroken(evidence, key, headline().norm, headline().epsilon).mean(1)
            cells = [(column, 100 * per_seed(evidence.accuracies, names[key], column).to_numpy()) for column in columns]
            for column, values in [cells[0], (worst, 100 * whole), *cells[1:]]:
                scores = evidence.per_image.get((names[key], column))
                images = evidence.images if scores is None else int((~np.isnan(scores)).sum())
                said = published.percent(evidence.dataset, row, column)
                mean = float(np.mean(values))
                lines.append(
                    {"group": row.group, "technique": row.technique, **place(column), "accuracy_percent": round(mean, 4), "rank": ""}
                    | dict(zip(("low", "high"), _spread(values)))
                    | {"published_percent": nan if said is None else said, "difference": nan if said is None else round(mean - said, 4)}
                    | {"paper_minus_strict": _taken(evidence, names[key], column), "n": images, "seeds": len(evidence.seeds)}
                )
    found = _ranked(pd.DataFrame(lines, columns=COLUMNS))
    found.attrs["number"] = 2 if evidence.dataset == "cifar10" else 1
    return found


def decimals(images: int, seeds: int) -> int:
    """Decimals of a percentage that the number of images can carry.

    >>> decimals(128, 2), decimals(10000, 1)
    (1, 2)
    """
    return 2 if images * seeds >= ENOUGH_FOR_TWO_DECIMALS else 1


def html(table: pd.DataFrame, label: str) -> Markup:
    """Table 1 for the page: what the paper printed stands in small print of the class `published`, as `spread` and `interval` do."""
    return frame_html(_wide(table, _html_cell), label, table["group"].tolist()[:: _width(table)])


def taken(table: pd.DataFrame) -> pd.DataFrame:
    """What the strict attack takes away from the paper's, in points: rows by threat models, as words."""
    lines = table[table["semantics"] == "strict"].dropna(subset="paper_minus_strict")
    words = lines.assign(
        threat=[_head(line)[1] for line in lines.to_dict("records")],
        row=[_name(*place) for place in zip(lines["group"], lines["technique"])],
        words=[signed(-points + 0.0) for points in lines["paper_minus_strict"]],
    )
    return words.pivot_table(index="row", columns="threat", values="words", aggfunc="first", sort=False).rename_axis("Technique")


def caption(evidence: Evidence) -> dict[str, object]:
    """What the caption says in numbers; `fewer`: attacks that were tried on fewer images, and on how many."""
    low, high = wilson(0.5, evidence.images)
    counts: dict[str, int] = {}
    for (_, column), scores in evidence.per_image.items():
        if column in table_columns(evidence.accuracies):
            counts[column.group] = max(counts.get(column.group, 0), int((~np.isnan(scores)).sum()))
    fewer = {group: count for group, count in counts.items() if count < evidence.images}
    return {"images": evidence.images, "dataset": evidence.dataset, "seeds": len(evidence.seeds), "fewer": fewer, "half": 50 * (high - low)}


def markdown(table: pd.DataFrame, caption: str) -> str:
    """A Markdown table below its caption; below each value, in small print, the spread over seeds and the number in the paper."""
    wide = _wide(table, _markdown_cell)
    heads = ["Technique", *("<br>".join(filter(None, map(escape_markdown, head))) for head in wide.columns)]
    lines = [[escape_markdown(_name(group, technique)), *cells] for (group, technique), cells in zip(wide.index, wide.to_numpy().tolist())]
    return f"{caption}\n\n{piped(heads, lines)}\n"


def latex(table: pd.DataFrame, caption: str) -> str:
    """A LaTeX table that needs no package: one block of lines per attack, as all of them side by side are wider than a page."""
    wide = _wide(table, _latex_cell)
    wide.index = [escape_latex(_name(*place)) for place in wide.index]
    parts = []
    for attack in dict.fromkeys(wide.columns.get_level_values(0)):
        block = wide[attack] if attack else wide[[("", "Clean")]].droplevel(0, axis=1)
        block.columns = [escape_latex(head) for head in block.columns]
        body = block.style.to_latex(column_format=f"l{'r' * block.shape[1]}")
        parts.append(f"\\par\\smallskip {escape_latex(attack or 'no attack')}\\par\n{body}")
    head = "\\begin{table}\n\\centering\\scriptsize\\setlength{\\tabcolsep}{3pt}\n"
    return f"{head}\\caption{{{escape_latex(caption)}}}\n{''.join(parts)}\\end{{table}}\n"


def text(table: pd.DataFrame) -> str:
    """A line per row; under each threat model the accuracies under all attacks, in their order: `50.6/40.0`."""
    wide = _wide(table[table["semantics"] != WORST], _value)
    threats = list(dict.fromkeys(wide.columns.get_level_values(1)))
    attacks = "/".join(filter(None, dict.fromkeys(wide.columns.get_level_values(0))))
    lines = [["/".join(wide.iloc[place].xs(threat, level=1)) for threat in threats] for place in range(len(wide))]
    title = f"Table {number_of(table)}. Accuracy in %, {attacks}; {table['n'].max()} test images, {table['seeds'].max()} seeds"
    return "\n".join([title, *aligned([["", *threats], *([_name(*place), *line] for place, line in zip(wide.index, lines))])])


def frame_html(frame: pd.DataFrame, label: str, groups: Sequence[object] = ()) -> Markup:
    """Any frame as a sortable table of the page, its index as the heads of the rows; cells that are `Markup` stay as they are.

    Args:
        label: what the table is called by a screen reader.
        groups: the group of every row, above whose first one its name stands.
    """
    levels = [[str(level) for level in (head if isinstance(head, tuple) else (head,))] for head in frame.columns]
    spans = []
    for level in range(len(levels[0]) if levels else 0):
        names = [head[level] for head in levels]
        if level < len(levels[0]) - 1:
            starts = [place for place, name in enumerate(names) if place == 0 or name != names[place - 1]]
            spans.append([(names[start], end - start, "") for start, end in zip(starts, [*starts[1:], len(names)])])
        else:
            spans.append([(name, 1, ", ".join(filter(None, head))) for name, head in zip(names, levels)])
    rows = [(index[-1] if isinstance(index, tuple) else index, cells) for index, cells in zip(frame.index, frame.to_numpy().tolist())]
    bodies: list[tuple[str, list]] = []
    for row, group in zip(rows, groups or [""] * len(rows)):
        name = "" if group in (None, published.NO_GROUP) or group != group else str(group)
        if not bodies or bodies[-1][0] != name:
            bodies.append((name, []))
        bodies[-1][1].append(row)
    corner = str(frame.index.names[-1] or "")
    return rendered("frame.html.j2", label=label, heads=spans, bodies=bodies, width=len(levels) + 1, corner=corner)


def frame_latex(frame: pd.DataFrame) -> str:
    """Every line and column of a frame as a LaTeX table over several pages; it needs the packages booktabs and longtable.

    >>> print(frame_latex(pd.DataFrame({"name": ["a_b"], "share": [0.12345]})).splitlines()[-2])
    a\\_b & 0.1235 \\\\
    """
    shown = frame.map(lambda value: f"{value:.4g}" if isinstance(value, float) and value == value else _latex_text(value))
    return shown.rename(columns=escape_latex).to_latex(index=False, escape=False, longtable=True)


def piped(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown already; the first column is text, the others are numbers.

    >>> print(piped(["row", "clean"], [["JR", "**97.5**"]]))
    | row | clean |
    | --- | ---: |
    | JR | **97.5** |
    """
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, rule, *lines])


def escape_markdown(text: str) -> str:
    """`text` so that Markdown shows it as it is.

    >>> print(escape_markdown("a_b|c"))
    a\\_b\\|c
    """
    return text.translate(_SPECIAL)


def escape_latex(text: str) -> str:
    """`text` so that LaTeX prints it as it is.

    >>> print(escape_latex("5 % of a_b"))
    5 \\% of a\\_b
    """
    return "".join(_LATEX.get(character, character) for character in text)


def number_of(table: pd.DataFrame) -> int:
    """Which table of the paper the rows of `build` stand in."""
    return int(table.attrs["number"])


def _latex_text(value: object) -> str:
    return "" if value is None or value != value else escape_latex(str(value))


def place(column: Column) -> dict[str, object]:
    """The cells of a line that say which column it is."""
    epsilon = nan if column == CLEAN else column.epsilon
    return {"semantics": column.semantics, "attack": column.attack, "norm": column.norm, "epsilon": epsilon}


def _taken(evidence: Evidence, name: str, column: Column) -> float:
    weaker = at_threat(evidence.accuracies, column.norm, column.epsilon).get("paper") if column.semantics == "strict" else None
    if weaker is None:
        return nan
    before, after = evidence.per_image[name, weaker], evidence.per_image[name, column]
    return round(100 * float((before - after)[in_both(before, after)].mean()), 4)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 3:
        return (round(min(values), 4), round(max(values), 4)) if len(values) == 2 else (nan, nan)
    mean, half = float(np.mean(values)), t_half_width(list(values))
    return round(mean - half, 4), round(mean + half, 4)


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """With the marks of each attacked column within each group of two rows or more; equal displayed values share one."""
    shown = pd.Series([float(_value(line)) for line in table.to_dict("records")], index=table.index, dtype=float)
    keys = [table[name] for name in ("semantics", "attack", "norm", "epsilon")]
    ranks = shown.groupby([table["group"].fillna(""), *keys]).rank("dense", ascending=False)
    counts = shown.groupby([table["group"].fillna(""), *keys]).transform("size")
    marked = (table["attack"] != "clean") & (counts > 1) & (ranks <= len(MARKS))
    return table.assign(rank=[MARKS[int(rank) - 1] if mark else "" for rank, mark in zip(ranks, marked)])


def _wide(table: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """Rows by columns: the index holds group and technique, the columns attack and threat model, the cells what `cell` makes of a line."""
    lines = table.to_dict("records")
    width = _width(table)
    columns = pd.MultiIndex.from_tuples([_head(line) for line in lines[:width]])
    index = pd.MultiIndex.from_tuples([(line["group"], line["technique"]) for line in lines[::width]], names=["", "Technique"])
    return pd.DataFrame(np.array([cell(line) for line in lines], dtype=object).reshape(-1, width), index, columns)


def _width(table: pd.DataFrame) -> int:
    return len(table[["semantics", "attack", "norm", "epsilon"]].drop_duplicates())


def _head(line: Mapping) -> tuple[str, str]:
    if line["attack"] == "clean":
        return "", "Clean"
    column = Column(line["semantics"], line["attack"], line["norm"], line["epsilon"])
    return (WORST if line["semantics"] == WORST else column.group), column.threat


def _name(group: object, technique: str) -> str:
    return f"{technique} [{group}]" if _grouped(group) else technique


def _grouped(group: object) -> bool:
    return isinstance(group, str) and group not in ("", published.NO_GROUP)


def _value(line: Mapping) -> str:
    if not isfinite(line["accuracy_percent"]):
        return "missing"
    return f"{line['accuracy_percent']:.{decimals(line['n'], line['seeds'])}f}"


def _seeds(line: Mapping) -> str:
    """What the seeds say: `±5.0`, `40.0 / 46.0` of two, nothing of one."""
    digits = decimals(line["n"], line["seeds"])
    if not isfinite(line["low"]):
        return ""
    if line["seeds"] == 2:
        return f"{line['low']:.{digits}f} / {line['high']:.{digits}f}"
    return f"±{(line['high'] - line['low']) / 2:.{digits}f}"


def _html_cell(line: Mapping) -> Markup:
    if not line["n"]:
        said = f"<small class=published>{line['published_percent']:.2f}</small>" if isfinite(line["published_percent"]) else ""
        return Markup(f"<em>{_value(line)}</em>{said}")
    marked = {"best": "<strong>{}</strong>", "second": "<u>{}</u>", "third": "{}<sup>*</sup>"}.get(line["rank"], "{}").format(_value(line))
    digits = decimals(line["n"], line["seeds"])
    low, high = wilson(line["accuracy_percent"] / 100, line["n"])
    parts = [f"<small class=spread>{_seeds(line)}</small>"] * bool(_seeds(line))
    parts.append(f"<small class=interval>[{100 * low:.{digits}f}, {100 * high:.{digits}f}]</small>")
    if isfinite(line["published_percent"]):
        parts.append(f"<small class=published>{line['published_percent']:.2f}<br>{signed(line['difference'])}</small>")
    return Markup(marked + "".join(parts))


def _markdown_cell(line: Mapping) -> str:
    marked = {"best": "**{}**", "second": "<u>{}</u>", "third": "\\*{}"}.get(line["rank"], "{}").format(_value(line))
    said = f"paper {line['published_percent']:.2f}" if isfinite(line["published_percent"]) else ""
    return marked + "".join(f"<br><sub>{words}</sub>" for words in (_seeds(line), said) if words)


def _latex_cell(line: Mapping) -> str:
    marked = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "third": "{}$^*$"}.get(line["rank"], "{}").format(_value(line))
    said = f"paper {line['published_percent']:.2f}" if isfinite(line["published_percent"]) else ""
    return marked + "".join(rf" {{\tiny {escape_latex(words)}}}" for words in (_seeds(line), said) if words)
