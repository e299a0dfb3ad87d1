"""SmoothGrad (Eq. 10; Smilkov et al. 2017): the mean of J_c over noisy copies of the image, signed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.base.errors import require
from lib.network import input_gradients


@dataclass(frozen=True)
class Settings:
    """`samples` noisy copies with standard deviation `sigma` in units of pixel intensity. The authors' code also clamps each copy
    to [0, 1] and adds the clean image to the mean; Eq. 10 does neither. `of`: what is differentiated where a network returns
    probabilities, its logits (the authors' code, here) or these."""

    samples: int
    sigma: float
    clamp: bool
    include_clean: bool
    of: input_gradients.Of = "logits"

    def __post_init__(self) -> None:
        require(self.samples > 0, f"samples (N) must be positive, got {self.samples}")
        require(self.sigma > 0, f"sigma must be positive, got {self.sigma}")


def maps(model: nn.Module, images: Tensor, labels: Tensor, settings: Settings, noise: Callable[[int], Tensor]) -> Tensor:
    """Signed maps (N, C, H, W) of images (N, C, H, W) in [0, 1]; `noise(n)` gives each image its n standard normal draws."""
    total = input_gradients.of_label(model, images, labels, settings.of) if settings.include_clean else torch.zeros_like(images)
    for draw in noise(settings.samples).unbind(1):
        noisy = images + settings.sigma * draw
        total = total + input_gradients.of_label(model, noisy.clamp(0, 1) if settings.clamp else noisy, labels, settings.of)
    return total / (settings.samples + settings.include_clean)
