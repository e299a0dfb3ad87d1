"""Size and direction of gradients side by side (Figures 3, 4 and 7): report/networks.csv of every revision, a row's networks together."""

from math import isnan

from lib.compare.cells import Cell, Table
from lib.compare.comparison import Comparison
from lib.compare.revision import Revision
from lib.report.charts.permutation import over_seeds
from lib.report.wording import signed

MEASURES = {
    "label_norm": "norm of the label’s gradient",
    "cosine_reference": "cosine with the reference maps",
    "cosine_target": "cosine with its own targets",
}
AN_INTERVAL = 3  # from so many seeds on

BySeed = dict[int, float]
Measured = dict[tuple[str, str], BySeed]  # of a row and a measure


def table(compared: Comparison) -> Table:
    """The rows whose outcomes or gradients differ."""
    found = [measured(revision) for revision in compared.revisions]
    rows = [row for row in compared.rows if _shown(row, row in compared.moved, found)]
    lines = [(compared.rows[row], [(place, _line(row, found, place)) for place in range(len(found))]) for row in rows]
    return Table("Gradients", list(MEASURES.values()), lines)


def measured(revision: Revision) -> Measured:
    """Each measure of every network; the table has a line per attack, in all of which the gradients are the same."""
    found: Measured = {}
    for line in revision.networks.to_dict("records"):
        for measure in MEASURES:
            if line[measure] and not isnan(float(line[measure])):
                found.setdefault((line["row"], measure), {})[int(line["seed"])] = float(line[measure])
    return found


def cell(found: BySeed, base: BySeed | None) -> Cell | None:
    """The mean over seeds with its spread, and how far it is from that of the base, where there is a base."""
    if not found:
        return None
    value, seeds = f"{_mean(found):.3f}", " / ".join(f"{number:.3f}" for number in found.values())
    said = f"seed{'s' * (len(found) > 1)} {', '.join(map(str, found))}: {seeds}"
    spread = "" if len(found) == 1 else "{:.3f} to {:.3f}".format(*over_seeds(list(found.values())))
    if not base:
        return Cell(value, said, spread=spread)
    if found == base:
        return Cell(value, said, "same", look="same", spread=spread)
    return Cell(value, said, *_difference(found, base), spread=spread)


def _difference(found: BySeed, base: BySeed) -> tuple[str, str, str]:
    """The difference over the seeds that both have, or of the means where they have none in common; its spread; how that is shown."""
    steps = [found[seed] - base[seed] for seed in found if seed in base] or [_mean(found) - _mean(base)]
    if len(steps) < 2:
        return signed(steps[0], 3), "", ""
    low, high = over_seeds(steps)
    look = "clear" if len(steps) >= AN_INTERVAL and (low > 0 or high < 0) else ""
    return signed(sum(steps) / len(steps), 3), f"[{signed(low, 3)}, {signed(high, 3)}]", look


def _shown(row: str, moved: bool, found: list[Measured]) -> bool:
    here = [{measure: one[row, measure] for measure in MEASURES if (row, measure) in one} for one in found]
    return any(here) and (moved or any(one != here[0] for one in here if one))


def _line(row: str, found: list[Measured], place: int) -> list[Cell | None]:
    return [cell(found[place].get((row, measure), {}), found[0].get((row, measure)) if place else None) for measure in MEASURES]


def _mean(values: BySeed) -> float:
    return sum(values.values()) / len(values)
