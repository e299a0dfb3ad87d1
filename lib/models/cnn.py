"""The paper's convolutional network for MNIST (Sec. 4.2), with a factor on its width."""

from torch import Tensor, nn

from lib.base.errors import require
from lib.network.architecture import MONOTONE, Activation, Model, activation, require_null
from lib.network.thin_convolution import ThinConvolution


class CNN(nn.Module):
    """conv 5x5 - pool 2 - conv 5x5 - pool 2 - dense - dropout - dense, with an activation after all but the last.

    At width 1 the layers have 32 and 64 channels and 1024 units: 3,274,634 parameters for 28x28 grey images and 10 classes.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, settings: Model) -> None:
        super().__init__()
        first, second, units = (max(1, round(settings.width * count)) for count in (32, 64, 1024))
        channels, height, wide = shape
        self.features = nn.Sequential(
            ThinConvolution(channels, first, 5, padding=2),
            *_pooled(settings.activation),
            nn.Conv2d(first, second, 5, padding=2),
            *_pooled(settings.activation),
            nn.Flatten(),
        )
        dense = nn.Linear(second * (height // 4) * (wide // 4), units)
        self.classifier = nn.Sequential(dense, activation(settings.activation), nn.Dropout(settings.dropout), nn.Linear(units, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of `images` (N, C, H, W) in [0, 1]."""
        return self.classifier(self.features(images))


def _pooled(name: Activation) -> list[nn.Module]:
    """Activation and pooling: a monotone function commutes with max, so pooling first gives the same values and gradients, at a
    quarter of the work."""
    layers: list[nn.Module] = [activation(name), nn.MaxPool2d(2)]
    return layers[::-1] if name in MONOTONE else layers


def check(settings: Model) -> None:
    """Refuse settings that mean nothing here."""
    require_null(settings, "depth", "conv_bias", "initialisation", "final_momentum")


def build(shape: tuple[int, int, int], classes: int, settings: Model) -> nn.Module:
    """The network for images of `shape` (C, H, W), H and W at least 4; `width` multiplies channels and units.

    >>> sum(weight.numel() for weight in build((1, 28, 28), 10, Model("cnn", 1, None, 0.5)).parameters())
    3274634
    """
    check(settings)
    require(min(shape[1:]) >= 4, f"the architecture cnn needs images of at least 4x4 pixels, got {shape[2]}x{shape[1]}")
    return CNN(shape, classes, settings)
