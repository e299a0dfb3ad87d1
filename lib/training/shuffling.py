"""Shuffled batches of data that already are on the device."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lib.base.errors import require
from lib.network.batches import Batch
from lib.training.augment import crop_and_flip

Finish = Callable[[Tensor], Tensor]  # what is done to a batch's targets after they were cropped and flipped


def shuffled(data: Batch, size: int, generator: torch.Generator, augment: bool, finish: Finish | None = None) -> Iterator[Batch]:
    """Every row once, in random batches of `size` (the last may be smaller), cropped and flipped with its target if asked.

    `generator` lives on the CPU, so that the order of the data does not depend on the device.
    """
    require(size <= len(data), f"batch_size {size} is larger than the {len(data)} training images")
    order = torch.randperm(len(data), generator=generator).to(data.labels.device)  # at once: no batch waits for a transfer
    for index in order.split(size):
        batch = data.take(index)
        batch = _augmented(batch, generator) if augment else batch
        yield batch if finish is None or batch.targets is None else Batch(batch.images, batch.labels, finish(batch.targets))


def _augmented(batch: Batch, generator: torch.Generator) -> Batch:
    draws = torch.Generator(batch.images.device)
    draws.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    images, targets = crop_and_flip(batch.images, batch.targets, draws)
    last = batch.images.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    return Batch(images.contiguous(memory_format=layout), batch.labels, targets)
