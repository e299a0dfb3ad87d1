"""Defences that look robust and are not, each with the one defect that a check of the gate is there to find; and two honest models."""

import zlib

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.attacks.losses import cross_entropy
from lib.attacks.pgd import ascent
from lib.base.image_file import Split, digest
from lib.network import projections

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


class Scaled(nn.Module):
    """The same decisions with very large or very small logits: cross-entropy and its gradient underflow in float32."""

    def __init__(self, model: nn.Module, factor: float) -> None:
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


class Thermometer(nn.Module):
    """Shows the model, of every pixel, how many of some levels it exceeds (Buckman et al. 2018), through which no gradient passes."""

    def __init__(self, model: nn.Module, levels: int = 8) -> None:
        super().__init__()
        self.model, self.levels = model, levels

    def forward(self, images: Tensor) -> Tensor:
        steps = (torch.arange(self.levels, device=images.device) + 0.5).to(images) / self.levels
        return self.model((images.unsqueeze(-1) > steps).to(images).mean(-1) + 0.0 * images)


class TinyGradients(nn.Module):
    """The same logits, but what is sent back is multiplied on the way, so that the gradient is not the network's."""

    def __init__(self, model: nn.Module, factor: float = 1e-30) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, images: Tensor) -> Tensor:
        small = self.factor * images
        return self.model(images.detach() + small - small.detach())


class Resized(nn.Module):
    """Resizes every image to a size of its own and back (Xie et al. 2018): drawn anew each time, or from a hash of the image."""

    def __init__(self, model: nn.Module, hashed: bool) -> None:
        super().__init__()
        self.model, self.hashed = model, hashed

    def forward(self, images: Tensor) -> Tensor:
        drawn = [_hash(image) if self.hashed else int(torch.randint(1 << 30, ())) for image in images]
        resized = [self._resized(image[None], SIDE - 2 + number % 7) for image, number in zip(images, drawn)]
        return self.model(torch.cat(resized))

    def _resized(self, image: Tensor, side: int) -> Tensor:
        there = functional.interpolate(image, size=(side, side), mode="bilinear")
        return functional.interpolate(there, size=image.shape[2:], mode="bilinear")


def _hash(image: Tensor) -> int:
    return zlib.crc32(image.detach().cpu().float().numpy().tobytes())


class Lookup(nn.Module):
    """Knows the images that it will be asked about, and near them answers as for the image itself: right, flat, without a gradient."""

    def __init__(self, model: nn.Module, known: Tensor, reach: float) -> None:
        super().__init__()
        self.model, self.reach = model, reach
        self.register_buffer("known", known)

    def forward(self, images: Tensor) -> Tensor:
        known = self.known.to(images)  # type: ignore[operator]
        nearest = known[torch.cdist(images.flatten(1), known.flatten(1)).argmin(1)]
        near = (images - nearest).flatten(1).abs().amax(1, keepdim=True) < self.reach
        return torch.where(near, self.model(nearest).detach(), self.model(images))


class MedianBlur(nn.Module):
    """Shows the model the median of every 3 by 3 pixels."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        around = functional.unfold(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3)
        return self.model(around.median(1, keepdim=True).values.view_as(images))


class KWinners(nn.Module):
    """Keeps the k largest units of a layer and sets the others to zero (Xiao et al. 2020): no two points have quite the same gradient."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, units: Tensor) -> Tensor:
        return units * (units >= units.topk(self.k, 1).values[:, -1:]).to(units)


class Sign(nn.Module):
    """Units of which only the sign is passed on; trained by what the identity would send back, attacked by what really is: nothing."""

    def forward(self, units: Tensor) -> Tensor:
        return units.sign() + (units.clamp(-1, 1) - units.clamp(-1, 1).detach()) * self.training


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


def network(activation: nn.Module | None = None) -> nn.Module:
    """A small network, untrained."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 64), activation or nn.ReLU(), nn.Linear(64, CLASSES))


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
        found = projections.project(
            found + epsilon / 2 * projections.steepest(gradient, "l2", 1e-12), images, "l2", epsilon, projections.STRICT
        )
    return found
