"""The comparison as one self-contained page in the report's look, and in short for the terminal.

Sentences stand in comparison.html.j2 and comparison.txt.j2; here are the numbers, names and tables that are filled in.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from lib.compare.frames import ABSENT, differing, moved
from lib.compare.revision import TABLES, Revision
from lib.compare.samples import GRADIENTS
from lib.parallel import lineage
from lib.report.aligned import aligned
from lib.report.charts import curves, looks
from lib.report.charts import render as charts
from lib.report.charts.permutation import over_seeds
from lib.report.charts.render import Figure
from lib.report.comparisons import AHEAD
from lib.report.table import frame_html
from lib.report.templates import environment, look
from lib.report.wording import between, p_value, signed
from lib.statistics.columns import CLEAN, NORMS, Column

HERE = Path(__file__).parent
OF_GRADIENTS = dict(zip(GRADIENTS, ("norm of the label’s gradient", "cosine with the reference maps", "cosine with its own targets")))
Cells = dict[tuple[str, str], str]  # of one line, by the two heads of their columns


def render(revisions: Sequence[Revision], frames: Mapping[str, pd.DataFrame]) -> str:
    """The page as text; `frames` are those of lib/compare/frames.py."""
    figure = chart(revisions, frames)
    drawn = {"head": charts.head(), "figure": charts.html(figure)} if figure else {"head": "", "figure": ""}
    return _rendered("comparison.html.j2", facts=facts(revisions, frames), tables=tables(revisions, frames), **drawn)


def text(revisions: Sequence[Revision], frames: Mapping[str, pd.DataFrame]) -> str:
    """For the terminal: which rows differ, and what became of their mean radii and of their accuracies at the headline threat model."""
    changed, threat = frames["changes"], (revisions[0].params.get("report") or {}).get("figure_threat") or {}
    headline = _in_table(changed) & changed["norm"].eq(threat.get("norm")) & changed["epsilon"].eq(threat.get("epsilon"))
    lines = []
    for line in changed[~changed["same"] & (headline | changed["measure"].eq("radius"))].to_dict("records"):
        column, radius = Column(line["semantics"], line["attack"], line["norm"], line["epsilon"]), line["measure"] == "radius"
        name, digits, unit = (f"{NORMS[line['norm']]} radius", 3, "%") if radius else (f"{column.called}, {column.threat}", 1, "points")
        sure = [p_value(line["p_holm"]), AHEAD[line["verdict"]]] if isfinite(line["p_holm"]) else ["", ""]
        ends = f"{line['base']:.{digits}f} → {line['mean']:.{digits}f}"
        lines.append([f"{line['technique']}, {line['revision']}", name, ends, f"{_difference(line)} {unit}", *sure])
    return "\n".join([*said(revisions, frames), *(aligned(lines) if lines else [])])


def said(revisions: Sequence[Revision], frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """What page and terminal say in sentences."""
    changed = frames["changes"]
    late = [sentence for revision in revisions if (sentence := lineage.said(revision.outdated, f" in {revision.name}"))]
    kinds = set(changed.query("not same and measure in ['accuracy', 'radius']")["interval"])
    known = {"rows": changed["technique"].unique(), "moved": moved(changed), "late": late, "kinds": kinds}
    return _rendered("comparison.txt.j2", revisions=revisions, **known).splitlines()


def chart(revisions: Sequence[Revision], frames: Mapping[str, pd.DataFrame]) -> Figure | None:
    """The security curves, a chart per norm and a line per revision; the page chooses row and attack. None for fewer than two."""
    points, differ = frames["curves"], moved(frames["changes"])
    names = [revision.name for revision in revisions if len(revision.tables["curves"])]
    if len(names) < 2:
        return None
    order = sorted(points["row"].unique(), key=lambda row: row not in differ)
    rows = {row: row if row in differ else f"{row} (the same everywhere)" for row in order}
    labels = [outcomes.labels for revision in revisions for outcomes in revision.outcomes[:1]]
    chance, behind = 1 / len(np.unique(labels[0])) if labels else 0.0, {name: "" if place else "base" for place, name in enumerate(names)}
    drawn = curves.security(points, looks.of_names(names), chance, {"revision": "revision", "row": "row"}, {"row": rows}, behind)
    return Figure("security", drawn, f"Accuracy against the attack’s radius in {', '.join(names)}, a panel per norm, of one row at a time.")


def facts(revisions: Sequence[Revision], frames: Mapping[str, pd.DataFrame]) -> dict[str, object]:
    """Everything that the page says beside its tables and its figure."""
    rows, counts = frames["changes"]["technique"].unique(), {}
    for question, lines in frames["verdicts"].groupby("question", sort=False):
        sizes, asked = lines.groupby("key", sort=False).size(), lines["revision"].nunique()
        unlike = differing(lines, "verdict")["key"].nunique()
        counts[question] = {"shared": int((sizes > 1).sum()), "differ": unlike, "partial": int((sizes < asked).sum())}
    lacking = {table: [revision.name for revision in revisions if revision.tables[table].empty] for table in TABLES}
    return {
        "revisions": revisions,
        "said": said(revisions, frames),
        "steady": [row for row in rows if row not in moved(frames["changes"])],
        "counts": counts,
        "lacking": lacking | {"gate": [revision.name for revision in revisions if not revision.gate]},
    }


def tables(revisions: Sequence[Revision], frames: Mapping[str, pd.DataFrame]) -> dict[str, Markup]:
    """Every table of the page by its name; one that would be empty is absent."""
    changed, names = frames["changes"], [revision.name for revision in revisions]
    differ = changed["technique"].isin(moved(changed))
    listed = (revisions[0].params.get("threats") or {}).get("table") or []
    asked = [(threat["norm"], float(threat["epsilon"])) for threat in listed] + [(CLEAN.norm, CLEAN.epsilon)]
    shown = _in_table(changed) & np.array([threat in asked for threat in zip(changed["norm"], changed["epsilon"])])
    gradients = changed["measure"].isin(GRADIENTS)
    unlike = differ | changed["row"].isin(changed[gradients & ~changed["same"]]["row"])
    made = {
        "radii": _by_revision("Mean robust radii", changed[changed["measure"].eq("radius") & differ], _radius, names),
        "accuracies": _by_revision("Accuracies", changed[shown & differ], _accuracy, names),
        "steady": _by_revision("The same everywhere", changed[shown & ~differ & changed["revision"].eq(names[0])], _accuracy, names),
        "gradients": _by_revision("Gradients", changed[gradients & unlike], _gradient, names),
    }
    for question, lines in frames["settings"].groupby("question", sort=False):
        lines = differing(lines, "value", lines["revision"].nunique())
        made[question] = _side_by_side(str(question), lines, lines["key"], lines["value"], names)
    for question, lines in frames["verdicts"].groupby("question", sort=False):
        lines = differing(lines, "verdict")
        heads = [Markup("{}<small>{}</small>").format(name, detail) for name, detail in zip(lines["name"], lines["detail"])]
        made[question] = _side_by_side(str(question), lines, heads, map(_verdict, lines.to_dict("records")), names)
    return {name: table for name, table in made.items() if table}


def _by_revision(label: str, lines: pd.DataFrame, cells: Callable[[dict], Cells], names: Sequence[str]) -> Markup:
    """A group of lines per row, and in it a line per revision, marked as in the chart."""
    mark = Markup("<span class='mark' aria-hidden='true' style='color: light-dark({}, {})'>{}</span>{}")
    marks = {one.name: mark.format(one.light, one.dark, looks.SYMBOLS[one.shape], one.name) for one in looks.of_names(names)}
    made: dict[tuple[str, str], Cells] = {}
    for line in lines.to_dict("records"):
        made.setdefault((line["technique"], line["revision"]), {}).update(cells(line))
    frame = pd.DataFrame(list(made.values()), pd.Index([marks[revision] for _, revision in made], name="revision"), dtype=object)
    return frame_html(frame.fillna(ABSENT), label, [technique for technique, _ in made]) if made else Markup("")


def _side_by_side(label: str, lines: pd.DataFrame, heads: Iterable, cells: Iterable, names: Sequence[str]) -> Markup:
    """A line per key, and in it a cell per revision; its head is that of the first revision that has one."""
    made: dict[object, tuple[str, dict[str, str]]] = {}
    for key, revision, head, cell in zip(lines["key"], lines["revision"], heads, cells):
        made.setdefault(key, (head, {}))[1][revision] = cell
    frame = pd.DataFrame([cells for _, cells in made.values()], [head for head, _ in made.values()], names, dtype=object)
    return frame_html(frame.fillna(ABSENT), label) if made else Markup("")


def _radius(line: dict) -> Cells:
    mean = Markup("<span title='{} images, {} seeds'>{:.3f}</span>").format(line["n"], line["seeds"], line["mean"])
    cells = {"mean radius": mean, "difference, %": _difference(line), "p (Holm)": "", "": ""}
    if isfinite(line["p_holm"]):
        chip = Markup("<span class='verdict {}'>{}</span>").format(look(line["verdict"]), AHEAD[line["verdict"]])
        cells |= {"p (Holm)": p_value(line["p_holm"]), "": chip}
    return {(NORMS[line["norm"]], head): cell for head, cell in cells.items()}


def _accuracy(line: dict) -> Cells:
    column = Column(line["semantics"], line["attack"], line["norm"], line["epsilon"])
    own = f"95 % interval {line['low']:.1f} to {line['high']:.1f}; {line['n']} images, {line['seeds']} seeds"
    cell = Markup("<span title='{}'>{:.1f}</span>{}").format(own, line["mean"], _below(line, 1))
    return {("", "Clean") if column == CLEAN else (column.group, column.threat): cell}


def _gradient(line: dict) -> Cells:
    spread = " to ".join(f"{end:.3f}" for end in over_seeds(list(line["per_seed"].values()))) if line["seeds"] > 1 else ""
    return {("", OF_GRADIENTS[line["measure"]]): Markup("{:.3f}<small>{}</small>{}").format(line["mean"], spread, _below(line, 3))}


def _verdict(line: dict) -> Markup:
    if line["question"] != "gate":
        chip = Markup("<span class='verdict {}'>{}</span><small>{}</small><small>{}</small>")
        words = AHEAD[line["verdict"]] if line["question"] == "contrasts" else line["verdict"]
        return chip.format(look(line["verdict"]), words, line["numbers"], line["note"])
    light = Markup("<span class='light {}' aria-hidden='true'></span> {} {}<details><summary>why</summary>{}</details>")
    return light.format(line["verdict"].replace(" ", "-"), line["verdict"], line["numbers"], line["note"])


def _below(line: dict, digits: int) -> Markup:
    """The difference in small print, coloured where it is decided, and its interval."""
    estimate, _, ends = _difference(line, digits).partition(" ")
    return Markup("<small class='{}'>{}</small><small>{}</small>").format(look(line["verdict"]), estimate, ends)


def _difference(line: dict, digits: int = 1) -> str:
    """`+6.0 [+3.7, +8.2]`, `same`, or nothing of the base."""
    if not line["interval"] or line["same"]:
        return "same" if line["interval"] else ""
    ends = f" {between(line['low_difference'], line['high_difference'], digits)}" if isfinite(line["low_difference"]) else ""
    return f"{signed(line['difference'], digits)}{ends}"


def _in_table(changed: pd.DataFrame) -> pd.Series:
    """Which lines are accuracies that have columns in Table 1: transfer attacks and single steps are weaker than the others by design."""
    return changed["measure"].eq("accuracy") & changed["semantics"].ne("transfer") & changed["attack"].ne("fgsm")


def _rendered(template: str, **values: object) -> str:
    return environment(HERE).get_template(template).render(**values)
