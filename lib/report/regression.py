"""Ordinary least squares: how much of robust accuracy the size and the direction of gradients explain, each beyond the other."""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from lib.base.errors import require
from lib.statistics.intervals import CONFIDENCE

LEARNED = 0.5  # clean accuracy below which a network has not learned its task, and is no evidence of what makes one robust
OUTCOME, PREDICTORS = "robust", ("doublings", "cosine_reference")


def fit(outcome: np.ndarray, predictors: pd.DataFrame) -> pd.DataFrame:
    """Least squares of `outcome` (n,) on an intercept and the `predictors` (n, k): a line per predictor and one for the "intercept".

    `value` is what one more unit goes with, all others equal, `low` to `high` Student's t interval, for independent residuals of equal
    variance; `partial` the share of what the others leave unexplained that this one explains (partial R²). `attrs` holds `n`, `df`,
    `explained` (R²), the `correlation` of the first two predictors and the `fitted` values (n,). Raises `InputError` where the points do
    not determine the fit.

    >>> predictors = pd.DataFrame({"x": [0.0, 1, 2, 3, 4], "z": [1.0, 0, 1, 0, 1]})
    >>> found = fit(3 + 2 * predictors["x"].to_numpy() - predictors["z"].to_numpy(), predictors)
    >>> found["value"].round(6).tolist(), round(found.attrs["explained"], 6)
    ([3.0, 2.0, -1.0], 1.0)
    """
    design = _design(predictors)
    df = len(outcome) - design.shape[1]
    require(df > 0, f"a regression on {design.shape[1] - 1} quantities needs more than {design.shape[1]} points, got {len(outcome)}")
    require(np.linalg.matrix_rank(design) == design.shape[1], "the quantities of a regression must vary independently of each other")
    weights, residual = _solved(design, outcome)
    half = float(stdtrit(df, (1 + CONFIDENCE) / 2)) * np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * residual / df)
    without = np.array([_solved(np.delete(design, place, axis=1), outcome)[1] for place in range(design.shape[1])])
    partial = 1 - np.divide(residual, without, out=np.ones_like(without), where=without > 0)
    columns = {"value": weights, "low": weights - half, "high": weights + half, "partial": partial}
    found = pd.DataFrame(columns, index=["intercept", *predictors.columns])
    total = float(((outcome - outcome.mean()) ** 2).sum())
    found.attrs = {"n": len(outcome), "df": df, "explained": 1 - residual / total if total > 0 else 0.0}
    found.attrs |= {"correlation": float(np.corrcoef(design[:, 1], design[:, 2])[0, 1]), "fitted": (design @ weights).tolist()}
    return found


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


def fits(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The fit to the means over seeds, "all", and to each seed alone; nothing where the variants of a study do not determine one."""
    every = {"all": points(table)} | {f"seed {seed}": points(lines) for seed, lines in table.groupby("seed")}
    designs = [_design(part[list(PREDICTORS)]) for part in every.values()]
    if not all(len(design) > design.shape[1] == np.linalg.matrix_rank(design) for design in designs):
        return {}
    return {name: fit(part[OUTCOME].to_numpy(), part[list(PREDICTORS)]) for name, part in every.items()}


def to_frame(fitted: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What `fits` gives as one frame: a line per fit and predictor, with what `attrs` holds of `n`, `explained` and `correlation`."""
    whole = ["n", "explained", "correlation"]
    parts = [found.drop("intercept").assign(fitted_to=name, **{key: found.attrs[key] for key in whole}) for name, found in fitted.items()]
    columns = ["fitted_to", *whole, "predictor", "value", "low", "high", "partial"]
    return pd.concat(parts).rename_axis("predictor").reset_index()[columns] if parts else pd.DataFrame(columns=columns)


def _design(predictors: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.ones(len(predictors)), predictors.to_numpy(float)])


def _solved(design: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and the sum of squared residuals."""
    weights = np.linalg.lstsq(design, outcome, rcond=None)[0]
    return weights, float(((outcome - design @ weights) ** 2).sum())
