"""Size and direction of a model's input gradients, image by image: Figures 3b, 3c and 4."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import require
from lib.gradients.gradient_file import Gradients
from lib.network.batches import Batch
from lib.network.input_gradients import jacobian
from lib.network.model_state import evaluating


@dataclass(frozen=True)
class Plan:
    """Section `gradients`: how many train images are measured (null: all), how many gradients are kept as maps, and which target
    set every row is compared with."""

    images: int | None
    examples: int
    batch_size: int
    reference: str

    def __post_init__(self) -> None:
        require(self.images is None or self.images > 0, f"images must be positive or null, got {self.images}")
        require(self.examples >= 0, f"examples must not be negative, got {self.examples}")
        require(self.batch_size > 0, f"batch_size must be positive, got {self.batch_size}")


def gradients(model: nn.Module, data: Batch, reference: np.ndarray, targets: np.ndarray | None, plan: Plan) -> Gradients:
    """Measure `model` in eval mode on every image of `data`.

    Args:
        data: images (N, C, H, W) and labels (N,).
        reference: (N, C, H, W), the target set that all models are compared with.
        targets: (N, C, H, W), the model's own targets, or None.
    """
    parts = []
    with evaluating(model):
        for first in range(0, len(data), plan.batch_size):
            rows = slice(first, first + plan.batch_size)
            part = data.take(rows)
            parts.append(_measured(model, part, reference[rows], None if targets is None else targets[rows]))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    maps = joined.pop("maps")[: plan.examples]
    return Gradients(joined["label_norm"], joined["other_norm"], joined["cosine_reference"], joined.get("cosine_target"), maps)


def norms(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Norm of the label's Jacobian row and mean norm of the K - 1 others (Fig. 4), each (N,), from rows (N, K, C, H, W).

    >>> rows = torch.tensor([3.0, 4.0, 8.0]).view(1, 3, 1, 1, 1)
    >>> norms(rows, torch.tensor([0]))
    (tensor([3.]), tensor([6.]))
    """
    length = rows.flatten(2).norm(dim=2)
    label = length.gather(1, labels[:, None])[:, 0]
    return label, (length.sum(1) - label) / (length.shape[1] - 1)


def _measured(model: nn.Module, part: Batch, reference: np.ndarray, targets: np.ndarray | None) -> dict[str, np.ndarray]:
    images = part.images.detach().requires_grad_(True)
    with torch.enable_grad():
        rows = jacobian(model(images), images)
    label_norm, other_norm = norms(rows, part.labels)
    gradient = rows[torch.arange(len(part)), part.labels]
    found = {"label_norm": label_norm, "other_norm": other_norm, "cosine_reference": _cosine(gradient, reference), "maps": gradient}
    if targets is not None:
        found["cosine_target"] = _cosine(gradient, targets)
    return {name: values.cpu().numpy() for name, values in found.items()}


def _cosine(gradient: Tensor, maps: np.ndarray) -> Tensor:
    return functional.cosine_similarity(gradient.flatten(1), torch.from_numpy(maps).to(gradient).flatten(1), dim=1)
