"""Integrated gradients (Sundararajan et al. 2017) from a black image, through captum, signed."""

from collections.abc import Callable
from dataclasses import dataclass

from captum.attr import IntegratedGradients
from torch import Tensor, nn

from lib.base.errors import require


@dataclass(frozen=True)
class Settings:
    """`steps` points between black and the image (Gauss-Legendre quadrature).

    `times_image`: the mean gradient on the way is multiplied by the image, as the method's authors do. The values of a map then add
    up to the label's logit minus that of a black image, and are zero where the image is black. Without it a map is that mean
    gradient, in logits per unit of pixel intensity like J_c itself.
    """

    steps: int
    times_image: bool = True

    def __post_init__(self) -> None:
        require(self.steps > 0, f"steps must be positive, got {self.steps}")


def maps(model: nn.Module, images: Tensor, labels: Tensor, settings: Settings, noise: Callable[[int], Tensor]) -> Tensor:
    """Signed maps (N, C, H, W) of images (N, C, H, W) in [0, 1]; one point of the way at a time; no noise is asked for."""
    method = IntegratedGradients(getattr(model, "logits_of", model), multiply_by_inputs=settings.times_image)
    found = method.attribute(images.detach(), target=labels, n_steps=settings.steps, internal_batch_size=len(images))
    return found.detach().to(images.dtype)
