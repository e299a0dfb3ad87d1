"""A step as a CUDA graph: its kernels are launched at once, without Python, autograd or the dispatcher between them.

The graph of one batch size is recorded at the first batch of that size, after a few eager calls that leave no trace, and repeated for all
others, which are copied to where the first one lay. Generators that take part are registered with the graph and go on drawing new numbers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lib.network.batches import Batch
from lib.training.random_state import restore_states, states

WARM_UP = 3  # calls before the capture, in which libraries choose algorithms and allocate workspaces

# Called with the work to record and a generator that it draws from: returns what repeats the work, and the tensor it leaves its result in.
Recorder = Callable[[Callable[[], Tensor], torch.Generator], tuple[Callable[[], None], Tensor]]


class Work(Protocol):
    """What is recorded: lib.training.steps.Gradients."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def __call__(self, batch: Batch) -> Tensor: ...


@dataclass(frozen=True)
class Recording:
    """`batch` is where the work reads from, `figures` where each `repeat` leaves its result."""

    batch: Batch
    repeat: Callable[[], None]
    figures: Tensor


def cuda_graph(work: Callable[[], Tensor], noise: torch.Generator) -> tuple[Callable[[], None], Tensor]:
    """Record `work`, which has run before, as a graph with memory of its own."""
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(noise)  # the device's default generator takes part in every capture by itself
    with torch.cuda.graph(graph):
        figures = work()
    return graph.replay, figures


def on_side_stream(work: Callable[[], Tensor]) -> None:
    """Run `work` a few times on another stream than the current one, as a capture wants it warmed up."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(side)


class Captured:
    """`work` for batches of any size, each size as a graph of its own. The figures it returns are overwritten by the next call."""

    def __init__(
        self,
        work: Work,
        model: nn.Module,
        noise: torch.Generator,
        record: Recorder = cuda_graph,
        warm_up: Callable[[Callable[[], Tensor]], None] = on_side_stream,
    ) -> None:
        self.work, self.model, self.noise, self.record, self.warm_up = work, model, noise, record, warm_up
        self.recordings: dict[int, Recording] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return self.work.names

    def __call__(self, batch: Batch) -> Tensor:
        if len(batch) not in self.recordings:
            self.recordings[len(batch)] = self._recording(batch)
        recording = self.recordings[len(batch)]
        for mine, given in zip(tensors(recording.batch), tensors(batch), strict=True):
            mine.copy_(given)
        recording.repeat()
        return recording.figures

    def _recording(self, batch: Batch) -> Recording:
        targets = None if batch.targets is None else batch.targets.clone()
        mine = Batch(batch.images.clone(), batch.labels.clone(), targets)
        with untouched(self.model, self.noise):
            self.warm_up(lambda: self.work(mine))
        return Recording(mine, *self.record(lambda: self.work(mine), self.noise))


def tensors(batch: Batch) -> list[Tensor]:
    """Images, labels and, where there are any, targets."""
    return [tensor for tensor in (batch.images, batch.labels, batch.targets) if tensor is not None]


@contextmanager
def untouched(model: nn.Module, noise: torch.Generator) -> Iterator[None]:
    """Afterwards the model's buffers (batch statistics) and all generators are as they were. Parameters nobody changes here."""
    buffers, before = [buffer.clone() for buffer in model.buffers()], states({"noise": noise})
    try:
        yield
    finally:
        for buffer, saved in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(saved)
        restore_states(before, {"noise": noise})
