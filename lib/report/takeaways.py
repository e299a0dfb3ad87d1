"""One sentence that says what a part of the page shows, from its numbers."""

from lib.base import params
from lib.columns import under
from lib.report.claims import Claim, tally
from lib.report.tables import Line, Table

NAMED = 3
STANDARD = {"iterations": 100, "targets": 9, "queries": 5000}  # AutoAttack's own


def of_table(table: Table) -> str:
    """The rows with the highest accuracy under all attacks together."""
    ranked = sorted(table.lines, key=lambda line: -line.worst.mean)[:NAMED]
    each = ", ".join(f"{_name(line)} {line.worst.shown} %" for line in ranked)
    return f"Under all attacks together at {table.headline} most is left of {each}."


def of_ladder(table: Table) -> list[str]:
    """How much the strict attack takes away at the headline threat model."""
    found = []
    for place, column in enumerate(table.columns):
        taken = [line.cells[place].taken or 0.0 for line in table.lines if line.cells[place].taken is not None]
        if column.threat == table.headline and column.semantics == "strict" and taken:
            ends = f"{min(taken):.1f} to {max(taken):.1f}".replace("-", "−")
            found.append(f"At {table.headline} the strict attack takes {ends} points from what the paper’s attack leaves.")
    return found


def of_claims(claims: list[Claim], semantics: list[str]) -> str:
    """How many claims got which verdict under the strict attack, or the first one."""
    attack = "strict" if "strict" in semantics else semantics[0]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in tally(claims, attack).items())
    return f"Of {len(claims)} claims, under {under(attack)}: {counts}."


def shortened() -> str:
    """What AutoAttack was cut down to: `30 iterations, 3 targets, 200 queries`; nothing where it was not run, or in full."""
    settings = params.value("attacks", "referee")
    if settings is None or all(settings[name] == value for name, value in STANDARD.items()):
        return ""
    return f"{settings['iterations']} iterations, {settings['targets']} targets, {settings['queries']} queries"


def _name(line: Line) -> str:
    return f"{line.technique} [{line.group}]" if line.group not in ("", "none") else line.technique
