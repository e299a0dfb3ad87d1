"""The shortest step onto a half-space within the box, against bisection, and where the box is too small."""

import numpy as np
import pytest
import torch
from classifiers import grey

from lib.attacks.half_space import step_onto

SHAPE = (3, 4, 4)
both_norms = pytest.mark.parametrize("norm", ["l2", "linf"])


def shortest(image: np.ndarray, slope: np.ndarray, lead: float, norm: str) -> np.ndarray:
    """clip(m u) by bisection on m, with u = slope in L2 and its signs in L∞."""
    direction, low, high = slope if norm == "l2" else np.sign(slope), 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        short = slope @ (np.clip(image + middle * direction, 0, 1) - image) + lead < 0
        low, high = (middle, high) if short else (low, middle)
    return np.clip(image + high * direction, 0, 1) - image


@both_norms
@pytest.mark.parametrize("low, high", [(0.3, 0.7), (0.0, 1.0), (-1.0, 1.0)])
def test_a_step_is_the_shortest_that_reaches_the_half_space_and_stays_in_the_box(norm, low, high):
    images = grey(30, SHAPE, low, high, dtype=torch.float64).clamp(0, 1)
    slope = torch.randn(30, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    room = torch.where(slope > 0, 1 - images, images)
    lead = -(slope.abs() * room).flatten(1).sum(1) * torch.linspace(0.05, 0.6, 30, dtype=torch.float64)  # of what the box allows
    steps = step_onto(slope, lead, images, norm)
    for step, image, normal, behind in zip(steps, images, slope, lead):
        exact = shortest(image.flatten().numpy(), normal.flatten().numpy(), float(behind), norm)
        assert np.allclose(step.flatten().numpy(), exact, atol=1e-4)
    assert ((images + steps >= 0) & (images + steps <= 1 + 1e-12)).all()


@both_norms
def test_where_the_box_is_too_small_or_the_slope_zero_the_step_is_finite(norm):
    images, slope = grey(2, SHAPE), torch.ones(2, *SHAPE)
    slope[1] = 0
    steps = step_onto(slope, torch.tensor([-1e3, -1.0]), images, norm)
    assert steps.isfinite().all() and (images + steps <= 1).all() and steps[1].eq(0).all()


@both_norms
def test_an_image_on_the_other_side_stays_where_it_is(norm):
    assert step_onto(torch.ones(1, *SHAPE), torch.tensor([0.5]), grey(1, SHAPE), norm).eq(0).all()
