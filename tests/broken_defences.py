"""Defences that look robust and are not, each with the one defect that a check of the gate is there to find; and two honest models."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib import balls
from lib.attacks.losses import cross_entropy
from lib.attacks.walk import ascent
from lib.base.image_file import Split, digest

SIDE, CLASSES = 8, 10


class Dropout(nn.Module):
    """Drops half of the pixels at test time, too: an attack meets another network at every step."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(functional.dropout(images, 0.5, training=True))


class BatchStatistics(nn.Module):
    """Centres images with the mean of whatever batch they come in: no image has an answer of its own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images - images.mean(0, keepdim=True) + 0.3)


class Softmax(nn.Module):
    """Gives probabilities, not logits: the loss of an attack that expects logits is squeezed into a narrow range."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images).softmax(1)


class GradientKiller(nn.Module):
    """The same logits, cut off from the image: the gradient is exactly zero everywhere."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images).detach() + 0.0 * images.flatten(1).sum(1, keepdim=True)


class Saturated(nn.Module):
    """The same decisions with very large logits: cross-entropy and its gradient underflow in float32."""

    def __init__(self, model: nn.Module, factor: float = 1e4) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.model(images)


class Quantised(nn.Module):
    """Rounds every pixel to one of a few levels, through which no gradient passes."""

    def __init__(self, model: nn.Module, levels: int = 4) -> None:
        super().__init__()
        self.model, self.levels = model, levels

    def forward(self, images: Tensor) -> Tensor:
        return self.model((images * self.levels).round() / self.levels)


class StartDetector(nn.Module):
    """Knows the images that it will be asked about, and answers as for the nearest of them where the input differs from it by noise.

    Noise is: over a quarter of the pixels changed by neither nothing nor the whole L∞ radius. There the answer is right and flat, so
    that a walk from a random start goes nowhere, while one step from the image itself meets the ordinary network.
    """

    def __init__(self, model: nn.Module, known: Tensor, epsilon: float) -> None:
        super().__init__()
        self.model, self.epsilon = model, epsilon
        self.register_buffer("known", known)

    def forward(self, images: Tensor) -> Tensor:
        known = self.known.to(images)  # type: ignore[operator]
        nearest = known[torch.cdist(images.flatten(1), known.flatten(1)).argmin(1)]
        change = (images - nearest).detach().flatten(1).abs()
        between = (change > 0.02 * self.epsilon) & (change < 0.98 * self.epsilon)
        noise = between.float().mean(1, keepdim=True) > 0.25
        return torch.where(noise, self.model(nearest).detach(), self.model(images))


def digits() -> tuple[Tensor, Tensor]:
    """1,797 real digits of 8x8 pixels in [0, 1] (N, 1, 8, 8) and their classes (N,), shuffled."""
    from sklearn.datasets import load_digits  # here, because it takes a second that only these tests need

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    levels = torch.tensor(data.images[order] / 16).mul(255).round()
    images = (levels / 255).float().unsqueeze(1)
    return images, torch.tensor(data.target[order])


def split(images: Tensor, labels: Tensor) -> Split:
    """These images as a test split."""
    pixels = (255 * images).round().to(torch.uint8).numpy()
    return Split("digits", pixels, labels.numpy(), np.arange(len(labels)), CLASSES, digest(pixels, labels.numpy()))


class Quadrants(nn.Module):
    """An honest linear classifier: logit k is twenty times the mean brightness of quadrant k."""

    def forward(self, images: Tensor) -> Tensor:
        return 20.0 * functional.adaptive_avg_pool2d(images, 2).flatten(1)


def quadrants(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images for `Quadrants`, their classes, and by how much the brightest quadrant exceeds the second, (N,), from 0.02 to 0.4.

    The other two are darker by another 0.2, so that no ball of L∞ radius 0.1 reaches them first: with quadrants of 16 pixels, an image
    falls exactly if its gap is below 2 epsilon in L∞, and below epsilon * sqrt(32) / 16 in L2.
    """
    labels = torch.arange(count) % 4
    gaps = 0.02 + 0.38 * (torch.arange(count) + 0.5) / count
    levels = (0.3 - gaps / 2).repeat(4, 1).T
    rows = torch.arange(count)
    levels[rows, labels] = 0.5 + gaps / 2
    levels[rows, (labels + 1 + torch.arange(count) // 4 % 3) % 4] = 0.5 - gaps / 2
    images = levels.view(count, 1, 2, 2).repeat_interleave(SIDE // 2, 2).repeat_interleave(SIDE // 2, 3)
    images = (255 * images).round() / 255
    brightest = images[:, 0, :: SIDE // 2, :: SIDE // 2].flatten(1).topk(2).values
    return images, labels, brightest[:, 0] - brightest[:, 1]


def network() -> nn.Module:
    """A small network, untrained."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def trained(model: nn.Module, images: Tensor, labels: Tensor, epochs: int, epsilon: float | None = None) -> nn.Module:
    """Train by Adam; with an L2 `epsilon` on the answers of five steps of projected gradient ascent (Madry et al. 2018)."""
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels), generator=generator).split(100):
            batch, answers = images[chosen], labels[chosen]
            if epsilon is not None:
                batch = _attacked(model, batch, answers, epsilon)
            loss = functional.cross_entropy(model(batch), answers)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def _attacked(model: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    found = images
    for _ in range(5):
        gradient = ascent(model, found, labels, cross_entropy)[0]
        found = balls.project(found + epsilon / 2 * balls.steepest(gradient, "l2", 1e-12), images, "l2", epsilon, balls.STRICT)
    return found
