"""The comparison as one self-contained page: what differs, in words first, then in tables and curves."""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lib.compare import contrasts, sentences, settings
from lib.compare.comparison import Comparison
from lib.compare.differences import Change
from lib.compare.scores import Scores
from lib.report.columns import CLEAN, Column
from lib.report.findings import signed
from lib.report.statistics import wilson

TEMPLATE = "comparison.html.j2"


@dataclass(frozen=True)
class Cell:
    """An accuracy in words: `value` in percent, the `difference` to the base in points, the interval of each, and how it is shown."""

    value: str
    interval: str
    difference: str
    apart: str
    look: str


@dataclass(frozen=True)
class Table:
    """One attack: its threat models, and for each row a line of cells per revision."""

    name: str
    heads: list[str]
    rows: list[tuple[str, list[tuple[str, list[Cell | None]]]]]


def render(compared: Comparison, picture: Path | None, drawn: list[str]) -> str:
    """The page; `picture` is an SVG file with the curves of the rows called `drawn`."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    revisions, steady = compared.revisions, [row for row in compared.rows if row not in compared.moved]
    return environment.get_template(TEMPLATE).render(
        revisions=revisions,
        dataset=revisions[0].dataset,
        sentences=sentences.sentences(compared),
        lost={revision.name: revision.lost for revision in revisions if revision.lost},
        parameters=settings.parameters(revisions),
        environments=settings.environments(revisions),
        recorded=[revision.name for revision in revisions if len(revision.environments)],
        measures=settings.measures(revisions, compared.moved),
        tables=tables(compared, compared.moved, len(revisions)),
        steady=tables(compared, steady, 1),
        names=[compared.rows[row] for row in steady],
        contrasts=contrasts.contrasts(compared),
        picture=inlined(picture) if picture else None,
        drawn=drawn,
    )


def inlined(picture: Path) -> Markup:
    """The SVG as an element of the page, without the header of a file of its own."""
    return Markup("<svg" + picture.read_text(encoding="utf-8").partition("<svg")[2])


def tables(compared: Comparison, rows: list[str], revisions: int) -> list[Table]:
    """A table per attack with columns in the paper's threat models, of `rows` in the first so many revisions."""
    found = []
    for (semantics, attack), columns in _attacks(compared).items():
        name = columns[-1].called if semantics == "autoattack" else f"{columns[-1].called} ({attack})".capitalize()
        lines = [(compared.rows[row], [_line(compared, row, columns, place) for place in range(revisions)]) for row in rows]
        found.append(Table(name, ["clean", *(column.threat for column in columns[1:])], lines))
    return found if rows else []


def cell(found: Scores | None, change: Change | None) -> Cell | None:
    """An accuracy, with its difference to the base if it has one."""
    if found is None:
        return None
    low, high = wilson(found.mean, found.n)
    interval = (
        f"{100 * found.mean:.1f} % of {found.n} images, {len(found.accuracies)} seeds; 95 % interval {100 * low:.1f} to {100 * high:.1f}"
    )
    if change is None:
        return Cell(f"{100 * found.mean:.1f}", interval, "", "", "")
    if change.same:
        return Cell(f"{100 * found.mean:.1f}", interval, "same", "", "same")
    difference = change.difference
    look = "certain" if change.certain else "clear" if difference.clear else ""
    apart = f"[{signed(100 * difference.low)}, {signed(100 * difference.high)}]"
    return Cell(f"{100 * found.mean:.1f}", interval, signed(difference.points), apart, look)


def _line(compared: Comparison, row: str, columns: list[Column], place: int) -> tuple[str, list[Cell | None]]:
    found, changes = compared.scores[place], compared.changes[place - 1] if place else {}
    return compared.revisions[place].name, [cell(found.get((row, column)), changes.get((row, column))) for column in columns]


def _attacks(compared: Comparison) -> dict[tuple[str, str], list[Column]]:
    """(semantics, attack) -> clean and the columns at threat models of the paper, by norm and radius."""
    asked = sentences.threats(compared.revisions[0])
    found: dict[tuple[str, str], list[Column]] = {}
    for column in compared.columns:
        if (column.norm, column.epsilon) in asked and sentences.in_tables(column):
            found.setdefault((column.semantics, column.attack), [CLEAN]).append(column)
    return found
