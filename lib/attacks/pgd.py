"""What walks of projected gradient ascent are made of: where they start, which way is up, how long a step is, and whether all went well."""

import math

import torch
from torch import Tensor, nn

from lib.attacks.losses import Loss
from lib.attacks.work import Work
from lib.base import per_image_rng
from lib.evaluation.threats import Threat
from lib.network import projections


def start(work: Work, threat: Threat, rule: projections.Semantics, seed: int, stream: str) -> Tensor:
    """A random start for every image, drawn from (seed, stream, norm, radius, row) alone."""
    images = work.batch.images
    shape, stream = tuple(images.shape[1:]), f"{stream} {threat.norm} {threat.epsilon!r}"
    if rule.start == "box" and threat.norm == "l2":
        unit = per_image_rng.uniform(seed, stream, work.rows, shape)
    else:
        unit = per_image_rng.ball(seed, stream, work.rows, shape, threat.norm)
    return projections.start(images, threat.norm, threat.epsilon, rule, torch.from_numpy(unit).to(images))


def ascent(model: nn.Module, images: Tensor, labels: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of the summed loss at `images`, the logits and the losses there; the model's parameters are not differentiated."""
    images = images.detach().requires_grad_(True)
    logits = model(images)
    losses = loss(logits, labels)
    return torch.autograd.grad(losses.sum(), images)[0], logits.detach(), losses.detach()


def decayed(first: float, step: int, steps: int) -> float:
    """The length of a step, from `first` to zero along half a cosine: large steps to search, small ones to settle.

    >>> decayed(1.0, 0, 40), decayed(1.0, 20, 40)
    (1.0, 0.5)
    """
    return first * (1 + math.cos(math.pi * step / steps)) / 2


def violation(adversarial: Tensor, images: Tensor, threat: Threat) -> Tensor:
    """By how much each image leaves the ball, relative to its radius, or the box [0, 1]: (N,), 0 where it does not."""
    delta = (adversarial - images).flatten(1)
    length = delta.abs().amax(1) if threat.norm == "linf" else delta.norm(dim=1)
    flat = adversarial.flatten(1)
    outside = torch.maximum(-flat.amin(1), flat.amax(1) - 1)
    return torch.maximum(length / threat.epsilon - 1, outside).clamp_min(0).nan_to_num(nan=torch.inf)
