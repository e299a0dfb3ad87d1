"""Saliency maps of a whole split, chunk by chunk, with memory for one chunk only."""

import importlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType

import numpy as np
from torch import nn

from lib.base.errors import require
from lib.network.batches import Batch
from lib.network.model_state import evaluating
from lib.network.progress import progress


def method(name: str) -> ModuleType:
    """The file of lib/saliency called `name`; it offers `Settings` and `maps`."""
    known = importlib.util.find_spec(f"lib.saliency.{name}") if name.isidentifier() else None
    require(known is not None, f"saliency method must be a file in lib/saliency, got {name!r}")
    return importlib.import_module(f"lib.saliency.{name}")


def chunks(model: nn.Module, data: Batch, chosen: ModuleType, settings: object, seed: int, size: int) -> Iterator[np.ndarray]:
    """Maps of consecutive rows, (n, C, H, W) float32 with n at most `size`; the chunk size changes speed and nothing else."""
    require(size > 0, f"chunk must be positive, got {size}")
    with evaluating(model):
        for first in progress(range(0, len(data), size), "saliency maps", unit="chunk"):
            part = data.take(slice(first, first + size))
            rows = range(first, first + len(part))
            yield chosen.maps(model, part.images, part.labels, rows, settings, seed).cpu().numpy()
