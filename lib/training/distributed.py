"""A step of several processes: each computes the gradient of its share of the batch, and afterwards all hold that of the whole batch.

The gradients are added up after the backward pass, each process's weighted by its images. DistributedDataParallel adds them up during it,
with equal weights, and its documentation excludes torch.autograd.grad, which every gradient penalty here calls first. Batch statistics
and dropout masks are those of the whole batch.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from lib.network import processes
from lib.network.batches import Batch
from lib.training.cuda_graphs import Work


class Together:
    """`work` for one of several processes: it leaves gradients and figures of its shares, which are added up here."""

    def __init__(self, work: Work, model: nn.Module) -> None:
        self.work, self.model = work, shared(model)

    @property
    def names(self) -> tuple[str, ...]:
        return self.work.names

    def __call__(self, batch: Batch) -> Tensor:
        figures = self.work(batch)
        dist.all_reduce(figures)
        add_up([parameter.grad for parameter in self.model.parameters() if parameter.grad is not None])
        return figures


def add_up(gradients: list[Tensor]) -> None:
    """Put into each tensor its sum over the processes, all in one message."""
    together = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(together)
    for gradient, found in zip(gradients, together.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(found.view(gradient.shape))


def shared(model: nn.Module) -> nn.Module:
    """`model`, its layers that look at the whole batch or draw for it changed in place; weights and their names stay."""
    for module in model.modules():
        if type(module) in WHOLE:
            module.__class__ = WHOLE[type(module)]
    return model


class WholeBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' images, differentiable any number of times.

    torch.nn.SyncBatchNorm works on GPUs alone, and its derivative is no differentiable function.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (N, C, H, W), normalised per channel."""
        part = processes.current()
        if not self.training or part is None:
            return super().forward(inputs)
        values = inputs.float() if inputs.dtype == torch.bfloat16 else inputs
        count = part.rows(len(values))[1] * values[0, 0].numel()
        mean = processes.summed(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = processes.summed(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(inputs.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None and self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        for running, found in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            running.mul_(1 - self.momentum).add_(self.momentum * found)


class WholeBatchDropout(nn.Dropout):
    """Dropout whose mask is this share's part of the one that a single process would draw for the whole batch."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs of any shape, the images first."""
        part = processes.current()
        if not self.training or part is None or self.p == 0:
            return super().forward(inputs)
        rows, total = part.rows(len(inputs))
        last = inputs.dim() == 4 and inputs.is_contiguous(memory_format=torch.channels_last) and not inputs.is_contiguous()
        layout = torch.channels_last if last else torch.contiguous_format  # the mask is drawn in the order of memory
        ones = torch.ones((total, *inputs.shape[1:]), dtype=inputs.dtype, device=inputs.device).contiguous(memory_format=layout)
        return inputs * functional.dropout(ones, self.p)[rows].clone()


WHOLE: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: WholeBatchNorm, nn.Dropout: WholeBatchDropout}
