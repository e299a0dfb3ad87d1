"""The black-box side: what attacks that see no gradient of the network break, beside the strict attack on the same images."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.evaluation import radii
from lib.evaluation.outcome_file import REFEREE, TRANSFER, Outcomes, Record
from lib.evaluation.threats import Norm
from lib.report.results import Evidence, labels, together
from lib.report.series import headline
from lib.report.worst_case import of
from lib.statistics.columns import NORMS, radius

BLACK = (TRANSFER, f"{REFEREE} square")  # how attacks that see no gradient are named where they found a radius


@dataclass(frozen=True)
class Cell:
    """Accuracy under one black-box attack and under the strict one on the same `images`, as means over seeds."""

    accuracy: float
    strict: float
    images: int


@dataclass(frozen=True)
class Square:
    """How many of the images that Square was `asked` for, which the attacks before it had left standing, it `broke`; all seeds."""

    broke: int
    asked: int


@dataclass(frozen=True)
class Line:
    """One row: its cells by attack (none where the images were made on the network itself), Square, and `only`: the images, over all
    seeds, that the search left standing at this radius and a black-box attack broke.
    """

    technique: str
    cells: dict[str, Cell]
    square: Square | None
    only: int


@dataclass(frozen=True)
class Table:
    """Every row of the main table at one threat model; `asked` says on how many images each attack was tried."""

    threat: str
    attacks: list[str]
    asked: dict[str, int]
    lines: list[Line]
    images: int
    seeds: int


def build(evidence: Evidence) -> Table:
    """The black-box attacks at the headline threat model."""
    threat = headline()
    shown = {key: name for key, name in labels(evidence.rows).items() if evidence.rows[key].threats == "table"}
    lines = [_line(evidence, key, name, threat.norm, threat.epsilon) for key, name in shown.items()]
    asked: dict[str, int] = {}
    for line in lines:
        for attack, cell in line.cells.items():
            asked[attack] = max(asked.get(attack, 0), cell.images)
    words = f"{NORMS.get(threat.norm, threat.norm)} {radius(threat.epsilon)}"
    return Table(words, list(asked), asked, lines, evidence.images, len(evidence.seeds))


def to_frame(table: Table) -> pd.DataFrame:
    """One line per row and attack, in percent; Square's line holds the images that it was asked for and the share it left standing."""
    found = []
    for line in table.lines:
        cells = [(attack, 100 * cell.accuracy, 100 * cell.strict, cell.images) for attack, cell in line.cells.items()]
        if line.square and line.square.asked:
            cells.append(("square", 100 * (1 - line.square.broke / line.square.asked), np.nan, line.square.asked))
        found += [(line.technique, attack, round(left, 4), round(strict, 4), n, line.only) for attack, left, strict, n in cells]
    return pd.DataFrame(found, columns=["technique", "attack", "accuracy_percent", "strict_percent", "n", "broken_by_black_box_only"])


def only(outcomes: list[Outcomes], norm: Norm, epsilon: float) -> np.ndarray:
    """The images (n,) bool of one network that the search left standing at this radius and an attack that sees no gradient broke."""
    found = together(outcomes, norm)
    black = np.array([str(name).startswith(BLACK) for name in found.found_by], bool)
    searched = np.nan_to_num(found.telemetry["searched"], nan=0.0)
    return black & radii.stands(searched, epsilon) & ~radii.stands(found.radius, epsilon)


def _line(evidence: Evidence, row: str, name: str, norm: Norm, epsilon: float) -> Line:
    networks = [of(evidence, row, seed) for seed in evidence.seeds]
    found: dict[str, list[Cell]] = {}
    for mine in networks:
        strict = mine[0].strict(norm, epsilon)
        for record in (record for one in mine if TRANSFER in one.settings for record in one.transfer(norm, epsilon)):
            source = record.attack.removeprefix("from ")
            found.setdefault(f"from {labels(evidence.rows).get(source, source)}", []).append(_beside(record, strict))
    cells = {attack: _mean(entries) for attack, entries in found.items()}
    count = sum(int(only(mine, norm, epsilon).sum()) for mine in networks)
    return Line(name, cells, _square(networks, norm, epsilon), count)


def _mean(cells: list[Cell]) -> Cell:
    accuracy, strict = np.mean([(cell.accuracy, cell.strict) for cell in cells], 0)
    return Cell(float(accuracy), float(strict), cells[0].images)


def _beside(record: Record, strict: Record) -> Cell:
    shared = min(record.correct.shape[1], strict.correct.shape[1])
    return Cell(float(record.per_image[:shared].mean()), float(strict.per_image[:shared].mean()), shared)


def _square(networks: list[list[Outcomes]], norm: Norm, epsilon: float) -> Square | None:
    """None where no referee has it at this radius."""
    records = [record for mine in networks for record in mine[0].records if record.semantics == REFEREE]
    here = [one for one in records if (one.norm, one.epsilon) == (norm, epsilon) and "square" in one.settings["attacks"]]
    if not here:
        return None
    tried = [_before(record) for record in here]
    broke = sum(int((asked & ~record.correct[_place(record)]).sum()) for asked, record in zip(tried, here))
    return Square(broke, sum(int(asked.sum()) for asked in tried))


def _before(record: Record) -> np.ndarray:
    """The images (n,) bool that the attacks before Square had left standing."""
    asked = np.ones(record.correct.shape[1], bool) if record.asked is None else record.asked
    return np.logical_and.reduce([asked, *record.correct[: _place(record)]])


def _place(record: Record) -> int:
    return int(record.settings["attacks"].index("square"))
