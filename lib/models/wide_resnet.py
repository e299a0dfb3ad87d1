"""Wide residual networks, WRN-depth-width (Zagoruyko & Komodakis 2016), which the paper uses for CIFAR-10 (Sec. 4.3).

The convolutions have no bias: whatever they put out is read through a batch normalisation only, which would subtract it again.
"""

from torch import Tensor, nn

from lib.base.errors import require


def _activation(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


class Block(nn.Module):
    """BN-ReLU-conv, dropout, BN-ReLU-conv, added to the input; where the shape changes, a 1x1 convolution takes it along.

    That convolution acts on the activated input, an identity shortcut on the input itself, as in the original.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.activation = _activation(inputs)
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            _activation(outputs),
            nn.Dropout(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        activated = self.activation(inputs)
        shortcut = inputs if self.shortcut is None else self.shortcut(activated)
        return shortcut + self.residual(activated)


class WideResNet(nn.Module):
    """conv 3x3, three groups of `blocks` blocks with 16, 32 and 64 times `width` channels, BN-ReLU, mean over pixels, dense."""

    def __init__(self, channels: int, classes: int, blocks: int, width: float, dropout: float) -> None:
        super().__init__()
        widths = [max(1, round(width * count)) for count in (16, 32, 64)]
        layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, padding=1, bias=False)]
        inputs = 16
        for outputs, stride in zip(widths, (1, 2, 2), strict=True):
            for index in range(blocks):
                layers.append(Block(inputs, outputs, stride if index == 0 else 1, dropout))
                inputs = outputs
        self.features = nn.Sequential(*layers, _activation(inputs), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(inputs, classes)
        self._initialise()

    def _initialise(self) -> None:
        """He et al. (2015): variance 2 / (kernel area · output channels); the last layer keeps PyTorch's weights, without bias."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of `images` (N, C, H, W) in [0, 1]."""
        return self.classifier(self.features(images))


def build(shape: tuple[int, int, int], classes: int, *, width: float, depth: int | None, dropout: float) -> nn.Module:
    """WRN-`depth`-`width` for images of `shape` (C, H, W), of any size; `depth` is 6n + 4, with n blocks per group.

    >>> sum(weight.numel() for weight in build((3, 32, 32), 10, width=1, depth=16, dropout=0.3).parameters())
    175066
    """
    blocks, rest = divmod((depth or 0) - 4, 6)
    require(
        blocks >= 1 and rest == 0, f"depth must be 6n + 4 with n at least 1 (the paper: 28) for the architecture wide_resnet, got {depth}"
    )
    return WideResNet(shape[0], classes, blocks, width, dropout)
