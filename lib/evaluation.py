"""One attack suite on one model, image by image."""

import importlib
import importlib.util
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import torch
from torch import nn

from lib.base.errors import require
from lib.base.image_file import Split
from lib.network.batches import Batch, on_device
from lib.network.model_state import evaluating
from lib.network.progress import progress
from lib.outcome_file import Outcomes, Record
from lib.threats import Threat


@dataclass(frozen=True)
class Evaluation:
    """Section `evaluation`: how many images of the test split are attacked (null: all), and how many at a time."""

    images: int | None
    batch_size: int

    def __post_init__(self) -> None:
        require(self.images is None or self.images > 0, f"images must be positive or null, got {self.images}")
        require(self.batch_size > 0, f"batch_size must be positive, got {self.batch_size}")


def suite(name: str) -> ModuleType:
    """The file of lib/attacks called `name`; it offers `Settings` and `records`."""
    known = importlib.util.find_spec(f"lib.attacks.{name}") if name.isidentifier() else None
    require(known is not None, f"attack suite must be a file in lib/attacks, got {name!r}")
    return importlib.import_module(f"lib.attacks.{name}")


def outcomes(
    model: nn.Module,
    test: Split,
    row: str,
    seed: int,
    suite_name: str,
    settings: object,
    threats: list[Threat],
    plan: Evaluation,
    device: torch.device,
) -> Outcomes:
    """Clean and attacked outcomes of the first images of the test split.

    Images that the model misclassifies as they are count as not robust and are not attacked.

    Raises:
        InputError: more images are asked for than the split has, or an output is not finite.
    """
    count = len(test) if plan.images is None else plan.images
    require(count <= len(test), f"evaluation.images is {count}, the test split has {len(test)}")
    data = on_device(test, device).take(slice(0, count))
    with evaluating(model):
        clean = _correct(model, data, plan.batch_size)
        records = _attacked(model, data, np.flatnonzero(clean), suite(suite_name), settings, threats, plan.batch_size)
    complete = tuple(_spread(record, np.flatnonzero(clean), count) for record in records)
    rows = np.arange(count, dtype=np.int64)
    return Outcomes(test.dataset, row, seed, suite_name, test.digest, rows, test.labels[:count], clean, complete)


def _correct(model: nn.Module, data: Batch, size: int) -> np.ndarray:
    parts = []
    with torch.no_grad():
        for first in range(0, len(data), size):
            part = data.take(slice(first, first + size))
            logits = model(part.images)
            require(bool(torch.isfinite(logits).all()), f"the model's outputs must be finite, those of images {first} and after are not")
            parts.append((logits.argmax(1) == part.labels).cpu().numpy())
    return np.concatenate(parts)


def _attacked(
    model: nn.Module, data: Batch, rows: np.ndarray, chosen: ModuleType, settings: object, threats: list[Threat], size: int
) -> list[Record]:
    require(len(rows) > 0, "the model classifies no test image correctly, there is nothing to attack")
    batches = [rows[first : first + size] for first in range(0, len(rows), size)]
    parts = []
    for batch in progress(batches, "attacking", unit="batch"):
        index = torch.from_numpy(batch).to(data.labels.device)
        parts.append(chosen.records(model, data.take(index), batch, threats, settings))
    return [_joined(list(same)) for same in zip(*parts, strict=True)]


def _joined(parts: list[Record]) -> Record:
    """Records of consecutive batches as one; telemetry is averaged by number of images."""
    weights = np.array([part.correct.shape[1] for part in parts]) / sum(part.correct.shape[1] for part in parts)
    telemetry = {name: float(sum(w * part.telemetry[name] for w, part in zip(weights, parts, strict=True))) for name in parts[0].telemetry}
    return replace(parts[0], correct=np.concatenate([part.correct for part in parts], 1), telemetry=telemetry)


def _spread(record: Record, rows: np.ndarray, count: int) -> Record:
    correct = np.zeros((len(record.correct), count), bool)
    correct[:, rows] = record.correct
    return replace(record, correct=correct)
