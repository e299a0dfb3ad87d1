"""The paper's convolutional network for MNIST (Sec. 4.2), with a factor on its width."""

from torch import Tensor, nn

from lib.base.errors import require


class CNN(nn.Module):
    """conv 5x5 - pool 2 - conv 5x5 - pool 2 - dense - dropout - dense, with ReLU after all but the last.

    At width 1 the layers have 32 and 64 channels and 1024 units: 3,274,634 parameters for 28x28 grey images and 10 classes.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: float, dropout: float) -> None:
        super().__init__()
        first, second, units = (max(1, round(width * count)) for count in (32, 64, 1024))
        channels, height, wide = shape
        # Pooling comes before ReLU, not after: max commutes with ReLU, so values and gradients are the same, at a quarter of the work.
        self.features = nn.Sequential(
            nn.Conv2d(channels, first, 5, padding=2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(first, second, 5, padding=2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(second * (height // 4) * (wide // 4), units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of `images` (N, C, H, W) in [0, 1]."""
        return self.classifier(self.features(images))


def build(shape: tuple[int, int, int], classes: int, *, width: float, depth: int | None, dropout: float) -> nn.Module:
    """The network for images of `shape` (C, H, W), H and W at least 4; `width` multiplies channels and units, `depth` must be None.

    >>> sum(weight.numel() for weight in build((1, 28, 28), 10, width=1, depth=None, dropout=0.5).parameters())
    3274634
    """
    require(depth is None, f"depth must be null for the architecture cnn, which has one depth only, got {depth}")
    require(min(shape[1:]) >= 4, f"the architecture cnn needs images of at least 4x4 pixels, got {shape[2]}x{shape[1]}")
    return CNN(shape, classes, width, dropout)
