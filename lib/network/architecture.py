"""Which network: one architecture is one file in lib/models, found by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lib.base.choices import choice, require_choice
from lib.base.errors import require

Activation = Literal["relu", "softplus", "silu", "gelu"]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "softplus": lambda: nn.Softplus(beta=10),
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
MONOTONE = ("relu", "softplus")


@dataclass(frozen=True)
class Model:
    """Section `model`: `width` multiplies the paper's channel counts (cnn) or is the widening factor (wide_resnet).

    activation: of all hidden layers; "softplus" has beta 10, which is close to ReLU and has no kink.
    outputs: "probabilities" adds a softmax that every loss and attack takes for logits (the authors' CIFAR-10 network).
    conv_bias, initialisation, final_momentum: of wide_resnet; null where an architecture has no such choice.
    """

    architecture: str
    width: float
    depth: int | None
    dropout: float
    activation: Activation = "relu"
    outputs: Literal["logits", "probabilities"] = "logits"
    conv_bias: bool | None = None
    initialisation: Literal["he", "pytorch"] | None = None
    final_momentum: float | None = None

    def __post_init__(self) -> None:
        require_choice("lib.models", self.architecture, "architecture")
        require(self.width > 0, f"width must be positive, got {self.width}")
        require(0 <= self.dropout < 1, f"dropout must lie in [0, 1), got {self.dropout}")
        inside = self.final_momentum is None or 0 < self.final_momentum <= 1
        require(inside, f"final_momentum must lie in (0, 1] or be null, got {self.final_momentum}")


class Probabilities(nn.Module):
    """The softmax of a network, which is kept as `logits_of`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.logits_of = network

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (N, K) of `images` (N, C, H, W) in [0, 1]."""
        return self.logits_of(images).softmax(1)


def build(settings: Model, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A freshly initialised network for images of `shape` (C, H, W); `forward` returns (N, classes), logits unless `outputs` differs.

    Channels-last memory makes the input gradient of the paper's CNN up to twice as fast on a CPU and changes no value.
    """
    module = choice("lib.models", settings.architecture, "architecture")
    model = module.build(shape, classes, settings).to(memory_format=torch.channels_last)
    return model if settings.outputs == "logits" else Probabilities(model)


def activation(name: Activation) -> nn.Module:
    """A layer that applies the activation `name` value by value.

    >>> activation("gelu")
    GELU(approximate='none')
    """
    return ACTIVATIONS[name]()


def require_null(settings: Model, *names: str) -> None:
    """Raise `InputError` where one of these settings, which the architecture does not have, is given."""
    for name in names:
        value = getattr(settings, name)
        require(value is None, f"{name} must be null for the architecture {settings.architecture}, which does not have it, got {value}")
