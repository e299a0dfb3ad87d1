"""Guided backpropagation (Springenberg et al. 2015), through captum: J_c where every ReLU also stops negative gradients on their way back.

A negative control: its maps look sharp and hardly change when the upper layers are made random (Adebayo et al. 2018).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from captum.attr import GuidedBackprop
from torch import Tensor, nn

from lib.base.errors import require


@dataclass(frozen=True)
class Settings:
    """Nothing to choose."""


def maps(model: nn.Module, images: Tensor, labels: Tensor, settings: Settings, noise: Callable[[int], Tensor]) -> Tensor:
    """Signed maps (N, C, H, W) of images (N, C, H, W) in [0, 1]; no noise is asked for, and the model keeps no hook.

    What is changed are modules of type `nn.ReLU`; a ReLU that is called as a function is not seen.

    Raises:
        InputError: the model has no such module, so that nothing would be guided.
    """
    network = getattr(model, "logits_of", model)
    guided = any(isinstance(module, nn.ReLU) for module in network.modules())
    require(guided, "guided_backprop needs a model with ReLU modules, this one has none")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        return GuidedBackprop(network).attribute(images.detach().requires_grad_(True), target=labels).detach()
