"""The shortest step onto the boundary of a half-space within the box [0, 1]."""

import torch
from torch import Tensor

from lib.network.projections import Norm

ITERATIONS = 8


def step_onto(slope: Tensor, lead: Tensor, images: Tensor, norm: Norm) -> Tensor:
    """The shortest perturbation d of each image with <slope, d> + lead >= 0 and image + d in [0, 1]; where the box allows none, a long one.

    It is clip(m u), with u = slope in L2 and its signs in L∞. What that gains is concave and piecewise linear in the multiplier m, so that
    Newton's steps from zero rise to the answer and never pass it; they end after `ITERATIONS`.

    Args:
        slope: (N, C, H, W), of any size.
        lead: (N,), negative where the image is on this side.
        images: (N, C, H, W) in [0, 1].

    >>> black, slope = torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.75, -1.0]]]])
    >>> step_onto(slope, torch.tensor([-0.375]), black, "linf").tolist()
    [[[[0.5, -0.0]]]]
    """
    room = torch.where(slope > 0, 1 - images, images).flatten(1)
    size = slope.flatten(1).abs()
    pace = size if norm == "l2" else torch.ones_like(size)
    multiplier = torch.zeros_like(lead)[:, None]
    for _ in range(ITERATIONS):
        change = torch.minimum(multiplier * pace, room)
        missing = -lead[:, None] - (size * change).sum(1, keepdim=True)
        rate = (size * pace).masked_fill(multiplier * pace >= room, 0.0).sum(1, keepdim=True)
        multiplier = multiplier + (missing / rate).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp_min(0.0)
    return (torch.minimum(multiplier * pace, room) * slope.flatten(1).sign()).view_as(slope)
