"""The gate over all rows and seeds: gate.json, and the lights of the page with what is behind every one that is not green."""

from dataclasses import asdict, dataclass
from math import isfinite

from lib.gate.check import LOUD, SEVERITY, Check, Rule, Verdict, worst
from lib.gate.checks import checks
from lib.gate.rules import RULES
from lib.report.families import families
from lib.report.results import Evidence, labels

SYMBOLS: dict[Verdict, str] = {"pass": "✓", "warn": "!", "fail": "✗", "info": "i", "not measured": "–"}


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
        """What stands for the colour."""
        return SYMBOLS[self.verdict]

    @property
    def loud(self) -> bool:
        """Whether it warns or fails."""
        return self.verdict in LOUD


@dataclass(frozen=True)
class Line:
    """One row: its key, what it is called, and the checks of each seed."""

    row: str
    technique: str
    seeds: dict[int, list[Check]]

    @property
    def cells(self) -> list[Cell]:
        """Every check over all seeds."""
        return [Cell.of(dict(zip(self.seeds, asked))) for asked in zip(*self.seeds.values())]

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks and seeds."""
        return worst(check.verdict for asked in self.seeds.values() for check in asked)


@dataclass(frozen=True)
class Gate:
    """Every row's checks."""

    lines: list[Line]

    @property
    def rules(self) -> list[Rule]:
        """What is asked of every row, in the order of the cells."""
        return list(RULES.values())

    @property
    def table(self) -> list[tuple[Line, list[Cell]]]:
        """Every row with its cells."""
        return [(line, line.cells) for line in self.lines]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many cells of the table have each verdict, the worst first; verdicts that no cell has are left out."""
        verdicts = [cell.verdict for _, cells in self.table for cell in cells]
        return {name: verdicts.count(name) for name in sorted(SEVERITY, key=lambda name: -SEVERITY[name]) if name in verdicts}

    @property
    def behind(self) -> list[tuple[Rule, list[tuple[Line, Cell]]]]:
        """Every check that fails or warns somewhere, with those rows, the failing ones first."""
        asked = [(rule, [(line, line.cells[place]) for line in self.lines]) for place, rule in enumerate(self.rules)]
        loud = [(rule, [(line, cell) for line, cell in entries if cell.loud]) for rule, entries in asked]
        return [(rule, sorted(entries, key=lambda entry: LOUD.index(entry[1].verdict))) for rule, entries in loud if entries]

    @property
    def failing(self) -> list[tuple[Rule, list[str]]]:
        """Every check that fails somewhere, and what those rows are called."""
        rows = [(rule, [line.technique for line, cell in entries if cell.verdict == "fail"]) for rule, entries in self.behind]
        return [(rule, names) for rule, names in rows if names]


def gate(evidence: Evidence) -> Gate:
    """The gate over the whole grid; the undefended reference of each seed is the first row with standard training."""
    kinds = families()
    undefended = next((row for row in evidence.rows if kinds[row] == "standard"), None)
    outcomes = {
        (row, seed): [one for one in evidence.outcomes if (one.row, one.seed) == (row, seed)]
        for row in evidence.rows
        for seed in evidence.seeds
    }
    return Gate(
        [
            Line(row, name, {seed: checks(outcomes[row, seed], outcomes.get((undefended or "", seed))) for seed in evidence.seeds})
            for row, name in labels(evidence.rows).items()
        ]
    )


def to_json(gate: Gate) -> dict[str, dict]:
    """gate.json: row -> its technique, its worst verdict, and the checks of every seed; numbers that are not finite become null."""
    return {
        line.row: {
            "technique": line.technique,
            "verdict": line.verdict,
            "seeds": {str(seed): [_entry(check) for check in asked] for seed, asked in line.seeds.items()},
        }
        for line in gate.lines
    }


def from_json(document: dict[str, dict]) -> Gate:
    """What `to_json` wrote."""
    return Gate(
        [
            Line(row, entry["technique"], {int(seed): [_check(check) for check in asked] for seed, asked in entry["seeds"].items()})
            for row, entry in document.items()
        ]
    )


def _entry(check: Check) -> dict:
    """One check as JSON has it."""
    entry = {"check" if key == "id" else key: value for key, value in asdict(check).items()}
    return entry | {"value": check.value if check.value is not None and isfinite(check.value) else None}


def _check(entry: dict) -> Check:
    return Check(**{"id" if key == "check" else key: value for key, value in entry.items()})


def _number(check: Check) -> str:
    return "" if check.value is None else f" {check.value:.3g} {check.unit}".rstrip()
