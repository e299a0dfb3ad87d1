"""Gradient times input (Shrikumar et al. 2016): the image times J_c, in a network without biases each pixel's share of
the label's logit."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from lib.network import input_gradients


@dataclass(frozen=True)
class Settings:
    """Nothing to choose."""


def maps(model: nn.Module, images: Tensor, labels: Tensor, settings: Settings, noise: Callable[[int], Tensor]) -> Tensor:
    """Signed maps (N, C, H, W) of images (N, C, H, W) in [0, 1], in logits; no noise is asked for.

    Zero wherever the image is black: as a target it asks for no gradient there, whatever the teacher's is.
    """
    return images * input_gradients.of_label(model, images, labels)
