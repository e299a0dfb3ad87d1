"""The simple gradient J_c(x) of the label's logit (Simonyan et al. 2014)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from lib.network import input_gradients


@dataclass(frozen=True)
class Settings:
    """`of`: what is differentiated where a network returns probabilities, its logits or these (the authors' code)."""

    of: input_gradients.Of = "logits"


def maps(model: nn.Module, images: Tensor, labels: Tensor, settings: Settings, noise: Callable[[int], Tensor]) -> Tensor:
    """Signed maps (N, C, H, W) of images (N, C, H, W) in [0, 1], in logits per unit of pixel intensity; no noise is asked for."""
    return input_gradients.of_label(model, images, labels, settings.of)
