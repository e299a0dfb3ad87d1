"""Gradients for attacks that must not care how large a network's logits or gradients are."""

import torch
from torch import Tensor, nn

from lib.attacks.work import right

SMALLEST, LARGEST = 2.0**-100, 2.0**100  # factors on a lead before it is differentiated


def column(values: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1), to be multiplied with images."""
    return values.view(-1, 1, 1, 1)


class Slopes:
    """Gradients of a model at n images with these `labels`, (n,), in units of their largest entries, and what was seen of them.

    A lead is multiplied by a power of two before it is differentiated, which is exact, so that gradients neither underflow nor overflow
    where the network or its logits are tiny or huge; the next factor follows from the last gradient.

    Attributes:
        taken: how many gradients of each image were computed.
        zero, nan: how many of them were exactly zero or not finite, (n,).
    """

    def __init__(self, model: nn.Module, labels: Tensor) -> None:
        self.model, self.labels, self.taken = model, labels, 0
        self.scale, self.zero, self.nan = (torch.full(labels.shape, value, device=labels.device) for value in (1.0, 0.0, 0.0))

    def at(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient of the lead of class `target` (n,) over the label, the lead, both divided by the gradient's largest entry, and whether
        the model is fooled at `images`: (n, C, H, W), (n,), (n,) bool. A gradient that is not finite counts and is given as zero."""
        images, scale = images.detach().requires_grad_(True), self.scale
        with torch.enable_grad():
            logits = self.model(images)
            leads = (logits.gather(1, target[:, None]) - logits.gather(1, self.labels[:, None]))[:, 0]
            gradient = torch.autograd.grad(leads, images, scale.to(leads))[0]
        largest = gradient.flatten(1).abs().amax(1)
        finite = largest.isfinite()
        self.taken, self.zero, self.nan = self.taken + 1, self.zero + (largest == 0), self.nan + ~finite
        _, exponent = torch.frexp(largest)
        self.scale = torch.ldexp(scale, torch.where(largest > 0, -exponent, 40)).clamp(SMALLEST, LARGEST).where(finite, 1.0)
        unit = (gradient / column(largest)).where(column(finite & (largest > 0)), 0.0)
        return unit, (leads.detach() * scale / largest).to(unit), ~right(logits.detach(), self.labels)
