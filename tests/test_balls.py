"""Projections are the closest points, steps are the steepest, starts lie where each semantics says."""

import numpy as np
import pytest
import torch
from classifiers import grey, rounding
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from lib.base import per_image_rng
from lib.base.errors import InputError
from lib.network import projections

NORMS = ["l2", "linf"]
RULES = [projections.PAPER, projections.STRICT]
shapes = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 4), st.integers(1, 4))
radii = st.floats(0.01, 4.0)


def arrays(low: float, high: float) -> st.SearchStrategy:
    return hnp.arrays(np.float32, shapes, elements=st.floats(low, high, width=32))


def pairs() -> st.SearchStrategy:
    """Images in the box and candidates anywhere, of one shape."""
    element = {"images": st.floats(0, 1, width=32), "candidates": st.floats(-3, 3, width=32)}
    return shapes.flatmap(lambda shape: st.tuples(*(hnp.arrays(np.float32, shape, elements=element[name]) for name in element)))


def sizes(delta: Tensor, norm: str) -> Tensor:
    flat = delta.double().flatten(1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().amax(1)


both_norms = pytest.mark.parametrize("norm", NORMS)
both_rules = pytest.mark.parametrize("rule", RULES, ids=["paper", "strict"])


@both_norms
@both_rules
@given(pair=pairs(), epsilon=radii)
def test_a_projected_image_lies_in_the_ball_and_in_the_box_and_stays_there(norm, rule, pair, epsilon):
    images, candidates = map(torch.from_numpy, pair)
    projected = projections.project(candidates, images, norm, epsilon, rule)
    assert projected.min() >= 0 and projected.max() <= 1
    beyond = epsilon * rounding(epsilon, norm, images.shape[1:])
    assert (sizes(projected - images, norm) <= epsilon + beyond).all()
    torch.testing.assert_close(projections.project(projected, images, norm, epsilon, rule), projected, rtol=0, atol=2 * beyond)


@both_norms
@both_rules
@given(pair=pairs(), epsilon=radii)
def test_an_image_already_in_ball_and_box_is_left_alone(norm, rule, pair, epsilon):
    images, others = torch.from_numpy(pair[0]), torch.from_numpy(pair[1]).clamp(0, 1)
    diameter = float(sizes(others - images, norm).max()) + epsilon
    torch.testing.assert_close(
        projections.project(others, images, norm, diameter, rule), others, rtol=0, atol=torch.finfo(torch.float32).eps
    )


@both_norms
@given(delta=arrays(-3, 3), epsilon=radii, seed=st.integers(0, 1000))
def test_no_point_of_the_ball_is_closer_than_the_projection(norm, delta, epsilon, seed):
    """A point p of a convex set is closest to d exactly if <d - p, q - p> <= 0 for every q of the set."""
    outside = torch.from_numpy(delta).double()
    closest = projections.onto_ball(outside, norm, epsilon)
    assert (sizes(closest, norm) <= epsilon * (1 + 1e-12)).all()
    others = torch.from_numpy(per_image_rng.ball(seed, "others", range(len(outside)), outside.shape[1:], norm)).double() * epsilon
    corners = epsilon * (outside.sign() if norm == "linf" else outside / projections.lengths(outside).clamp_min(1e-300))
    for point in (others, corners):
        assert (((outside - closest) * (point - closest)).flatten(1).sum(1) <= 1e-6 * epsilon).all()


def test_the_l2_projection_is_the_best_of_a_fine_grid():
    ticks = torch.linspace(-1, 1, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(ticks, ticks)
    inside = grid[grid.norm(dim=1) <= 0.8]
    outside = torch.tensor([1.3, -0.4], dtype=torch.float64)
    best = inside[(inside - outside).norm(dim=1).argmin()]
    ours = projections.onto_ball(outside.view(1, 1, 1, 2), "l2", 0.8).flatten()
    assert (ours - outside).norm() <= (best - outside).norm() + 1e-12
    assert (ours - best).norm() < 0.02


def test_the_order_of_the_two_projections_is_what_distinguishes_the_semantics():
    images, candidate = torch.tensor([[[[1.0, 0.5]]]]), torch.tensor([[[[2.0, 1.5]]]])
    clamped_first = projections.project(candidate, images, "l2", 0.25, projections.PAPER)
    ball_first = projections.project(candidate, images, "l2", 0.25, projections.STRICT)
    torch.testing.assert_close(clamped_first, torch.tensor([[[[1.0, 0.75]]]]))
    torch.testing.assert_close(ball_first, torch.tensor([[[[1.0, 0.5 + 0.25 / 2**0.5]]]]))


@both_norms
@given(gradient=arrays(-100, 100))
def test_the_steepest_step_reaches_the_dual_norm_of_the_gradient(norm, gradient):
    gradient = torch.from_numpy(gradient).double()
    step = projections.steepest(gradient, norm, projections.STRICT.floor)
    gain = (gradient * step).flatten(1).sum(1)
    dual = gradient.flatten(1).norm(dim=1) if norm == "l2" else gradient.abs().flatten(1).sum(1)
    longest = gradient.flatten(1).norm(dim=1) > projections.STRICT.floor if norm == "l2" else torch.ones(len(gradient), dtype=bool)
    torch.testing.assert_close(gain[longest], dual[longest], rtol=1e-9, atol=0)
    assert (sizes(step, norm) <= 1 + 1e-12).all()


@pytest.mark.parametrize("size", [1e-37, 1e-30, 1e-22, 1e-10, 1.0, 1e10, 1e30])
def test_strict_steps_have_unit_length_however_small_or_large_the_gradient(size):
    direction = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    step = projections.steepest(direction * size, "l2", projections.STRICT.floor)
    expected = direction.double() / projections.lengths(direction.double())
    if size >= projections.STRICT.floor:
        torch.testing.assert_close(step.double(), expected, rtol=rounding(1.0, "l2", (2, 8, 8)), atol=0)
    else:
        assert torch.isfinite(step).all() and (sizes(step, "l2") < 1e-4).all()


@given(exponent=st.floats(-12, 3), seed=st.integers(0, 1000))
def test_the_floor_divides_gradients_that_are_shorter_than_it(exponent, seed):
    direction = torch.randn(2, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
    gradient = (direction / projections.lengths(direction) * 10**exponent).float()
    exact = gradient.double() / projections.lengths(gradient.double()).clamp_min(1e-6)
    torch.testing.assert_close(
        projections.steepest(gradient, "l2", projections.PAPER.floor).double(), exact, rtol=rounding(1.0, "l2", (5, 5)), atol=0
    )


@both_norms
@both_rules
def test_a_zero_gradient_gives_no_step_and_does_not_disturb_its_neighbours(norm, rule):
    gradient = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    gradient[1] = 0
    step = projections.steepest(gradient, norm, rule.floor)
    assert not step[1].any()
    torch.testing.assert_close(step[[0, 2]], projections.steepest(gradient[[0, 2]], norm, rule.floor))
    assert torch.isfinite(step).all()


def test_lengths_are_those_of_each_image():
    values = torch.tensor([[[[3.0, 4.0]]], [[[0.0, -2.0]]]])
    assert torch.equal(projections.lengths(values), torch.tensor([5.0, 2.0]).view(2, 1, 1, 1))


def test_the_papers_l2_starts_lie_on_the_sphere_towards_the_drawn_image():
    images, unit = grey(20, low=0, high=1).double(), torch.from_numpy(per_image_rng.uniform(0, "starts", range(20), (1, 8, 8))).double()
    start = projections.start(images, "l2", 1.0, projections.PAPER, unit)
    torch.testing.assert_close(projections.lengths(start - images).flatten(), torch.ones(20, dtype=torch.float64))
    torch.testing.assert_close(start - images, (unit - images) / projections.lengths(unit - images))


def test_the_papers_l2_start_is_the_drawn_image_where_that_is_near():
    images, unit = grey(5), grey(5, seed=2)
    torch.testing.assert_close(projections.start(images, "l2", 100.0, projections.PAPER, unit), unit)


def test_strict_starts_are_uniform_in_the_ball():
    shape, count = (1, 2, 3), 2000
    unit = torch.from_numpy(per_image_rng.ball(0, "starts", range(count), shape, "l2"))
    images = torch.full((count, *shape), 0.5)
    delta = projections.start(images, "l2", 0.4, projections.STRICT, unit) - images
    volume = np.sort((projections.lengths(delta).flatten().double().numpy() / 0.4) ** 6)
    ranks = np.arange(count) / count
    assert max((volume - ranks).max(), (ranks + 1 / count - volume).max()) < 1.95 / count**0.5  # Kolmogorov-Smirnov, p = 0.001
    assert delta.mean(0).abs().max() < 0.02


@both_rules
def test_linf_starts_are_uniform_in_the_cube(rule):
    count = 500
    unit = torch.from_numpy(per_image_rng.ball(0, "starts", range(count), (1, 2, 2), "linf"))
    images = torch.full((count, 1, 2, 2), 0.5)
    values = np.sort(((projections.start(images, "linf", 0.3, rule, unit) - images) / 0.6 + 0.5).flatten().double().numpy())
    ranks = np.arange(len(values)) / len(values)
    assert np.abs(values - ranks).max() < 1.95 / len(values) ** 0.5


@both_rules
@both_norms
def test_starts_stay_in_the_box_and_in_the_ball(norm, rule):
    images = grey(30, low=-0.2, high=1.2).clamp(0, 1)
    box = rule.start == "box" and norm == "l2"
    unit = per_image_rng.uniform(0, "s", range(30), (1, 8, 8)) if box else per_image_rng.ball(0, "s", range(30), (1, 8, 8), norm)
    start = projections.start(images, norm, 0.5, rule, torch.from_numpy(unit))
    assert start.min() >= 0 and start.max() <= 1
    assert (sizes(start - images, norm) <= 0.5 * (1 + rounding(0.5, norm, (1, 8, 8)))).all()


def test_the_semantics_are_found_by_name():
    assert projections.semantics("paper") is projections.PAPER and projections.semantics("strict") is projections.STRICT
    assert projections.Semantics("box", 1e-6, True, False) == projections.PAPER
    with pytest.raises(InputError, match="semantics must be one of paper, strict, got 'papers'"):
        projections.semantics("papers")


def test_an_unknown_norm_is_refused():
    with pytest.raises(InputError, match="norm must be 'l2' or 'linf', got 'l1'"):
        projections.steepest(grey(1), "l1", 1e-6)
    with pytest.raises(InputError, match="norm must be 'l2' or 'linf', got 'l1'"):
        projections.onto_ball(grey(1), "l1", 1.0)
