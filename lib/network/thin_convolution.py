"""A convolution of images with few channels whose gradient with respect to the images is cheap on a CPU.

oneDNN computes that gradient as a convolution with one or three output channels, which leaves its vector units idle: for one channel of
28x28 pixels it took up to five times as long as the forward pass. Here it is one matrix product and a sum of shifted copies.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class ThinConvolution(nn.Conv2d):
    """`nn.Conv2d` with stride 1 and zero padding: the same parameters and outputs, the same gradients of every order up to rounding."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, padding: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=padding, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        """(N, outputs, H', W') of `images` (N, inputs, H, W)."""
        plain = not images.requires_grad or images.device.type != "cpu" or torch.is_autocast_enabled("cpu")
        if plain:
            return super().forward(images)
        return _Convolution.apply(images, self.weight, self.bias, int(self.padding[0]))


class _Convolution(torch.autograd.Function):
    """The forward pass; backwards the two gradients, each differentiable again."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.padding = padding
        return functional.conv2d(images, weight, bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        of_images = _ImageGradient.apply(gradient, weight, ctx.padding) if wanted[0] else None
        of_weight, of_bias = _parameter_gradients(gradient, images, weight, ctx.padding, wanted[1], wanted[2])
        return of_images, of_weight, of_bias, None


class _ImageGradient(torch.autograd.Function):
    """The adjoint of the convolution, linear in both arguments; its own gradients are a convolution and a weight gradient."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(gradient, weight)
        ctx.padding = padding
        return adjoint(gradient, weight, padding)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> tuple[Tensor | None, ...]:
        gradient, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        of_gradient = functional.conv2d(change, weight, padding=ctx.padding) if wanted[0] else None
        return of_gradient, _parameter_gradients(gradient, change, weight, ctx.padding, wanted[1], False)[0], None


def adjoint(gradient: Tensor, weight: Tensor, padding: int) -> Tensor:
    """Image gradient (N, inputs, H, W) of outputs' gradient (N, outputs, H', W') and weight (outputs, inputs, k, k).

    What each output sends to each pixel under its kernel is one matrix product; what arrives is added up shift by shift.
    """
    count, outputs, height, width = gradient.shape
    inputs, size = weight.shape[1], weight.shape[2]
    sent = weight.flatten(1).T @ gradient.permute(0, 2, 3, 1).reshape(-1, outputs).T
    sent = sent.view(inputs, size, size, count, height, width)
    arrived = gradient.new_zeros(inputs, count, height + size - 1, width + size - 1)
    for row in range(size):
        for column in range(size):
            arrived[:, :, row : row + height, column : column + width] += sent[:, row, column]
    inside = slice(padding, -padding or None)
    return arrived[:, :, inside, inside].transpose(0, 1).contiguous(memory_format=torch.channels_last)


def _parameter_gradients(
    gradient: Tensor, images: Tensor, weight: Tensor, padding: int, of_weight: bool, of_bias: bool
) -> tuple[Tensor | None, Tensor | None]:
    """PyTorch's own, which is fast here."""
    if not (of_weight or of_bias):
        return None, None
    geometry = ([weight.shape[0]], [1, 1], [padding] * 2, [1, 1], False, [0, 0], 1)
    found = torch.ops.aten.convolution_backward(gradient, images, weight, *geometry, [False, of_weight, of_bias])
    return found[1], found[2]
