"""One sentence that says what a part of the page shows, from its numbers."""

from lib.base import params
from lib.columns import Column, under
from lib.report.claims import Claim, tally
from lib.report.tables import Line, Table

NAMED = 3


def of_table(table: Table) -> str:
    """The rows with the highest accuracy under all attacks together."""
    ranked = sorted(table.lines, key=lambda line: -line.worst.mean)[:NAMED]
    each = ", ".join(f"{_name(line)} {line.worst.shown} %" for line in ranked)
    return f"Under all attacks together at {table.headline} most is left of {each}."


def of_ladder(table: Table) -> list[str]:
    """How much each stronger attack takes away at the headline threat model, and how often it is the weaker one."""
    found = []
    for place, column in enumerate(table.columns):
        taken = [line.cells[place].taken or 0.0 for line in table.lines if line.cells[place].taken is not None]
        if column.threat == table.headline and column.semantics == "strict" and taken:
            ends = f"{min(taken):.1f} to {max(taken):.1f}".replace("-", "−")
            found.append(f"At {table.headline} the strict attack takes {ends} points from what the paper’s attack leaves.")
    return found + _weaker(table)


def of_claims(claims: list[Claim], semantics: list[str]) -> str:
    """How many claims got which verdict under the strict attack, or the first one."""
    attack = "strict" if "strict" in semantics else semantics[0]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in tally(claims, attack).items())
    return f"Of {len(claims)} claims, under {under(attack)}: {counts}."


def shortened(column: Column | None) -> str:
    """What AutoAttack was cut down to: `30 iterations, 3 targets, 200 queries`; nothing where it was not run, or in full."""
    settings = _section("autoattack")
    if column is None or column.attack == "standard" or not settings:
        return ""
    return f"{settings['iterations']} iterations, {settings['targets']} targets, {settings['queries']} queries"


def _weaker(table: Table) -> list[str]:
    """In how many cells AutoAttack left more standing than the strict attack, and why that can be."""
    places = [place for place, column in enumerate(table.columns) if column.semantics == "autoattack"]
    cells = [line.cells[place].taken for line in table.lines for place in places]
    taken = [value for value in cells if value is not None]
    if not taken:
        return []
    more, column = sum(value < 0 for value in taken), table.columns[places[0]]
    said = f"{under('autoattack', column.attack)} left more standing than the strict attack in {more} of {len(taken)} cells"
    said, cut, strict = said[0].upper() + said[1:], shortened(column), _section("pgd")
    if not more or not cut or not strict:
        return [f"{said}."]
    steps = f"{strict['steps']} steps, {strict['restarts']} restarts and {len(strict.get('strict_losses', []))} losses"
    return [f"{said}: it is cut to {cut} (the standard version has 100, 9 and 5,000), the strict attack has {steps}."]


def _section(part: str) -> dict:
    """Settings of one part of the attacks, whichever suite has it."""
    suites = params.value("attacks")
    return suites.get(part) or next((entry[part] for entry in suites.values() if isinstance(entry, dict) and part in entry), {})


def _name(line: Line) -> str:
    return f"{line.technique} [{line.group}]" if line.group not in ("", "none") else line.technique
