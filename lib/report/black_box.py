"""The black-box side: what attacks that see no gradient of the network break, beside the strict attack on the same images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.columns import NORMS, radius
from lib.evaluation.outcome_file import Outcomes, Record
from lib.report.results import Evidence, labels
from lib.report.series import headline
from lib.report.worst_case import of, stands, within

NOISE = "random noise"


@dataclass(frozen=True)
class Cell:
    """Accuracy under one black-box attack and under the strict one (NaN without it) on the same `images`, as means over seeds."""

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
    seeds, that only black-box attacks break, at this radius or a smaller one.
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


def only(outcomes: list[Outcomes], row: str, norm: str, epsilon: float) -> np.ndarray:
    """The images (n,) bool of one network, right as they are, that black-box attacks broke within this radius and no white-box one did.

    Of an ensemble with Square, the images that fell to it count as broken by a black-box attack, all others to a white-box one.
    """
    clean = outcomes[0].clean
    black, white, alive = np.zeros(len(clean), bool), np.zeros(len(clean), bool), clean.copy()
    for record in [*_noise(outcomes, norm, epsilon), *within(outcomes, norm, epsilon)]:
        if _has_square(record):
            by_square, by_others = _fallen(record, alive)
            black, white, alive = black | by_square, white | by_others, alive & stands(record)
        elif _is_black(record, row):
            black |= ~stands(record)
        else:
            white |= ~stands(record)
    return black & ~white & clean


def _line(evidence: Evidence, row: str, name: str, norm: str, epsilon: float) -> Line:
    networks = [of(evidence, row, seed) for seed in evidence.seeds]
    found: dict[str, list[Cell]] = {}
    for mine in networks:
        here = [record for record in [*_noise(mine, norm, epsilon), *within(mine, norm, epsilon)] if record.epsilon == epsilon]
        strict = next((record for record in here if record.semantics == "strict" and record.attack != "fgsm"), None)
        for record in here:
            if _is_black(record, row):
                found.setdefault(_called(record, evidence), []).append(_beside(record, strict))
    cells = {attack: _mean(entries) for attack, entries in found.items()}
    count = sum(int(only(mine, row, norm, epsilon).sum()) for mine in networks)
    return Line(name, cells, _square(networks, norm, epsilon), count)


def _mean(cells: list[Cell]) -> Cell:
    accuracy, strict = np.mean([(cell.accuracy, cell.strict) for cell in cells], 0)
    return Cell(float(accuracy), float(strict), cells[0].images)


def _beside(record: Record, strict: Record | None) -> Cell:
    asked = np.ones(record.correct.shape[1], bool) if record.asked is None else record.asked
    beside = float("nan") if strict is None else float(strict.per_image[asked].mean())
    return Cell(record.accuracy, beside, int(asked.sum()))


def _square(networks: list[list[Outcomes]], norm: str, epsilon: float) -> Square | None:
    """None where no ensemble has it."""
    ensembles = [one for mine in networks for one in within(mine, norm, epsilon) if _has_square(one) and one.epsilon == epsilon]
    if not ensembles:
        return None
    tried = [record.telemetry["square_asked"] == 1 for record in ensembles]
    broke = sum(int((asked & ~record.correct[_place(record)]).sum()) for asked, record in zip(tried, ensembles))
    return Square(broke, sum(int(asked.sum()) for asked in tried))


def _fallen(record: Record, alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the images that were `alive` (n,) bool, those that fell to Square, and those that fell to the others of the ensemble."""
    place = _place(record)
    before = record.correct[place - 1] if place else alive
    fell = alive & ~stands(record)
    by_square = fell & before & ~record.correct[place]
    return by_square, fell & ~by_square


def _place(record: Record) -> int:
    return int(record.settings["attacks"].index("square"))


def _has_square(record: Record) -> bool:
    return record.semantics == "autoattack" and "square" in record.settings["attacks"]


def _is_black(record: Record, row: str) -> bool:
    """Noise, and images made on another network; those made on the network itself know its gradient."""
    return record.semantics == "probe" or (record.semantics == "transfer" and record.attack != f"from {row}")


def _noise(outcomes: list[Outcomes], norm: str, epsilon: float) -> Iterator[Record]:
    for record in (record for one in outcomes for record in one.records):
        if (record.semantics, record.attack, record.norm) == ("probe", "noise", norm) and record.epsilon <= epsilon:
            yield record


def _called(record: Record, evidence: Evidence) -> str:
    source = record.attack.removeprefix("from ")
    return NOISE if record.semantics == "probe" else f"from {labels(evidence.rows).get(source, source)}"
