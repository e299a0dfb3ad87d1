"""How every training went, epoch by epoch: the histories of all networks as one table, behind the training curves of `dvc plots`."""

from pathlib import Path

import pandas as pd

from lib.base.errors import InputError, require
from lib.network import folders
from lib.report.results import labels
from lib.report.rows import rows, seeds

HISTORY = "history.csv"
BEFORE = ["technique", "row", "seed", "epoch", "learning_rate", "loss"]
AFTER = ["train_accuracy", "validation_loss", "validation_accuracy", "validation_gradient_norm", "test_accuracy", "selected"]
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


def _history(path: Path) -> pd.DataFrame:
    folders.unchanged(path, "the history of a training")
    try:
        found = pd.read_csv(path)
    except ValueError as error:
        raise InputError(f"expected the history of a training at {path}, found no table: {error}") from error
    missing = sorted({"epoch", "loss", "selected"} - set(found.columns))
    require(not missing, f"{path} lacks the columns {', '.join(missing)} of a training's history")
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
