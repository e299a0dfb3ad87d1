"""A split as tensors on the device; no loader, no workers: images and targets fit beside the model."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lib.base.image_file import Split


@dataclass(frozen=True)
class Batch:
    """`images` (N, C, H, W) float32 in [0, 1], `labels` (N,) int64, `targets` (N, C, H, W) float32 where there are any.

    progress: of a training, how much of it is done with this batch, above 0 and up to 1.
    """

    images: Tensor
    labels: Tensor
    targets: Tensor | None = None
    progress: float = 1.0

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor | slice) -> "Batch":
        """The rows in `index`, in that order."""
        targets = None if self.targets is None else self.targets[index]
        return replace(self, images=self.images[index], labels=self.labels[index], targets=targets)


def on_device(split: Split, device: torch.device, targets: np.ndarray | None = None) -> Batch:
    """A whole split as one batch on `device`, pixels divided by 255."""
    images = torch.from_numpy(split.images).to(device).float().div_(255).to(memory_format=torch.channels_last)
    maps = None if targets is None else torch.from_numpy(targets).to(device)
    return Batch(images, torch.from_numpy(split.labels).to(device), maps)
