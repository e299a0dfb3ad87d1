"""The gate over all rows and seeds: gate.json, and a table of traffic lights with what is behind every one that is not green."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isfinite

from markupsafe import Markup

from lib.evaluation.outcome_file import Outcomes
from lib.gate.check import LOUD, SEVERITY, Check, Verdict, worst
from lib.gate.checks import checks
from lib.gate.rules import RULES
from lib.report.families import families
from lib.report.results import Evidence, labels
from lib.report.templates import rendered

SYMBOLS: dict[Verdict, str] = {"pass": "✓", "warn": "!", "fail": "✗", "info": "i", "not measured": "–"}


@dataclass(frozen=True)
class Line:
    """One row of the tables: its key, what it is called, and the checks of each seed."""

    row: str
    technique: str
    seeds: dict[int, list[Check]]

    def cell(self, index: int) -> "Cell":
        """Check number `index` over all seeds."""
        return Cell.of({seed: found[index] for seed, found in self.seeds.items()})

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks and seeds."""
        return worst(check.verdict for found in self.seeds.values() for check in found)


@dataclass(frozen=True)
class Cell:
    """One check of one row: the worst verdict over the seeds, the check that gave it, and at which seeds it came out so."""

    check: Check
    seeds: list[int]
    title: str

    @staticmethod
    def of(by_seed: dict[int, Check]) -> "Cell":
        """The cell of one check, asked at each seed."""
        verdict = worst(check.verdict for check in by_seed.values())
        same = {seed: check for seed, check in by_seed.items() if check.verdict == verdict}
        chosen = max(same.values(), key=lambda check: -1.0 if check.value is None else abs(check.value))
        says = "; ".join(f"seed {seed}: {check.verdict}{_number(check)}" for seed, check in by_seed.items())
        return Cell(chosen, list(same), f"{chosen.id} {chosen.name} – {says}")

    @property
    def verdict(self) -> Verdict:
        """The worst over the seeds."""
        return self.check.verdict

    @property
    def symbol(self) -> str:
        """What stands beside the colour."""
        return SYMBOLS[self.verdict]

    @property
    def sentence(self) -> str:
        """What is behind the verdict, in words."""
        return self.check.note or f"{self.check.name}{_number(self.check)}"


@dataclass(frozen=True)
class Gate:
    """Every row's checks."""

    lines: list[Line]

    @property
    def names(self) -> list[tuple[str, str, str]]:
        """Number, name and rule of every check."""
        return [(rule.id, rule.name, rule.rule) for rule in RULES.values()]

    @property
    def table(self) -> list[tuple[Line, list[Cell]]]:
        """Every row with its cells."""
        return [(line, [line.cell(index) for index in range(len(RULES))]) for line in self.lines]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many cells of the table have each verdict, the worst first; verdicts that no cell has are left out."""
        found = [cell.verdict for _, cells in self.table for cell in cells]
        return {name: found.count(name) for name in sorted(SEVERITY, key=lambda name: -SEVERITY[name]) if name in found}

    @property
    def complaints(self) -> list[tuple[str, str, str, list[tuple[Line, Cell]]]]:
        """Number, name and rule of every check that fails or warns somewhere, with those rows, the failing ones first."""
        found = []
        for index, (number, name, rule) in enumerate(self.names):
            loud = [(line, cells[index]) for line, cells in self.table if cells[index].verdict in LOUD]
            if loud:
                found.append((number, name, rule, sorted(loud, key=lambda entry: LOUD.index(entry[1].verdict))))
        return found


def gate(evidence: Evidence) -> Gate:
    """The gate over the whole grid; the undefended reference of each seed is the first row with standard training."""
    kinds = families()
    undefended = next((row for row in evidence.rows if kinds[row] == "standard"), None)
    found = []
    for row, name in labels(evidence.rows).items():
        seeds = {}
        for seed in evidence.seeds:
            mine, reference = (_of(evidence.outcomes, key, seed) for key in (row, undefended))
            if mine:
                seeds[seed] = checks(mine, reference)
        if seeds:
            found.append(Line(row, name, seeds))
    return Gate(found)


def to_json(found: Gate) -> dict[str, dict]:
    """gate.json: row -> its technique, its worst verdict, and the checks of every seed; numbers that are not finite become null."""
    return {
        line.row: {
            "technique": line.technique,
            "verdict": line.verdict,
            "seeds": {str(seed): [_entry(check) for check in found] for seed, found in line.seeds.items()},
        }
        for line in found.lines
    }


def from_json(document: dict[str, dict]) -> Gate:
    """What `to_json` wrote."""
    return Gate(
        [
            Line(row, entry["technique"], {int(seed): [_check(check) for check in found] for seed, found in entry["seeds"].items()})
            for row, entry in document.items()
        ]
    )


def to_html(found: Gate) -> Markup:
    """The table and what is behind it, as a part of the page, in whose style sheet the colours are."""
    return rendered("gate.html.j2", gate=found, symbols=SYMBOLS)


def _of(outcomes: Iterable[Outcomes], row: str | None, seed: int) -> list[Outcomes]:
    return [one for one in outcomes if (one.row, one.seed) == (row, seed)]


def _entry(check: Check) -> dict:
    """One check as JSON has it."""
    entry = {"check" if key == "id" else key: value for key, value in asdict(check).items()}
    return entry | {"value": check.value if check.value is not None and isfinite(check.value) else None}


def _check(entry: dict) -> Check:
    return Check(**{"id" if key == "check" else key: value for key, value in entry.items()})


def _number(check: Check) -> str:
    return "" if check.value is None else f" {check.value:.3g} {check.unit}".rstrip()
