"""How good a teacher is, for the provenance of its maps: clean and robust accuracy on images that it was not trained on."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import nn

from lib.base.errors import require
from lib.base.image_file import Split
from lib.network import runtime
from lib.network.batches import Batch, on_device
from lib.network.model_state import evaluating
from lib.objectives import adversarial


@dataclass(frozen=True)
class Accuracy:
    """Section `saliency.accuracy`: on the first `images` of the validation split, under PGD as adversarial training crafts it
    (lib/objectives/adversarial.py, rules "strict"): one run on the cross-entropy from a random start, its last iterate."""

    images: int
    norm: Literal["l2", "linf"]
    epsilon: float
    step_size: float
    steps: int

    def __post_init__(self) -> None:
        require(self.images > 0, f"images must be positive, got {self.images}")
        self.attack()

    def attack(self) -> adversarial.Settings:
        """The attack; its own checks are those of adversarial training."""
        return adversarial.Settings(self.epsilon, self.norm, self.step_size, self.steps, "eval", "strict")


def measured(model: nn.Module, validation: Split, plan: Accuracy, size: int, replication: int) -> dict[str, Any]:
    """Both accuracies as fractions, with the settings and the number of images that they were measured on.

    A glance, not an evaluation: stage evaluate-attacks is far stronger. `size` images are attacked at a time; the attack's starts belong to
    the `replication`, the teacher's seed.
    """
    rows = range(min(plan.images, len(validation)))
    device = next(model.parameters()).device
    noise = torch.Generator(device).manual_seed(runtime.derived_seed(replication, "accuracy"))
    clean = robust = 0
    with evaluating(model):
        for first in range(0, len(rows), size):
            part = slice(first, min(first + size, len(rows)))
            few = Split(**{**vars(validation), **{key: getattr(validation, key)[part] for key in ("images", "labels", "source_rows")}})
            batch = on_device(few, device)
            clean += _correct(model, batch)
            robust += _correct(model, Batch(adversarial.examples(model, batch, noise, plan.attack()), batch.labels))
    return {**asdict(plan), "split": "validation", "images": len(rows), "clean": clean / len(rows), "robust": robust / len(rows)}


def _correct(model: nn.Module, batch: Batch) -> int:
    with torch.no_grad():
        return int((model(batch.images).argmax(1) == batch.labels).sum())
