"""The worst case of everything that was tried: the shortest radius of all attacks, image by image."""

import numpy as np
import pandas as pd

from lib.evaluation import radii
from lib.evaluation.outcome_file import Outcomes
from lib.evaluation.threats import Norm, threats
from lib.report.results import Evidence, labels, together


def of(evidence: Evidence, row: str, seed: int) -> list[Outcomes]:
    """Everything that was found on one network; the evaluation comes first."""
    return [one for one in evidence.outcomes if (one.row, one.seed) == (row, seed)]


def unbroken(evidence: Evidence, row: str, norm: Norm, epsilon: float) -> np.ndarray:
    """The images (seeds, n) bool that are right as they are and that no attack within this radius broke."""
    return np.stack([radii.stands(together(of(evidence, row, seed), norm).radius, epsilon) for seed in evidence.seeds])


def to_frame(evidence: Evidence) -> pd.DataFrame:
    """One line per row, seed and threat model of the paper: the share of the images that no attack broke."""
    lines = []
    for row, name in labels(evidence.rows).items():
        for threat in threats(evidence.rows[row].threats):
            standing = unbroken(evidence, row, threat.norm, threat.epsilon)
            shares = zip(evidence.seeds, standing.mean(1))
            lines += [(name, seed, threat.norm, threat.epsilon, round(float(share), 6), evidence.images) for seed, share in shares]
    return pd.DataFrame(lines, columns=["technique", "seed", "norm", "epsilon", "accuracy", "n"])
