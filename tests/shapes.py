"""Images of several shapes and numbers of classes, and models of them whose gradients and nearest boundaries are known."""

import numpy as np
import pytest
import torch
from classifiers import Linear, half_space
from torch import nn

from lib.base.image_file import Split, digest
from lib.network.batches import Batch, on_device

CASES = [((1, 8, 8), 10), ((1, 6, 10), 2), ((3, 8, 8), 2), ((3, 6, 10), 10)]
COUNT = 12
every_case = pytest.mark.parametrize("shape, classes", CASES)


def behind_a_convolution(linear: Linear) -> nn.Sequential:
    """The same logits and gradients, but these come channels-last; then a ReLU, which changes nothing where pixels are positive."""
    channels = linear.weight.shape[1]
    convolution = nn.Conv2d(channels, channels, 1, bias=False)
    convolution.weight.data = torch.eye(channels)[:, :, None, None]
    return nn.Sequential(convolution, nn.ReLU(), linear).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def one_boundary(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """Classes 0 and 1 share a plane through the grey image; the others never win, because their logits are far below."""
    direction = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    near = half_space(direction, float(direction.sum() / 2))
    far = torch.arange(classes - 2)
    return behind_a_convolution(
        Linear(torch.cat([near.weight.data, torch.zeros(classes - 2, *shape)]), torch.cat([near.bias.data, -90.0 - far]))
    )


def split(model: nn.Module, shape: tuple[int, int, int], classes: int) -> Split:
    """Images that are neither dark nor bright, with the labels that the model gives them."""
    pixels = np.random.default_rng(0).integers(77, 179, (COUNT, *shape), dtype=np.uint8)
    with torch.no_grad():
        labels = model(torch.from_numpy(pixels) / 255).argmax(1).numpy()
    return Split("toy", pixels, labels, np.arange(COUNT), classes, digest(pixels, labels))


def data(model: nn.Module, shape: tuple[int, int, int], classes: int) -> Batch:
    return on_device(split(model, shape, classes), torch.device("cpu"))
