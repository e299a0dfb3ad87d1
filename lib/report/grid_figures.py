"""The grid of λd and λm as heat maps."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lib.report.drawing import INK, drawn
from lib.report.figures import Picture

GROUP = "grid"
WEIGHTS = ("lambda_d", "lambda_m")
PANELS = {"robust": ("(a) Accuracy, strict attack, %", 100, 0), "label_norm": ("(b) Norm of the label’s gradient", 1, 2)}
PANELS |= {"cosine_reference": ("(c) Cosine with the reference", 1, 2)}


def cells(frame: pd.DataFrame, variants: dict[str, dict]) -> pd.DataFrame:
    """The study's lines of the variants in the group "grid", with columns lambda_d and lambda_m from what each variant changes.

    Args:
        variants: section `variants` of the study's params.yaml.
    """
    weights = {name: _weights(entry.get("change") or {}) for name, entry in variants.items() if entry["group"] == GROUP}
    complete = {name: found for name, found in weights.items() if set(found) == set(WEIGHTS)}
    chosen = frame[frame["variant"].isin(complete)]
    return chosen.assign(**{weight: [complete[name][weight] for name in chosen["variant"]] for weight in WEIGHTS})


def grid_figure(found: pd.DataFrame, folder: Path) -> Picture:
    """Three heat maps over λd (across) and λm (up), each cell with the mean over the seeds and their standard deviation."""
    with drawn(folder / "beyond_grid", 9.6, 3.3) as figure:
        for axes, (column, (title, factor, digits)) in zip(figure.subplots(1, 3), PANELS.items()):
            values = found.assign(shown=factor * found[column])
            means, spread = (_table(values, how) for how in ("mean", "std"))
            _heat(axes, means, spread, digits)
            axes.set_title(title, loc="left")
            axes.set_xlabel("λd, weight of the direction")
        figure.axes[0].set_ylabel("λm, weight of the norm")
    best = found.groupby(list(WEIGHTS))["robust"].mean()
    place = dict(zip(WEIGHTS, best.idxmax()))
    caption = "Mean over the seeds and, smaller, their standard deviation. Darker is lower. λd = 0 penalises the norm alone, λm = 0 the "
    caption += "direction alone; at 0 and 0 the network is trained without any penalty, as Standard is, but from the initial weights "
    caption += "of the students: how far the two part shows how much chance does."
    alt = f"Three heat maps; robust accuracy is highest, {best.max():.0%}, at λd {place['lambda_d']:g} and λm {place['lambda_m']:g}."
    return Picture("beyond_grid", "Figure 10. Direction against magnitude", caption, alt, 9.6)


def _weights(change: dict) -> dict[str, float]:
    return {key.rpartition(".")[2]: float(value) for key, value in change.items() if key.rpartition(".")[2] in WEIGHTS}


def _table(values: pd.DataFrame, how: str) -> pd.DataFrame:
    """λm by rows, ascending; λd by columns, ascending; NaN where the grid has no such cell."""
    return values.pivot_table(index=WEIGHTS[1], columns=WEIGHTS[0], values="shown", aggfunc=how, dropna=False).sort_index()


def _heat(axes: Axes, means: pd.DataFrame, spread: pd.DataFrame, digits: int) -> None:
    picture = axes.imshow(means, origin="lower", cmap="cividis", aspect="auto")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks(range(means.shape[1]), [f"{value:g}" for value in means.columns])
    axes.set_yticks(range(means.shape[0]), [f"{value:.3g}" for value in means.index])
    for (row, column), value in np.ndenumerate(means.to_numpy()):
        if np.isnan(value):
            continue
        red, green, blue, _ = picture.cmap(picture.norm(value))
        ink = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else INK
        axes.text(
            column,
            row + 0.08,
            f"{value:.{digits}f}".replace("-", "−"),
            ha="center",
            va="center",
            color=ink,
            fontsize=9.5,
            fontweight="bold",
        )
        deviation = spread.to_numpy()[row, column]
        axes.text(column, row - 0.22, f"± {deviation:.{max(digits, 1)}f}", ha="center", va="center", color=ink, fontsize=6.8)
