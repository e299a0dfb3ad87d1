"""The gate side by side: report/gate.json of every revision, the worst verdict over the seeds as the report shows it."""

from dataclasses import dataclass

from lib.compare.comparison import Comparison
from lib.compare.revision import Revision
from lib.compare.sides import Sides, sides
from lib.report.gate import Cell


@dataclass(frozen=True)
class Asked:
    """One check of one row, by its number and its name."""

    row: str
    check: str
    name: str


def gates(compared: Comparison) -> Sides[Asked, Cell]:
    """The checks whose verdict is not the same in all revisions."""
    return sides([_cells(revision) for revision in compared.revisions], lambda cell: cell.verdict)


def _cells(revision: Revision) -> dict[Asked, Cell]:
    """By what is asked and not by places: an older gate may have had fewer checks, or others under the same numbers."""
    found = {}
    for line in revision.gate:
        for asked in dict.fromkeys((check.id, check.name) for checks in line.seeds.values() for check in checks):
            by_seed = {seed: check for seed, checks in line.seeds.items() for check in checks if (check.id, check.name) == asked}
            found[Asked(line.row, *asked)] = Cell.of(by_seed)
    return found
