"""VarGrad (Adebayo et al. 2018): the variance of J_c over noisy copies of the image, where SmoothGrad takes the mean."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.base.errors import require
from lib.network import input_gradients


@dataclass(frozen=True)
class Settings:
    """`samples` noisy copies with standard deviation `sigma` in units of pixel intensity, not clamped."""

    samples: int
    sigma: float

    def __post_init__(self) -> None:
        require(self.samples > 1, f"samples must be 2 or more to have a variance, got {self.samples}")
        require(self.sigma > 0, f"sigma must be positive, got {self.sigma}")


def maps(model: nn.Module, images: Tensor, labels: Tensor, settings: Settings, noise: Callable[[int], Tensor]) -> Tensor:
    """Maps (N, C, H, W) of images (N, C, H, W) in [0, 1], in squared logits per squared pixel intensity; sums divided by `samples`.

    Never negative: as a target it says where the gradient should be large, and asks for a positive one there. Written out here
    because captum's version draws its own noise, and ours belongs to the image.
    """
    mean, squares = torch.zeros_like(images), torch.zeros_like(images)
    for index, draw in enumerate(noise(settings.samples).unbind(1)):
        gradient = input_gradients.of_label(model, images + settings.sigma * draw, labels)
        change = gradient - mean
        mean = mean + change / (index + 1)
        squares = squares + change * (gradient - mean)  # Welford's sum: no difference of large numbers
    return squares / settings.samples
