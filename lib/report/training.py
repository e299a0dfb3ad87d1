"""How every training went: the histories of all networks as one table, behind the training curves of `dvc plots`, and whether each had
come to its end."""

from pathlib import Path

import pandas as pd

from lib.base import checksums
from lib.base.errors import InputError, require
from lib.report.results import labels
from lib.report.rows import rows, seeds
from lib.statistics import trained_out

HISTORY = "history.csv"
BEFORE = ["technique", "row", "seed", "epoch", "learning_rate", "first_loss", "loss"]
AFTER = ["train_accuracy", "validation_loss", "validation_accuracy", "validation_gradient_norm", "test_accuracy", "selected"]
COURSES = ["technique", "row", "seed", "epochs", "fell", "late", "trained_out"]
DIGITS = 6


def frame(models: Path | None) -> pd.DataFrame:
    """One line per row, seed and epoch, with the columns of models/<seed>/<row>/history.csv (lib/training/loop.py).

    The objectives' terms stand behind the loss; where a row's objective lacks a term the cell is NaN. Figures keep six digits.
    Without `models` there are columns only.

    Raises:
        InputError: a network that params.yaml asks for has no history.
    """
    if models is None:
        return pd.DataFrame(columns=[*BEFORE, *AFTER])
    names = labels(rows())
    parts = [
        _history(models / str(seed) / row / HISTORY).assign(technique=technique, row=row, seed=seed)
        for row, technique in names.items()
        for seed in seeds()
    ]
    found = pd.concat(parts, ignore_index=True)
    return found[_ordered(list(found.columns))].map(_short)


def courses(histories: pd.DataFrame) -> pd.DataFrame:
    """Of what `frame` gives one line per row and seed: its epochs, `fell`, `late` and `trained_out` (lib/statistics/trained_out.py)."""
    lines = []
    for (technique, row, seed), history in histories.groupby(["technique", "row", "seed"], sort=False):
        found = trained_out.course(history["first_loss"].iloc[0], list(history["loss"]))
        named = {"technique": technique, "row": row, "seed": seed, "epochs": len(history)}
        lines.append(named | {"fell": _short(found.fell), "late": _short(found.late), "trained_out": found.trained_out})
    return pd.DataFrame(lines, columns=COURSES)


def missed(courses: pd.DataFrame) -> pd.DataFrame:
    """The lines of `courses` that were not trained out."""
    return courses[~courses["trained_out"].astype(bool)]


def unfinished(courses: pd.DataFrame) -> dict[str, list[int]]:
    """By row the seeds under which it was not trained out; rows that were under every seed are left out."""
    return {str(row): list(map(int, seeds)) for row, seeds in missed(courses).groupby("row", sort=False)["seed"]}


def _history(path: Path) -> pd.DataFrame:
    checksums.unchanged(path, "the history of a training")
    try:
        found = pd.read_csv(path)
    except ValueError as error:
        raise InputError(f"expected the history of a training at {path}, found no table: {error}") from error
    missing = sorted({"epoch", "first_loss", "loss", "selected"} - set(found.columns))
    require(not missing, f"{path} lacks the columns {', '.join(missing)} of a training's history")
    require(len(found) > 0, f"expected the epochs of a training at {path}, found none")
    return found


def _ordered(columns: list[str]) -> list[str]:
    terms = [name for name in columns if name not in (*BEFORE, *AFTER)]
    return [name for name in (*BEFORE, *terms, *AFTER) if name in columns]


def _short(cell: object) -> object:
    """A figure with six digits.

    >>> _short(0.12345678), _short("JR"), _short(3)
    (0.123457, 'JR', 3)
    """
    return float(f"{cell:.{DIGITS}g}") if isinstance(cell, float) else cell
