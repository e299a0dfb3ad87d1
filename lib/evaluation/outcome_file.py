"""What an attack suite found on one model: the outcome of every single image, in HDF5. Accuracies are derived, never stored.

Layout: `rows`, `labels`, `clean` (n,) and one group per attack, `attacks/0`, `attacks/1`, … with `correct` (runs, n) uint8, `asked` (n,)
uint8, and `telemetry/<name>` (n,) float32.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from lib.base import h5, json_text, params
from lib.base.errors import require

KIND = "outcomes"


@dataclass(frozen=True)
class Record:
    """One attack at one radius: `correct` (runs, n) bool, true where the model still classified the attacked image correctly.

    `aggregate` says how runs become one accuracy: "mean" (the paper: independent runs are averaged) or "worst" (an image counts
    as robust only if no run fooled it). `settings` holds every hyperparameter of the attack, `telemetry` what it noticed on each
    image, (n,) float32, NaN where it was not attacked. `asked` (n,) bool says on which images the attack was tried; None: on all.
    """

    semantics: str
    attack: str
    norm: str
    epsilon: float
    aggregate: Literal["mean", "worst"]
    correct: np.ndarray
    settings: dict = field(default_factory=dict)
    telemetry: dict[str, np.ndarray] = field(default_factory=dict)
    asked: np.ndarray | None = None

    @property
    def per_image(self) -> np.ndarray:
        """How far each image counts as robust, (n,) float: 0 or 1 for the worst case, a share of the runs for the mean."""
        return self.correct.mean(0) if self.aggregate == "mean" else self.correct.all(0).astype(float)

    @property
    def accuracy(self) -> float:
        """Robust accuracy as a fraction of the images that were asked for.

        >>> fooled_once = np.array([[True, True], [True, False]])
        >>> Record("paper", "pgd40", "l2", 1.5, "mean", fooled_once).accuracy
        0.75
        >>> Record("strict", "pgd40", "l2", 1.5, "worst", fooled_once).accuracy
        0.5
        """
        return float((self.per_image if self.asked is None else self.per_image[self.asked]).mean())

    def noticed(self, name: str) -> np.ndarray:
        """The telemetry `name` of the images that were attacked, (m,); empty where the attack did not keep it."""
        found = self.telemetry.get(name, np.empty(0))
        return found[~np.isnan(found)]


@dataclass(frozen=True)
class Outcomes:
    """Every record of one suite on one model, with the test images (`rows` of the test split) they were found on.

    `clean` (n,) bool says which images the model classifies correctly as they are.
    """

    dataset: str
    row: str
    seed: int
    suite: str
    images_digest: str
    rows: np.ndarray
    labels: np.ndarray
    clean: np.ndarray
    records: tuple[Record, ...]


_TEXT = ("dataset", "row", "suite", "images_digest")


def write(path: Path, outcomes: Outcomes) -> None:
    """Write all records of one suite on one model."""
    with h5.writing(path, KIND, nbytes=nbytes(outcomes)) as file:
        fill(file, outcomes)


def nbytes(outcomes: Outcomes) -> int:
    """The room that the outcomes of single images take in a file, in bytes."""
    single = sum(record.correct.size + sum(4 * noticed.size for noticed in record.telemetry.values()) for record in outcomes.records)
    return single + len(outcomes.rows) * (len(outcomes.records) + 17)


def fill(file: h5py.File, outcomes: Outcomes) -> None:
    """Put `outcomes` into an open file."""
    h5.tell(file, **{name: getattr(outcomes, name) for name in _TEXT}, seed=outcomes.seed)
    file["rows"], file["labels"] = outcomes.rows, outcomes.labels
    file["clean"] = outcomes.clean.astype(np.uint8)
    for index, record in enumerate(outcomes.records):
        group = file.create_group(f"attacks/{index}")
        group["correct"] = record.correct.astype(np.uint8)
        h5.tell(group, **{name: getattr(record, name) for name in ("semantics", "attack", "norm", "epsilon", "aggregate")})
        h5.tell(group, settings=json.dumps(record.settings, sort_keys=True))
        for name, noticed in sorted(record.telemetry.items()):  # the order is part of the bytes
            group[f"telemetry/{name}"] = noticed.astype(np.float32)
        if record.asked is not None:
            group["asked"] = record.asked.astype(np.uint8)


def read(path: Path) -> Outcomes:
    """Read what `write` wrote; raises `InputError` for anything else, and for outcomes that cannot be."""
    with h5.reading(path, KIND) as file:
        return taken(file, path)


def taken(file: h5py.File, path: Path) -> Outcomes:
    """What `fill` put into the open file at `path`."""
    text = {name: h5.attribute(file, name, path) for name in _TEXT}
    groups = h5.numbered(file, "attacks", path) if "attacks" in file else {}
    records = tuple(_record(entry, path) for entry in groups.values())
    rows, labels, clean = h5.array(file, "rows", path), h5.array(file, "labels", path), h5.flags(file, "clean", path)
    found = Outcomes(**text, seed=h5.attribute(file, "seed", path, int), rows=rows, labels=labels, clean=clean, records=records)
    for name, values in {"rows": rows, "labels": labels, "clean": clean}.items():
        plain = values.shape == (len(rows),) and values.dtype.kind in "iub" and int(values.min(initial=0)) >= 0
        require(plain, f"{path}: {name} must be ({len(rows)},) and whole numbers from 0 on, got {values.shape} {values.dtype}")
    for index, record in zip(groups, records):
        _require_possible(record, clean, f"{path}: attacks/{index}")
    return found


def _record(group: h5py.Group, path: Path) -> Record:
    text = {name: h5.attribute(group, name, path) for name in ("semantics", "attack", "norm", "aggregate")}
    correct, epsilon = h5.flags(group, "correct", path), h5.attribute(group, "epsilon", path, float)
    telemetry = {name: h5.array(group, f"telemetry/{name}", path) for name in group.get("telemetry", {})}
    asked = h5.flags(group, "asked", path) if "asked" in group else None
    settings = json_text.parsed(h5.attribute(group, "settings", path), f"{path}: attribute 'settings' of {group.name}")
    return Record(**text, epsilon=epsilon, correct=correct, settings=settings, telemetry=telemetry, asked=asked)  # type: ignore[arg-type]


def _require_possible(record: Record, clean: np.ndarray, where: str) -> None:
    """What no attack can have found, `clean` (n,) bool being what the model makes of the images as they are."""
    require(record.aggregate in ("mean", "worst"), f"{where}: aggregate must be mean or worst, got {record.aggregate!r}")
    named = bool(params.NAME.fullmatch(record.semantics))
    require(named, f"{where}: semantics must be a name of letters, digits and underscores, got {record.semantics!r}")
    require(record.norm in ("l2", "linf", "none"), f"{where}: norm must be l2, linf or none, got {record.norm!r}")
    ball = 0 < record.epsilon < math.inf or (record.norm, record.epsilon) == ("none", 0)
    require(ball, f"{where}: epsilon must be positive and finite, got {record.epsilon}")
    runs, count = record.correct.shape if record.correct.ndim == 2 else (0, 0)
    require(runs > 0 and count == len(clean), f"{where}: correct must be (runs, {len(clean)}), got {record.correct.shape}")
    for name, values in {"asked": clean if record.asked is None else record.asked, **record.telemetry}.items():
        require(values.shape == clean.shape, f"{where}: {name} must be {clean.shape}, got {values.shape}")
    wrong = np.flatnonzero((record.correct & ~clean).any(0))
    require(not len(wrong), f"{where}: image {wrong[:1]} is correct under attack, but was misclassified as it is")
