"""Geometry of L2 and Linf balls around images, in two named semantics.

`PAPER` is what the paper's authors ran (advertorch's PGD under a mean loss); `STRICT` what a careful evaluation does today.
They differ where a start lies, in the floor under the gradient's norm, and in the order of the two projections. All arrays
are (N, C, H, W), one ball per image, radii in units of pixel intensity.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lib.base.errors import InputError, require

Norm = Literal["l2", "linf"]


@dataclass(frozen=True)
class Semantics:
    """How starts are drawn and steps are taken.

    start: "ball" is uniform in the ball; "box" is a uniform image in [0, 1]^D pulled into the ball, which for L2 puts every start
        on the sphere, towards grey noise. For Linf both are uniform in the cube.
    floor: smallest divisor of an L2 gradient. A gradient shorter than it moves the image by less than a step.
    mean_loss: whether that gradient is of the mean loss over the batch, so that it is shorter by the batch size.
    box_last: whether the projection onto [0, 1] comes after the one onto the ball, or before it.
    """

    start: Literal["ball", "box"]
    floor: float
    mean_loss: bool
    box_last: bool


PAPER = Semantics(start="box", floor=1e-6, mean_loss=True, box_last=False)
STRICT = Semantics(start="ball", floor=1e-30, mean_loss=False, box_last=True)
SEMANTICS = {"paper": PAPER, "strict": STRICT}


def semantics(name: str) -> Semantics:
    """`PAPER` or `STRICT` by its name."""
    require(name in SEMANTICS, f"semantics must be one of {', '.join(SEMANTICS)}, got {name!r}")
    return SEMANTICS[name]


def lengths(values: Tensor) -> Tensor:
    """L2 norm of each image's values, (N, 1, 1, 1)."""
    return values.flatten(1).norm(dim=1).view(-1, *[1] * (values.dim() - 1))


def steepest(gradient: Tensor, norm: Norm, floor: float) -> Tensor:
    """Unit step of steepest ascent: the sign for Linf, gradient / max(length, floor) for L2; a zero gradient gives no step.

    >>> steepest(torch.tensor([[[[3.0, 4.0]]]]), "l2", 1e-6)
    tensor([[[[0.6000, 0.8000]]]])
    >>> steepest(torch.tensor([[[[3.0, 4.0]]]]), "l2", 50.0)
    tensor([[[[0.0600, 0.0800]]]])
    """
    if norm == "linf":
        return gradient.sign()
    if norm == "l2":
        # Divided by the largest entry first: squares of very small gradients would underflow in float32.
        scale = gradient.flatten(1).abs().amax(1).view(-1, *[1] * (gradient.dim() - 1))
        scaled = gradient / scale.clamp_min(torch.finfo(gradient.dtype).tiny)
        length = lengths(scaled).clamp_min(torch.finfo(gradient.dtype).tiny)
        return scaled / length * (length * scale / floor).clamp_max(1.0)
    raise InputError(f"norm must be 'l2' or 'linf', got {norm!r}")


def onto_ball(delta: Tensor, norm: Norm, epsilon: float) -> Tensor:
    """The closest perturbation with norm at most `epsilon`.

    >>> onto_ball(torch.tensor([[[[3.0, 4.0]]]]), "l2", 1.0)
    tensor([[[[0.6000, 0.8000]]]])
    """
    if norm == "linf":
        return delta.clamp(-epsilon, epsilon)
    if norm == "l2":
        return delta * (epsilon / lengths(delta).clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1.0)
    raise InputError(f"norm must be 'l2' or 'linf', got {norm!r}")


def project(candidate: Tensor, images: Tensor, norm: Norm, epsilon: float, rule: Semantics) -> Tensor:
    """Bring `candidate` into the ball around `images` and into [0, 1]; both hold for either order, because images lie in the box."""
    if rule.box_last:
        return (images + onto_ball(candidate - images, norm, epsilon)).clamp(0, 1)
    return (images + onto_ball(candidate.clamp(0, 1) - images, norm, epsilon)).clamp(0, 1)


def start(images: Tensor, norm: Norm, epsilon: float, rule: Semantics, unit: Tensor) -> Tensor:
    """A random start made from `unit`, which the caller draws: uniform in [0, 1)^D for a "box" start in L2, else in the unit ball."""
    if rule.start == "box" and norm == "l2":
        return project(unit, images, norm, epsilon, rule)
    return project(images + epsilon * unit, images, norm, epsilon, rule)
