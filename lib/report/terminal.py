"""What the report stage prints when it is done: Table 1, the gate, the claims and what survives, as plain text of at most 110 columns."""

from collections.abc import Sequence
from textwrap import fill

from lib.report.aligned import WIDTH, aligned
from lib.report.claims import Claim, verdict
from lib.report.contrasts import Compared
from lib.report.gate import SYMBOLS, Gate
from lib.report.tables import Line, Table
from lib.report.wording import interval, p_value
from lib.statistics.columns import CLEAN


def table_text(table: Table) -> str:
    """One line per row; under each threat model the accuracies of all attacks, weakest name first: `50.6/40.0/38.8`."""
    threats = list(dict.fromkeys(column.threat for column in table.columns if column != CLEAN))
    groups = "/".join(name for name, _ in table.column_groups)
    title = f"Table {table.number}. Accuracy in %, {groups}; {table.images} test images, {table.seeds} seeds"
    heads = ["", "clean", *threats]
    lines = [[_name(line), line.cells[0].shown, *(_triple(table, line, threat) for threat in threats)] for line in table.lines]
    return "\n".join([title, *aligned([heads, *lines])])


def differences_text(table: Table) -> str:
    """One line per row; under each threat model what each stronger attack takes away from the one before, in points: `-10.6/-1.2`."""
    groups = list(dict.fromkeys(table.columns[place].group for _, places in table.ladder for place in places))
    if not groups:
        return ""
    title = f"What each stronger attack takes away, in points: {'/'.join(groups)}"
    lines = [[_name(line), *("/".join(_taken(line, place) for place in places) for _, places in table.ladder)] for line in table.lines]
    return "\n".join([title, *aligned([["", *(threat for threat, _ in table.ladder)], *lines])])


def gate_text(gate: Gate) -> str:
    """The symbols of all checks, one line per row, worst over the seeds."""
    lines = [[line.technique, *(cell.symbol for cell in cells)] for line, cells in gate.table]
    key = "  ".join(f"{symbol} {verdict} ({gate.counts.get(verdict, 0)})" for verdict, symbol in SYMBOLS.items())
    return "\n".join(
        ["Gate: all checks, the worst over the seeds", *aligned([["", *(number for number, _, _ in gate.names)], *lines]), key]
    )


def claims_text(claims: Sequence[Claim]) -> str:
    """One line per claim of the paper: its key and the verdict under each attack."""
    semantics = list(dict.fromkeys(name for claim in claims for name in claim.findings if name))
    lines = [[claim.key, *(verdict(claim, name) for name in semantics)] for claim in claims]
    return "\n".join(["Claims of the paper, verdict by attack (claims.csv has the sentences)", *aligned([["", *semantics], *lines])])


def contrasts_text(compared: Sequence[Compared]) -> str:
    """What the question is about: one line per pair, norm and experiment; nothing where there is none."""
    lines = [
        [" over ".join(line.techniques), line.place, f"{interval(line.contrast)} %", p_value(line.contrast.adjusted), line.experiment]
        for line in compared
        if line.pair.asked
    ]
    return "\n".join(["Mean robust radius, difference in percent (contrasts.csv has all)", *aligned(lines)]) if lines else ""


def wrapped(text: str) -> str:
    """A paragraph in lines of the terminal's width."""
    return fill(text, WIDTH)


def _triple(table: Table, line: Line, threat: str) -> str:
    return "/".join(cell.shown for column, cell in zip(table.columns, line.cells) if column != CLEAN and column.threat == threat)


def _taken(line: Line, place: int) -> str:
    taken = line.cells[place].taken
    return "?" if taken is None else f"{-taken + 0.0:+.1f}"


def _name(line: Line) -> str:
    """A row's name, with its group where there are groups."""
    return f"{line.technique} [{line.group}]" if line.group not in ("", "none") else line.technique
