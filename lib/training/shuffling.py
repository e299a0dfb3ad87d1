"""Shuffled batches of data that already are on the device."""

from collections.abc import Iterator

import torch

from lib.base.errors import require
from lib.network.batches import Batch
from lib.training.augment import crop_and_flip


def shuffled(data: Batch, size: int, generator: torch.Generator, augment: bool) -> Iterator[Batch]:
    """Every row once, in random batches of `size` (the last may be smaller), cropped and flipped with its target if asked.

    `generator` lives on the CPU, so that the order of the data does not depend on the device.
    """
    require(size <= len(data), f"batch_size {size} is larger than the {len(data)} training images")
    for index in torch.randperm(len(data), generator=generator).split(size):
        batch = data.take(index.to(data.labels.device))
        yield _augmented(batch, generator) if augment else batch


def _augmented(batch: Batch, generator: torch.Generator) -> Batch:
    draws = torch.Generator(batch.images.device)
    draws.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    images, targets = crop_and_flip(batch.images, batch.targets, draws)
    return Batch(images.contiguous(memory_format=torch.channels_last), batch.labels, targets)
