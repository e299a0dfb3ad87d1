"""The worst case of everything that was tried: an image stands only if no attack of any kind broke it."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from lib.evaluation.outcome_file import Outcomes, Record
from lib.evaluation.threats import in_tables, threats
from lib.report.results import Evidence, labels


def stands(record: Record) -> np.ndarray:
    """The images (n,) bool that no run of this attack broke; those that it was not tried on stand.

    >>> runs = np.array([[True, True, False], [True, False, False]])
    >>> stands(Record("paper", "pgd40", "l2", 1.5, "mean", runs, asked=np.array([True, True, False]))).tolist()
    [True, False, True]
    """
    every = np.asarray(record.correct.all(0))
    return every if record.asked is None else every | ~record.asked


def within(outcomes: Iterable[Outcomes], norm: str, epsilon: float) -> Iterator[Record]:
    """Every attack at a radius up to `epsilon`, whose images lie in the ball of `epsilon`, too; by ascending radius.

    Probes are none: they ask a few images only, and some of them ask a changed model.
    """
    records = [record for one in outcomes for record in one.records if record.semantics != "probe"]
    inside = [record for record in records if record.norm == norm and record.epsilon <= epsilon]
    yield from sorted(inside, key=lambda record: record.epsilon)


def of(evidence: Evidence, row: str, seed: int) -> list[Outcomes]:
    """Every suite's outcomes of one network."""
    return [one for one in evidence.outcomes if (one.row, one.seed) == (row, seed)]


def unbroken(evidence: Evidence, row: str, norm: str, epsilon: float) -> np.ndarray:
    """The images (seeds, n) bool that are right as they are and that no attack within this radius broke."""
    found = []
    for seed in evidence.seeds:
        mine = of(evidence, row, seed)
        found.append(np.logical_and.reduce([mine[0].clean, *map(stands, within(mine, norm, epsilon))]))
    return np.stack(found)


def to_frame(evidence: Evidence) -> pd.DataFrame:
    """One line per row, seed and threat model of the paper: the share of the images that no attack broke."""
    lines = []
    for row, name in labels(evidence.rows).items():
        for threat in in_tables(threats(evidence.rows[row].threats)):
            standing = unbroken(evidence, row, threat.norm, threat.epsilon)
            shares = zip(evidence.seeds, standing.mean(1))
            lines += [(name, seed, threat.norm, threat.epsilon, round(float(share), 6), evidence.images) for seed, share in shares]
    return pd.DataFrame(lines, columns=["technique", "seed", "norm", "epsilon", "accuracy", "n"])
