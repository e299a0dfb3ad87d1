"""Numbers belong to (seed, stream, row): nothing else changes them, and each of the three does."""

import numpy as np
import pytest

from lib.base import per_image_rng

SHAPE = (2, 3, 3)
MAKERS = {
    "normal": per_image_rng.normal,
    "uniform": per_image_rng.uniform,
    "l2 ball": lambda *place: per_image_rng.ball(*place, "l2"),
    "linf ball": lambda *place: per_image_rng.ball(*place, "linf"),
}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))


def distance_from_uniform(values: np.ndarray) -> float:
    """The Kolmogorov-Smirnov statistic against the uniform distribution on [0, 1], times sqrt(n); above 1.95 in 1 of 1000 cases."""
    ordered, count = np.sort(values.astype(np.float64).ravel()), values.size
    ranks = np.arange(count) / count
    return max(np.abs(ordered - ranks).max(), np.abs(ordered - ranks - 1 / count).max()) * count**0.5


@every_maker
def test_the_same_place_gets_the_same_numbers(make):
    first = make(3, "noise", range(5), SHAPE)
    assert first.shape == (5, *SHAPE) and first.dtype == np.float32
    assert np.array_equal(first, make(3, "noise", range(5), SHAPE))


@every_maker
def test_a_row_gets_its_numbers_whoever_else_is_asked(make):
    together = make(0, "noise", range(100, 110), SHAPE)
    assert np.array_equal(make(0, "noise", [107], SHAPE)[0], together[7])
    assert np.array_equal(make(0, "noise", [109, 103, 100], SHAPE), together[[9, 3, 0]])
    assert np.array_equal(make(0, "noise", np.arange(100, 110), SHAPE), together)


@every_maker
def test_seed_stream_and_row_each_change_every_number(make):
    base = make(0, "run 0", [5], SHAPE)
    for place in [(1, "run 0", [5]), (0, "run 1", [5]), (0, "run 0", [6]), (0, "0 nur", [5])]:
        assert not (make(*place, SHAPE) == base).any()


def test_streams_seeds_and_rows_are_not_shifted_copies_of_each_other():
    rows = [per_image_rng.normal(seed, stream, [row], (1000,))[0] for seed in (0, 1) for stream in ("a", "b") for row in (0, 1)]
    correlation = np.corrcoef(np.stack(rows)) - np.eye(8)
    assert np.abs(correlation).max() < 4 / 1000**0.5


def test_drawing_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()
    per_image_rng.ball(0, "noise", range(3), SHAPE, "l2")
    assert np.array_equal(np.random.get_state()[1], before)


def test_normal_numbers_are_standard_normal():
    values = np.sort(per_image_rng.normal(0, "noise", range(40), (1, 10, 10)).ravel())
    assert abs(values.mean()) < 4 / 4000**0.5 and abs(values.std() - 1) < 0.05
    assert abs((np.abs(values) < 1).mean() - 0.6827) < 0.03


def test_uniform_numbers_are_uniform_in_the_unit_interval():
    values = per_image_rng.uniform(0, "noise", range(40), (1, 10, 10))
    assert values.min() >= 0 and values.max() < 1
    assert distance_from_uniform(values) < 1.95


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 2, 3), (3, 8, 8)])
def test_points_of_the_l2_ball_are_uniform_by_volume_and_direction(shape):
    points = per_image_rng.ball(0, "starts", range(1500), shape, "l2").reshape(1500, -1).astype(np.float64)
    size = points.shape[1]
    radius = np.linalg.norm(points, axis=1)
    assert radius.max() <= 1 + 1e-6
    assert distance_from_uniform(radius**size) < 1.95
    directions = points / radius[:, None]
    assert np.abs(directions.mean(0)).max() < 4.5 / (1500 * size) ** 0.5
    assert np.abs((directions**2).mean(0) * size - 1).max() < 0.25


def test_the_radius_of_an_l2_point_is_independent_of_its_direction():
    points = per_image_rng.ball(0, "starts", range(1500), (1, 1, 2), "l2").reshape(1500, 2)
    radius = np.linalg.norm(points, axis=1)
    assert abs(np.corrcoef(radius, np.abs(points[:, 0]) / radius)[0, 1]) < 4 / 1500**0.5


def test_points_of_the_linf_ball_are_uniform_in_the_cube():
    points = per_image_rng.ball(0, "starts", range(200), (1, 4, 4), "linf")
    assert points.min() < -0.99 and points.max() > 0.99 and np.abs(points).max() <= 1
    assert distance_from_uniform((points + 1) / 2) < 1.95


def test_the_numbers_are_those_that_were_written_down_once():
    """Maps and outcomes made earlier stay reproducible, whatever changes in numpy or here."""
    near = {"rtol": 1e-6}
    np.testing.assert_allclose(per_image_rng.normal(0, "smoothgrad", [17], (1, 1, 2)).ravel(), [-0.8548701, 0.8149049], **near)
    np.testing.assert_allclose(per_image_rng.uniform(0, "pgd", [17], (1, 1, 2)).ravel(), [0.37079662, 0.85605437], **near)
    np.testing.assert_allclose(per_image_rng.ball(0, "pgd", [17], (1, 1, 2), "l2").ravel(), [-0.44817445, -0.74926764], **near)
