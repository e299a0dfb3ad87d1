"""Ordinary least squares: how much of one quantity two others explain, together and each beyond the other."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from lib.base.errors import require
from lib.statistics.intervals import CONFIDENCE

LEARNED = 0.5  # clean accuracy below which a network has not learned its task, and is no evidence of what makes one robust
OUTCOME, PREDICTORS = "robust", ("doublings", "cosine_reference")


@dataclass(frozen=True)
class Coefficient:
    """What one more unit of a predictor goes with, all others equal, with Student's t interval, and the share of what the others leave
    unexplained that this predictor explains (partial R²).
    """

    value: float
    low: float
    high: float
    partial: float


@dataclass(frozen=True)
class Regression:
    """A fit of `n` points: the intercept, one coefficient per predictor, R², the predictors' correlation and the fitted values (n,)."""

    n: int
    df: int
    intercept: float
    coefficients: dict[str, Coefficient]
    explained: float
    correlation: float
    fitted: np.ndarray


def fit(outcome: np.ndarray, predictors: dict[str, np.ndarray]) -> Regression:
    """Least squares of `outcome` (n,) on an intercept and two `predictors` (n,).

    The intervals assume independent residuals of equal variance. Raises `InputError` where the points do not determine the fit.

    >>> x, z = np.array([0.0, 1, 2, 3, 4]), np.array([1.0, 0, 1, 0, 1])
    >>> found = fit(3 + 2 * x - z, {"x": x, "z": z})
    >>> round(found.intercept, 6), round(found.coefficients["x"].value, 6), round(found.explained, 6)
    (3.0, 2.0, 1.0)
    """
    design = _design(predictors)
    df = len(outcome) - design.shape[1]
    require(df > 0, f"a regression on {len(predictors)} quantities needs more than {design.shape[1]} points, got {len(outcome)}")
    require(np.linalg.matrix_rank(design) == design.shape[1], "the quantities of a regression must vary independently of each other")
    weights, fitted, residual = _solved(design, outcome)
    spread = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * residual / df)
    half = float(stdtrit(df, (1 + CONFIDENCE) / 2)) * spread
    found = {}
    for place, name in enumerate(predictors, start=1):
        without = _solved(np.delete(design, place, axis=1), outcome)[2]
        partial = 1 - residual / without if without > 0 else 0.0
        value, width = float(weights[place]), float(half[place])
        found[name] = Coefficient(value, value - width, value + width, float(partial))
    total = float(((outcome - outcome.mean()) ** 2).sum())
    correlation = float(np.corrcoef(design[:, 1], design[:, 2])[0, 1])
    explained = 1 - residual / total if total > 0 else 0.0
    return Regression(len(outcome), df, float(weights[0]), found, explained, correlation, fitted)


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per variant, means over its seeds, of those attacked in the threat model that most variants are attacked in.

    Columns: variant, group, label, `robust` (percent), `doublings` (log2 of the label norm) and `cosine_reference`. Variants are left out
    of which a network has learned nothing (`LEARNED`) or has no gradient.
    """
    usual = frame[["norm", "epsilon"]].value_counts().index[0]
    chosen = frame[(frame["norm"] == usual[0]) & (frame["epsilon"] == usual[1])]
    working = (chosen["label_norm"] > 0) & (chosen["clean"] >= LEARNED)
    chosen = chosen[working.groupby(chosen["variant"]).transform("all")]
    lines = chosen.assign(robust=100 * chosen["robust"], doublings=np.log2(chosen["label_norm"]))
    means = lines.groupby(["variant", "group", "label"], sort=False)[[OUTCOME, *PREDICTORS]].mean()
    return means.reset_index().dropna()


def determined(found: pd.DataFrame) -> bool:
    """Whether there are enough points, and different ones, for a fit with a residual."""
    design = _design({name: found[name].to_numpy() for name in PREDICTORS})
    return len(found) > design.shape[1] and bool(np.linalg.matrix_rank(design) == design.shape[1])


def of_points(found: pd.DataFrame) -> Regression:
    """Robust accuracy in percent on the logarithm of the norm and on the cosine with the reference."""
    return fit(found[OUTCOME].to_numpy(), {name: found[name].to_numpy() for name in PREDICTORS})


def _design(predictors: dict[str, np.ndarray]) -> np.ndarray:
    columns = list(predictors.values())
    return np.column_stack([np.ones(len(columns[0])), *columns])


def _solved(design: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights, fitted values and the sum of squared residuals."""
    weights = np.linalg.lstsq(design, outcome, rcond=None)[0]
    fitted = design @ weights
    return weights, fitted, float(((outcome - fitted) ** 2).sum())
