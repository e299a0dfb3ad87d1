"""One training computed by several processes: who they are, what they tell each other, and which images of a batch each of them computes.

lib/training/launch.py starts them. Each draws what one process would draw for the whole batch and computes with the rows of its share; sums
over the batch run through all processes, in both directions. Without others all of this does nothing.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value")


@dataclass(frozen=True)
class Share:
    """What one process computes of a batch of `total` images: those from `first` up to `last`, which is not among them."""

    first: int
    last: int
    total: int

    @property
    def weight(self) -> float:
        """Its part of the batch's mean."""
        return (self.last - self.first) / self.total

    def rows(self, count: int) -> tuple[slice, int]:
        """Where the `count` rows made of this share stand among those of the whole batch, and how many these are; images may have been
        repeated, copies side by side.

        >>> Share(3, 5, 5).rows(4)
        (slice(6, 10, None), 10)
        """
        copies = count // (self.last - self.first)
        return slice(self.first * copies, self.last * copies), self.total * copies


_sharing: list[Share] = []


def count() -> int:
    """How many processes compute this training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the process that measures, writes and reports."""
    return not dist.is_initialized() or dist.get_rank() == 0


def share(total: int) -> Share:
    """This process's share of a batch of `total` images; shares follow each other and differ by one image at most."""
    here = dist.get_rank() if dist.is_initialized() else 0
    return Share(total * here // count(), total * (here + 1) // count(), total)


@contextmanager
def sharing(part: Share) -> Iterator[None]:
    """Inside, `drawn`, `weight`, `summed` and `norm` are about the batch that `part` belongs to."""
    _sharing.append(part)
    try:
        yield
    finally:
        _sharing.pop()


def current() -> Share | None:
    """The share that is computed at this moment; None where there is nobody to share with."""
    return _sharing[-1] if _sharing and count() > 1 else None


def weight() -> float:
    """The share of this process in a mean over the batch: a local mean times it is what the local images give."""
    part = current()
    return 1.0 if part is None else part.weight


def drawn(draw: Callable[..., Tensor], shape: tuple[int, ...], generator: torch.Generator, **kind: Any) -> Tensor:
    """`draw(shape, …)`, torch.rand or torch.randn, for one number or more of each image: the rows of this process out of what is drawn
    for the whole batch, so that the numbers of an image depend on no share."""
    part = current()
    if part is None:
        return draw(shape, generator=generator, **kind)
    rows, total = part.rows(shape[0])
    return draw((total, *shape[1:]), generator=generator, **kind)[rows].clone()


def summed(values: Tensor) -> Tensor:
    """The sum of `values` over the processes, differentiable any number of times; only where all of them call it."""
    return values if current() is None else _Summed.apply(values)


def norm(values: Tensor) -> Tensor:
    """L2 norm of `values` of the whole batch, with gradient zero at zero as torch has it."""
    if current() is None:
        return values.norm()
    own = torch.zeros(count(), dtype=values.dtype, device=values.device)
    own[dist.get_rank()] = 1.0
    return summed(own * values.norm()).norm()


class _Summed(torch.autograd.Function):
    """Every process's result depends on every process's values: the gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        found = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Summed.apply(gradient)


def from_first(make: Callable[[], Value]) -> Value:
    """What `make` gives in the first process, for all of them; the others do not call it."""
    if count() == 1:
        return make()
    told = [make() if is_first() else None]
    dist.broadcast_object_list(told, device=_device())
    return told[0]  # type: ignore[return-value]


def _device() -> torch.device:
    """Where the processes' messages lie."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")


def leave() -> None:
    """End every process but the first, which writes the result and the record of its environment."""
    if not is_first():
        dist.destroy_process_group()
        sys.exit(0)
