"""One batch's gradients: forward pass, losses and backward pass, whole or in parts, in float32 or bfloat16, eagerly or as a CUDA graph."""

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from lib.network import processes
from lib.network.batches import Batch
from lib.training.cuda_graphs import Captured
from lib.training.distributed import Together
from lib.training.mixed_precision import lowered
from lib.training.objective import Objective, capturable


class Gradients:
    """Called with a batch, leaves the gradient of its loss in the parameters; returns loss and terms, (k,) float64 on the device.

    `names` are those of the k figures, known after the first call. Nothing here waits for the device.
    """

    def __init__(
        self, model: nn.Module, objective: Objective, noise: torch.Generator, clear: Callable[[], None], *, precision: str, parts: int
    ) -> None:
        self.model = lowered(model) if precision == "bfloat16" else model
        self.objective, self.noise, self.clear, self.parts = objective, noise, clear, parts
        self.names: tuple[str, ...] = ()

    def __call__(self, batch: Batch) -> Tensor:
        self.clear()
        return torch.stack([self._part(part, len(part) / len(batch)) for part in split(batch, self.parts)]).sum(0)

    def _part(self, batch: Batch, share: float) -> Tensor:
        """Of several processes each computes some rows of a part; what they leave must be added up (lib/training/distributed.py)."""
        mine = processes.share(len(batch))
        with processes.sharing(mine):
            loss, terms = self.objective(self.model, batch if mine.weight == 1 else batch.take(slice(mine.first, mine.last)), self.noise)
            share = share * mine.weight
            (loss * share).backward()
        self.names = ("loss", *terms)
        figures = [value.detach().to(batch.labels.device, torch.float64) for value in (loss, *terms.values())]
        return torch.stack(figures) * share


class Stepper(Protocol):
    """What the loop calls for each batch."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def __call__(self, batch: Batch) -> Tensor: ...


def split(batch: Batch, parts: int) -> list[Batch]:
    """`batch` in `parts` consecutive parts, as equal as they can be; fewer where it has fewer images."""
    if parts == 1:
        return [batch]
    edges = [len(batch) * part // parts for part in range(parts + 1)]
    return [batch.take(slice(first, last)) for first, last in pairwise(edges) if last > first]


def stepper(
    model: nn.Module, optimizer: torch.optim.Optimizer, objective: Objective, noise: torch.Generator, *, precision: str, parts: int
) -> Stepper:
    """Eager; with CUDA_GRAPHS=1 (experimental) captured as CUDA graphs on a CUDA device, unless the objective must run anew for each batch
    or several processes compute it."""
    if processes.count() > 1:
        return Together(Gradients(model, objective, noise, optimizer.zero_grad, precision=precision, parts=parts), model)
    graphs = noise.device.type == "cuda" and os.environ.get("CUDA_GRAPHS") == "1" and capturable(objective)
    if not graphs:
        return Gradients(model, objective, noise, optimizer.zero_grad, precision=precision, parts=parts)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)

    def clear() -> None:
        optimizer.zero_grad(set_to_none=False)  # a graph writes to the addresses that it was captured with

    return Captured(Gradients(model, objective, noise, clear, precision=precision, parts=parts), model, noise)
