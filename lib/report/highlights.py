"""The two results of the study beyond the paper that bear on its question: does direction help without small gradients; what is best?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.report import grid_figures
from lib.report.effects import Effect, effect
from lib.report.published_folder import Published
from lib.report.study_sentences import called

SMALLER = 0.5  # gradients shorter than this times those without a penalty are called small


def words(study: Published) -> list[str]:
    """A sentence each, where the study has the variants for it."""
    variants = study.document["variants"]
    return [*_direction(study.table, variants), *_best(study.table, variants)]


def between(table: pd.DataFrame, first: str, second: str, measure: str = "robust") -> Effect:
    """One measure of one variant minus that of another (of norms, the ratio), paired by seed."""
    column = {"robust": "robust", "norm": "label_norm"}[measure]
    by_seed = table.pivot(index="seed", columns="variant", values=column)[[first, second]].dropna()
    return effect(measure, by_seed[first].to_numpy(float), by_seed[second].to_numpy(float))


def _direction(table: pd.DataFrame, variants: dict[str, dict]) -> list[str]:
    corners = _corners(table, variants)
    if len(corners) < 4:
        return []
    both, direction, norm, neither = corners
    gain, size = between(table, direction, neither), between(table, direction, neither, "norm").mean
    longer = between(table, direction, both, "norm").mean
    if not gain.clear:
        start = "Whether the direction of the gradients helps without their being small is not decided"
    elif gain.mean < 0:
        start = "The direction of the gradients alone harms"
    elif size < SMALLER:
        start = "The direction of the gradients alone helps, but makes them small as well"
    else:
        start = "The direction of the gradients helps even where they are not small"
    weights = grid_figures.cells(table, variants).groupby("variant")[list(grid_figures.WEIGHTS)].first().loc[direction]
    return [
        f"{start}: a network trained on the direction alone (λd {weights['lambda_d']:g}, λm 0), whose gradients are {longer:.2g} times as "
        f"long as with both penalties, keeps {_level(table, direction)} under the strict attack; with the norm’s penalty alone "
        f"{_level(table, norm)}, with both {_level(table, both)}, with neither {_level(table, neither)} (direction alone over neither "
        f"{gain.shown} {gain.interval} points)."
    ]


def _corners(table: pd.DataFrame, variants: dict[str, dict]) -> list[str]:
    """The variants of the grid with both penalties, the direction's alone, the norm's alone, and neither; those that are there."""
    cells = grid_figures.cells(table, variants)
    both = cells[(cells[list(grid_figures.WEIGHTS)] > 0).all(axis=1)]
    if both.empty:
        return []
    direction, norm = both[both["variant"] == _as_shipped(table, both, variants)][list(grid_figures.WEIGHTS)].iloc[0]
    found = []
    for one, other in ((direction, norm), (direction, 0.0), (0.0, norm), (0.0, 0.0)):
        mine = cells[(cells["lambda_d"] == one) & (cells["lambda_m"] == other)]["variant"]
        found += [str(mine.iloc[0])] if len(mine) else []
    return found


def _as_shipped(table: pd.DataFrame, both: pd.DataFrame, variants: dict[str, dict]) -> str:
    """The cell that is trained as what the grid is compared with, and so has its numbers; without one the most robust cell."""
    means = table.groupby("variant")[["robust", "label_norm"]].mean()
    for name in dict.fromkeys(both["variant"]):
        base = variants[name].get("base")
        if base in means.index and np.allclose(means.loc[name], means.loc[base], rtol=1e-5):
            return str(name)
    return str(both.groupby("variant")["robust"].mean().idxmax())


def _best(table: pd.DataFrame, variants: dict[str, dict]) -> list[str]:
    means = table.groupby("variant", sort=False)["robust"].mean()
    labels = dict(zip(table["variant"], table["label"]))
    first = str(means.idxmax())
    ours = _reference(variants, list(means.index))
    if ours is None or first == ours:
        return []
    gap = between(table, first, ours)
    bare = not variants[first].get("targets") and variants[first].get("stage") != "train_distilled"
    how = ", trained without any map," if bare else ""
    luck = f"the best of {len(means)} is partly luck"
    return [
        f"Of all {len(means)} variants {called(labels[first])}{how} has the highest accuracy under the strict attack, "
        f"{_level(table, first)}; {called(labels[ours])} has {_level(table, ours)} ({gap.shown} {gap.interval} points; {luck})."
    ]


def _reference(variants: dict[str, dict], present: Sequence[str]) -> str | None:
    """The variant that most others are compared with."""
    bases = [str(entry["base"]) for entry in variants.values() if entry.get("base") in present]
    return max(sorted(set(bases)), key=bases.count) if bases else None


def _level(table: pd.DataFrame, variant: str) -> str:
    return f"{100 * float(np.mean(table[table['variant'] == variant]['robust'])):.1f} %"
