"""Several revisions side by side: the first is the base that the others are compared with."""

from dataclasses import dataclass
from functools import cached_property
from math import nan

import pandas as pd

from lib.base.errors import require
from lib.compare.differences import Change, changes, moved
from lib.compare.revision import Revision
from lib.compare.scores import Cell, Scores, scores
from lib.statistics.columns import CLEAN, Column, radius
from lib.statistics.intervals import wilson


@dataclass(frozen=True)
class Comparison:
    """`revisions`, at least two; `scores` of each; `changes` of each but the first against the first."""

    revisions: list[Revision]
    scores: list[dict[Cell, Scores]]
    changes: list[dict[Cell, Change]]

    @cached_property
    def rows(self) -> dict[str, str]:
        """Every row of any revision and what it is called."""
        found: dict[str, str] = {}
        for revision in self.revisions:
            found = revision.rows | found
        known = {row for each in self.scores for row, _ in each}
        return {row: name for row, name in found.items() if row in known}

    @cached_property
    def moved(self) -> list[str]:
        """The rows whose outcomes are not the same everywhere, or that not all revisions have."""
        differing = set(moved(self.changes))
        return [row for row in self.rows if row in differing or not all(self._has(row, each) for each in self.scores)]

    @cached_property
    def columns(self) -> list[Column]:
        """Every attack of any revision, clean first."""
        found = dict.fromkeys(column for each in self.scores for _, column in each)
        return [CLEAN, *(column for column in found if column != CLEAN)]

    def without(self, *files: str) -> list[str]:
        """The names of the revisions that lack one of `files`, fields of `Revision`."""
        return [revision.name for revision in self.revisions if any(not len(getattr(revision, file)) for file in files)]

    @staticmethod
    def _has(row: str, found: dict[Cell, Scores]) -> bool:
        return (row, CLEAN) in found


def comparison(revisions: list[Revision]) -> Comparison:
    """The comparison; raises `InputError` where the revisions have results of different datasets."""
    datasets = [revision.dataset for revision in revisions]
    told = ", ".join(f"{dataset} in {revision.name}" for dataset, revision in zip(datasets, revisions))
    require(len(set(datasets)) == 1, f"expected results of one dataset in all revisions, got {told}")
    found = [scores(revision) for revision in revisions]
    return Comparison(revisions, found, [changes(found[0], other) for other in found[1:]])


def to_frame(compared: Comparison) -> pd.DataFrame:
    """One line per row, attack and revision: the accuracy in percent with Wilson's interval, the difference to the first in points."""
    lines = []
    for row, technique in compared.rows.items():
        for column in compared.columns:
            for place, (revision, found) in enumerate(zip(compared.revisions, compared.scores)):
                if (row, column) in found:
                    change = compared.changes[place - 1].get((row, column)) if place else None
                    lines.append(_line(row, technique, column, revision, found[row, column]) | _difference(change))
    return pd.DataFrame(lines)


def _line(row: str, technique: str, column: Column, revision: Revision, found: Scores) -> dict[str, object]:
    low, high = wilson(found.mean, found.n)
    attack = {"semantics": column.semantics, "attack": column.attack, "norm": column.norm}
    return {
        **{"row": row, "technique": technique, **attack, "epsilon": radius(column.epsilon) if column != CLEAN else ""},
        **{"revision": revision.name, "commit": revision.commit or "", "n": found.n, "seeds": len(found.accuracies)},
        **{"percent": round(100 * found.mean, 3), "low": round(100 * low, 3), "high": round(100 * high, 3)},
    }


def _difference(change: Change | None) -> dict[str, object]:
    if change is None:
        return dict.fromkeys(("interval", "seed_differences")) | dict.fromkeys(
            ("difference", "low_difference", "high_difference", "p", "p_holm"), nan
        )
    contrast = change.contrast
    return {
        "interval": change.kind,
        "seed_differences": " ".join(f"{points:.3f}" for points in change.points.values()),
        "difference": round(contrast.estimate, 3),
        "low_difference": round(contrast.low, 3),
        "high_difference": round(contrast.high, 3),
        "p": float(f"{contrast.p:.4g}"),
        "p_holm": float(f"{contrast.adjusted:.4g}"),
    }
