"""Saliency maps of a whole split, chunk by chunk, with memory for one chunk only."""

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from lib import draws
from lib.base.errors import require
from lib.network.batches import Batch
from lib.network.choices import choice
from lib.network.model_state import evaluating
from lib.network.progress import progress


def method(name: str) -> ModuleType:
    """The file of lib/saliency called `name`; it offers `Settings` and `maps(model, images, labels, settings, noise)`."""
    return choice("lib.saliency", name, "saliency method")


def chunks(model: nn.Module, data: Batch, chosen: ModuleType, settings: object, seed: int, size: int) -> Iterator[np.ndarray]:
    """Maps of consecutive rows, (n, C, H, W) float32 with n at most `size`; the chunk size changes speed and nothing else."""
    require(size > 0, f"chunk must be positive, got {size}")
    with evaluating(model):
        for first in progress(range(0, len(data), size), "saliency maps", unit="chunk"):
            part = data.take(slice(first, first + size))
            noise = noise_of(part.images, range(first, first + len(part)), seed)
            yield chosen.maps(model, part.images, part.labels, settings, noise).cpu().numpy()


def noise_of(images: Tensor, rows: Iterable[int], seed: int) -> Callable[[int], Tensor]:
    """`noise(samples)` gives standard normal numbers (N, samples, C, H, W) on the images' device.

    What an image gets depends on `seed` and its row alone (lib/draws.py), not on the chunk or the device.
    """
    shape = tuple(images.shape[1:])
    return lambda samples: torch.from_numpy(draws.normal(seed, "saliency", rows, (samples, *shape))).to(images)
