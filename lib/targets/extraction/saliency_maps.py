"""Saliency maps of the rows of a split, pass by pass; no result depends on how the rows are shared out."""

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from lib.base import params, per_image_rng
from lib.base.choices import choice
from lib.base.errors import require
from lib.base.image_file import Opened
from lib.network.batches import Batch, on_device
from lib.network.model_state import evaluating
from lib.network.progress import progress


def method(name: str) -> ModuleType:
    """The file of lib/saliency called `name`; it offers `Settings` and `maps(model, images, labels, settings, noise)`."""
    return choice("lib.saliency", name, "saliency method")


def pass_size() -> int:
    """`saliency.batch_size` of params.yaml: how many images are differentiated together."""
    size = params.value("saliency", "batch_size")
    require(type(size) is int and size > 0, f"saliency.batch_size must be a positive integer, got {size!r}")
    return size


def chunks(
    model: nn.Module, data: Batch, chosen: ModuleType, settings: object, seed: int, size: int, first: int = 0, total: int | None = None
) -> Iterator[np.ndarray]:
    """Maps of consecutive rows, (n, C, H, W) float32 with n = `size` images in each pass, fewer in the last.

    Args:
        first: the row of the split that `data` starts with; a multiple of `size`, so that the same images share a pass whatever part of
            the split is asked for. Then the results are the same bit for bit on one device.
        total: rows of the split, for the progress that is shown; None: those of `data`.
    """
    require(size > 0, f"saliency.batch_size must be positive, got {size}")
    require(first % size == 0, f"the first row must be a multiple of saliency.batch_size {size}, got {first}")
    passes, of = range(0, len(data), size), -(-(total or len(data)) // size)
    with evaluating(model):
        for start in progress(passes, "saliency maps", of, "pass", first // size):
            part = data.take(slice(start, start + size))
            noise = noise_of(part.images, range(first + start, first + start + len(part)), seed)
            yield chosen.maps(model, part.images, part.labels, settings, noise).cpu().numpy()


def of_rows(
    model: nn.Module, train: Opened, device: torch.device, chosen: ModuleType, settings: object, seed: int, size: int, rows: range
) -> Iterator[np.ndarray]:
    """`chunks` for some rows of an open split; only their images are read."""
    yield from chunks(model, on_device(train.rows(rows), device), chosen, settings, seed, size, rows.start, len(train))


def noise_of(images: Tensor, rows: Iterable[int], seed: int) -> Callable[[int], Tensor]:
    """`noise(samples)` gives standard normal numbers (N, samples, C, H, W) on the images' device.

    What an image gets depends on `seed` and its row alone (lib/base/per_image_rng.py), not on the pass or the device.
    """
    shape = tuple(images.shape[1:])
    return lambda samples: torch.from_numpy(per_image_rng.normal(seed, "saliency", rows, (samples, *shape))).to(images)
