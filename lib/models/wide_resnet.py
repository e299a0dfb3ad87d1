"""Wide residual networks, WRN-depth-width (Zagoruyko & Komodakis 2016), which the paper uses for CIFAR-10 (Sec. 4.3).

Without `conv_bias` nothing is lost: whatever a convolution puts out is read through a batch normalisation, which subtracts the bias.
"""

from torch import Tensor, nn

from lib.base.errors import require
from lib.network.architecture import Model, activation

PYTORCH_MOMENTUM = 0.1


def _activated(channels: int, settings: Model, momentum: float = PYTORCH_MOMENTUM) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels, momentum=momentum), activation(settings.activation))


class Block(nn.Module):
    """BN-act-conv, dropout, BN-act-conv, added to the input; where the shape changes, a 1x1 convolution takes it along.

    That convolution acts on the activated input, an identity shortcut on the input itself, as in the original.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, settings: Model) -> None:
        super().__init__()
        bias = bool(settings.conv_bias)
        self.activation = _activated(inputs, settings)
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias),
            _activated(outputs, settings),
            nn.Dropout(settings.dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=bias),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        activated = self.activation(inputs)
        shortcut = inputs if self.shortcut is None else self.shortcut(activated)
        return shortcut + self.residual(activated)


class WideResNet(nn.Module):
    """conv 3x3, three groups of `blocks` blocks with 16, 32 and 64 times `width` channels, BN-act, mean over pixels, dense."""

    def __init__(self, channels: int, classes: int, blocks: int, settings: Model) -> None:
        super().__init__()
        widths = [max(1, round(settings.width * count)) for count in (16, 32, 64)]
        layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, padding=1, bias=bool(settings.conv_bias))]
        inputs = 16
        for outputs, stride in zip(widths, (1, 2, 2), strict=True):
            for index in range(blocks):
                layers.append(Block(inputs, outputs, stride if index == 0 else 1, settings))
                inputs = outputs
        assert settings.final_momentum is not None
        last = _activated(inputs, settings, settings.final_momentum)
        self.features = nn.Sequential(*layers, last, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(inputs, classes)
        if settings.initialisation == "he":
            self._initialise()

    def _initialise(self) -> None:
        """He et al. (2015): variance 2 / (kernel area · output channels), no bias; the last layer keeps PyTorch's weights, without bias."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of `images` (N, C, H, W) in [0, 1]."""
        return self.classifier(self.features(images))


def check(settings: Model) -> None:
    """Refuse settings that make no such network."""
    depth = settings.depth or 0
    require(
        depth >= 10 and depth % 6 == 4,
        f"depth must be 6n + 4 with n at least 1 (the paper: 28) for the architecture wide_resnet, got {settings.depth}",
    )
    for name, known in {"conv_bias": "true or false", "initialisation": "he or pytorch", "final_momentum": "a number in (0, 1]"}.items():
        require(getattr(settings, name) is not None, f"{name} must be {known} for the architecture wide_resnet, got null")


def build(shape: tuple[int, int, int], classes: int, settings: Model) -> nn.Module:
    """WRN-`depth`-`width` for images of `shape` (C, H, W), of any size; `depth` is 6n + 4, with n blocks per group.

    >>> plain = Model("wide_resnet", 1, 16, 0.3, conv_bias=False, initialisation="he", final_momentum=0.1)
    >>> sum(weight.numel() for weight in build((3, 32, 32), 10, plain).parameters())
    175066
    """
    check(settings)
    return WideResNet(shape[0], classes, ((settings.depth or 0) - 4) // 6, settings)
