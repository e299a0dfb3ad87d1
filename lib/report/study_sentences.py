"""How the numbers of a study are to be read, and in which order."""

from collections.abc import Sequence

import pandas as pd

from lib.report.effects import Change, outcome
from lib.statistics.columns import Column

COLLAPSE = 30.0  # points of clean accuracy: a network that loses so much has not learnt its task


def collapsed(changes: Sequence[Change]) -> list[Change]:
    """The variants whose clean accuracy is far below that of what they are compared with."""
    return [change for change in changes if change.effects["clean"].mean < -COLLAPSE]


def ranked(changes: Sequence[Change]) -> list[Change]:
    """The largest effect on what the study is about first, whichever way it goes; what has none (NaN) comes last."""
    return sorted(changes, key=lambda change: -change.effects[outcome(change.effects)].size)


def reading(table: pd.DataFrame) -> str:
    """How the numbers of a study's table (lib/studies/study_table.py) and their effects are to be read."""
    first, seeds = table.iloc[0], int(table["seed"].nunique())
    images, threat = int(first["n_attacked"]), Column("", "", first["norm"], first["epsilon"]).threat
    return (
        f"Means over {seeds} seeds; robust accuracy on {images} test images at {threat} (elsewhere where its name says so). Differences "
        "are paired by seed; norms and radii are compared as ratios. Intervals are those of all comparisons of this page; where no single "
        "images were published, over seeds only. Bold: the interval excludes no effect; †: also after Holm’s correction over all variants "
        "of the study, measure by measure."
    )
