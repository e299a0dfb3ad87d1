"""What is attacked, and how records of some images become those of all."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from lib.base.errors import require
from lib.base.image_file import Split
from lib.evaluation.outcome_file import PROBE, Record
from lib.network.batches import Batch, on_device


@dataclass(frozen=True)
class Evaluation:
    """Section `evaluation`: how many images of the test split are attacked (null: all), and how many at a time."""

    images: int | None
    batch_size: int

    def __post_init__(self) -> None:
        require(self.images is None or self.images > 0, f"images must be positive or null, got {self.images}")
        require(self.batch_size > 0, f"batch_size must be positive, got {self.batch_size}")


@dataclass(frozen=True)
class Work:
    """What is attacked: images that the model classifies correctly, and at most how many of them at a time.

    `rows` (N,) are the images' numbers in the split, which every random draw belongs to. `is_first` says whether none was attacked before
    them: an attack that is for the first images only may leave out later ones.
    """

    batch: Batch
    rows: np.ndarray
    batch_size: int
    is_first: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: np.ndarray) -> "Work":
        """The images at `positions`, in that order."""
        index = torch.from_numpy(np.asarray(positions, dtype=np.int64)).to(self.batch.labels.device)
        return Work(self.batch.take(index), self.rows[positions], self.batch_size, self.is_first)

    def chunks(self, positions: np.ndarray) -> Iterator[tuple[np.ndarray, "Work"]]:
        """`positions` in groups of at most `batch_size`, each with its images: memory depends on that number alone."""
        for first in range(0, len(positions), self.batch_size):
            group = positions[first : first + self.batch_size]
            yield group, self.take(group)


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """Which images are classified correctly, (N,) bool; one whose logits are not finite never is.

    >>> right(torch.tensor([[2.0, 1.0], [float("nan"), 1.0]]), torch.tensor([0, 0]))
    tensor([ True, False])
    """
    return (logits.argmax(1) == labels) & torch.isfinite(logits).all(1)


def first_images(test: Split, images: int | None, device: torch.device) -> Batch:
    """The first `images` of the split (None: all) on `device`; raises `InputError` if it has fewer."""
    count = len(test) if images is None else images
    require(count <= len(test), f"evaluation.images is {count}, the test split has {len(test)}")
    return on_device(test, device).take(slice(0, count))


def classified(model: nn.Module, data: Batch, size: int) -> np.ndarray:
    """Which images the model classifies correctly as they are, (N,) bool; raises `InputError` where an output is not finite."""
    parts = []
    for first, logits in outputs(model, data.images, size):
        require(bool(torch.isfinite(logits).all()), f"the model's outputs must be finite, those of images {first} and after are not")
        parts.append(right(logits, data.labels[first : first + size]).cpu().numpy())
    return np.concatenate(parts)


def outputs(model: nn.Module, images: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
    """What the model gives for at most `size` images at a time, (n, K) without a graph, each with the first image's position."""
    for first in range(0, len(images), size):
        with torch.no_grad():
            logits = model(images[first : first + size])
        yield first, logits


def first(work: Work, images: int) -> np.ndarray:
    """Which images of `work` are among the first `images` of the split, (N,) bool.

    Raises:
        InputError: none is, although the model's first images are here.
    """
    asked = work.rows < images
    some = bool(asked.any()) or not work.is_first
    require(some, f"the model classifies none of the first {images} images correctly, there is nothing to attack")
    return asked


def scattered(record: Record, asked: np.ndarray) -> Record:
    """A record of the images in `asked`, (N,) bool, as one of all N images of a batch; its settings say how many `images`."""
    return replace(_placed(record, np.flatnonzero(asked), len(asked)), asked=asked)


def spread(record: Record, positions: np.ndarray, count: int) -> Record:
    """A record of the images at `positions` as one of all `count` images; the others were misclassified as they are, or are elsewhere."""
    return replace(_placed(record, positions, count), asked=_asked(record, positions, count))


def _placed(record: Record, positions: np.ndarray, count: int) -> Record:
    correct = np.zeros((len(record.correct), count), bool)
    correct[:, positions] = record.correct
    telemetry = {name: _filled(noticed, positions, count) for name, noticed in record.telemetry.items()}
    return replace(record, correct=correct, telemetry=telemetry)


def _asked(record: Record, positions: np.ndarray, count: int) -> np.ndarray | None:
    """Probes are for the first images: those among them that are misclassified as they are were asked for as well."""
    if record.asked is None:
        return None
    asked = np.arange(count) < record.settings["images"] if record.semantics == PROBE else np.zeros(count, bool)
    asked[positions] = record.asked
    return asked


def _filled(noticed: np.ndarray, positions: np.ndarray, count: int) -> np.ndarray:
    full = np.full(count, np.nan, dtype=np.float32)
    full[positions] = noticed
    return full
