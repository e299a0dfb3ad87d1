"""The black-box side: what attacks that see no gradient of the network break, beside the strict attack on the same images."""

import numpy as np
import pandas as pd
from markupsafe import Markup

from lib.evaluation import radii
from lib.evaluation.outcome_file import REFEREE, TRANSFER, Outcomes, Record
from lib.evaluation.threats import Norm
from lib.report.results import Evidence, labels, together
from lib.report.series import headline, shown
from lib.report.worst_case import of

BLACK = (TRANSFER, f"{REFEREE} square")  # how attacks that see no gradient are named where they found a radius
COLUMNS = ["technique", "attack", "accuracy_percent", "strict_percent", "n", "broken_by_black_box_only"]


def frame(evidence: Evidence) -> pd.DataFrame:
    """One line per row of the main table and attack at the headline threat model, in percent, as means over seeds.

    `strict_percent` is of the same `n` images. The line of the attack `square` holds the images that it was asked for, which the attacks
    before it had left standing, and the share that it left. `broken_by_black_box_only`: the images, over all seeds, that the search left
    standing at this radius and a black-box attack broke. No row is shown images that were made on itself.
    """
    lines, names, norm, epsilon = [], labels(evidence.rows), headline().norm, headline().epsilon
    for row, technique in shown(evidence).items():
        networks = [of(evidence, row, seed) for seed in evidence.seeds]
        alone = sum(int(only(files, norm, epsilon).sum()) for files in networks)
        cells: dict[str, list[tuple[float, float, int]]] = {}
        for files in networks:
            strict = files[0].strict(norm, epsilon)
            for record in (record for file in files if TRANSFER in file.settings for record in file.transfer(norm, epsilon)):
                count = min(record.correct.shape[1], strict.correct.shape[1])
                source = record.attack.removeprefix("from ")
                shares = [float(score.per_image[:count].mean()) for score in (record, strict)]
                cells.setdefault(f"from {names.get(source, source)}", []).append((shares[0], shares[1], count))
        for attack, found in cells.items():
            accuracy, strict_accuracy = (round(100 * float(np.mean(shares)), 4) for shares in list(zip(*found))[:2])
            lines.append((technique, attack, accuracy, strict_accuracy, found[0][2], alone))
        if (asked := square(networks, norm, epsilon)) and asked[1]:
            lines.append((technique, "square", round(100 * (1 - asked[0] / asked[1]), 4), np.nan, asked[1], alone))
    return pd.DataFrame(lines, columns=COLUMNS)


def wide(found: pd.DataFrame) -> pd.DataFrame:
    """What `frame` holds for the page: rows by attacks, below each accuracy the strict one on the same images or what was asked for."""
    cells = [
        Markup(f"{line['accuracy_percent']:.1f}<small>{words}</small>")
        for line in found.to_dict("records")
        for words in [f"of {line['n']}" if line["attack"] == "square" else f"strict {line['strict_percent']:.1f}"]
    ]
    names, attacks = found["technique"].unique(), sorted(found["attack"].unique(), key="square".__eq__)
    table = found.assign(cell=cells).pivot(index="technique", columns="attack", values="cell").reindex(names, columns=attacks).fillna("–")
    alone = found.groupby("technique")["broken_by_black_box_only"].first()
    return table.assign(**{"black-box only": alone}).rename_axis("Technique")


def only(outcomes: list[Outcomes], norm: Norm, epsilon: float) -> np.ndarray:
    """The images (n,) bool of one network that the search left standing at this radius and an attack that sees no gradient broke."""
    found = together(outcomes, norm)
    black = np.array([str(name).startswith(BLACK) for name in found.found_by], bool)
    searched = np.nan_to_num(found.telemetry["searched"], nan=0.0)
    return black & radii.stands(searched, epsilon) & ~radii.stands(found.radius, epsilon)


def square(networks: list[list[Outcomes]], norm: Norm, epsilon: float) -> tuple[int, int] | None:
    """How many images Square broke, and how many it was asked for, over all seeds; None where no referee has it at this radius."""
    records = [record for files in networks for record in files[0].records if record.semantics == REFEREE]
    here = [record for record in records if (record.norm, record.epsilon) == (norm, epsilon) and "square" in record.settings["attacks"]]
    if not here:
        return None
    tried = [_before(record) for record in here]
    broke = sum(int((asked & ~record.correct[_place(record)]).sum()) for asked, record in zip(tried, here))
    return broke, sum(int(asked.sum()) for asked in tried)


def _before(record: Record) -> np.ndarray:
    """The images (n,) bool that the attacks before Square had left standing."""
    asked = np.ones(record.correct.shape[1], bool) if record.asked is None else record.asked
    return np.logical_and.reduce([asked, *record.correct[: _place(record)]])


def _place(record: Record) -> int:
    return int(record.settings["attacks"].index("square"))
