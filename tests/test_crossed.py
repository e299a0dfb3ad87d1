"""Contrasts over images and seeds: coverage where the truth is known, closed forms, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from lib.base.errors import InputError
from lib.statistics import crossed

TRIALS = 2000  # one standard error of a coverage of 95 % is 0.5 points
# Standard deviations of seeds, images and the rest, as shares of the mean.
SPLITS = {
    "seeds add nothing": (0, 0.1, 0.1),
    "only the rest": (0, 0, 0.1),
    "seeds add little": (0.005, 0.1, 0.1),
    "seeds add as much as images": (0.0125, 0.1, 0.1),
    "seeds add more": (0.03, 0.1, 0.1),
    "seeds decide": (0.1, 0.1, 0.1),
    "images add little": (0.01, 0.03, 0.1),
    "images add nothing": (0.03, 0, 0.1),
}
VALUES = arrays(float, (4, 6), elements=st.floats(0.05, 1))


def drawn(random: np.random.Generator, lead: float, deviations: tuple[float, float, float], shape: tuple[int, int]) -> np.ndarray:
    """A row of radii with mean `lead`, and these `deviations` of `SPLITS`."""
    seeds, images = shape
    parts = [sd * random.standard_normal(size) for sd, size in zip(deviations, ((seeds, 1), (1, images), (seeds, images)))]
    return np.maximum(lead * (1 + sum(parts)), 0)


def coverage(deviations: tuple[float, float, float], shape: tuple[int, int] = (4, 64)) -> float:
    """How often the interval of 1.1 against 1 holds 10 %; what all rows share of an image and a seed is drawn, too."""
    random, held = np.random.default_rng(0), 0
    for _ in range(TRIALS):
        shared = 1 + 0.15 * random.standard_normal((1, shape[1])) + 0.05 * random.standard_normal((shape[0], 1))
        found = crossed.relative(1.1 * (shared + drawn(random, 1, deviations, shape)), shared + 1)
        held += found.low <= 100 * (1.1 * 2 / 2 - 1) <= found.high
    return held / TRIALS


@pytest.mark.parametrize("deviations", SPLITS.values(), ids=SPLITS)
def test_four_seeds_of_64_images_cover_the_truth(deviations):
    """Within 93 and 99 %: four standard errors below what is promised, and conservative where neither adds anything."""
    assert 0.93 <= coverage(deviations) <= 0.99


def test_two_seeds_cover_while_seeds_matter_no_more_than_images():
    """Where seeds alone decide, two of them cover 88 % only: one degree of freedom is more than they can tell."""
    assert 0.93 <= coverage((0.005, 0.1, 0.1), (2, 64)) <= 0.99
    assert 0.86 <= coverage((0.1, 0.1, 0.1), (2, 64)) <= 0.93


def test_an_interval_of_images_alone_misses_what_seeds_add():
    """The reason for all this: 16 images more or fewer change nothing for a spread that the seeds make."""
    random, held = np.random.default_rng(0), 0
    for _ in range(500):
        first = drawn(random, 1.1, (0.03, 0.1, 0.1), (4, 64))
        held += (lambda found: found.low <= 10 <= found.high)(crossed.relative(first.mean(0)[None], np.ones((1, 64))))
    assert held / 500 < 0.85


def test_one_seed_is_a_paired_t_interval_over_the_images():
    random = np.random.default_rng(0)
    first, second = random.random((1, 30)), random.random((1, 30))
    found, expected = crossed.points(first, second), stats.ttest_1samp(np.append(first - second, [1, -1]), 0)
    assert found.p == pytest.approx(expected.pvalue) and (found.seeds, found.images, found.df) == (1, 30, 31)
    assert [found.low, found.high] == pytest.approx([100 * end for end in expected.confidence_interval()])


def test_one_value_for_each_seed_is_a_paired_t_interval_over_the_seeds():
    first, second = np.array([[1.1], [1.3], [1.2], [1.6]]), np.array([[1.0], [1.0], [1.1], [1.3]])
    found = crossed.relative(first, second)
    expected = stats.ttest_1samp(first / first.mean() - second / second.mean(), 0, axis=0)
    assert found.df == 3 and found.images == 1
    half = (np.log1p(found.high / 100) - np.log1p(found.low / 100)) / 2
    assert half == pytest.approx(np.ptp(expected.confidence_interval()) / 2)


def test_mean_squares_and_degrees_of_freedom_of_a_table_worked_by_hand():
    """Rows 0, 2 and columns 0, 0, 6 with nothing left: MS_seed 6 of 1, MS_image 24 of 2, together 30; 900 / (36 / 1 + 576 / 2)."""
    table = np.array([[0.0, 0, 6], [2, 2, 8]])
    error, df = crossed.spread(table)
    assert error == pytest.approx(np.sqrt(30 / 6)) and df == pytest.approx(900 / (36 + 288))


def test_a_negative_estimate_of_what_images_add_counts_as_none():
    """Columns with the same mean: MS_image 0, MS_rest 4 of 1; all that counts is MS_seed, 16, with its one degree of freedom."""
    error, df = crossed.spread(np.array([[0.0, 2], [6, 4]]))
    assert error == pytest.approx(np.sqrt(16 / 4)) and df == 1


def test_a_mean_varies_at_least_as_if_every_value_were_drawn_for_itself():
    """Rows and columns with the same means: nothing but MS_rest is left, 4 with one degree of freedom; without it the error would be 0."""
    error, df = crossed.spread(np.array([[1.0, -1], [-1, 1]]))
    assert error == pytest.approx(np.sqrt(4 / 4)) and df == 1


def test_seeds_that_repeat_each_other_add_no_evidence():
    random = np.random.default_rng(0)
    first, second = random.random((1, 40)), random.random((1, 40))
    one, four = crossed.relative(first, second), crossed.relative(np.repeat(first, 4, 0), np.repeat(second, 4, 0))
    assert (four.low, four.high, four.p) == pytest.approx((one.low, one.high, one.p))


def test_networks_that_agree_everywhere_differ_by_nothing_and_nothing_is_shown():
    values = np.random.default_rng(0).random((3, 5))
    found = crossed.corrected([crossed.relative(values, values)])[0]
    assert (found.estimate, found.p, found.clear, found.decided) == (0, 1, False, False)
    assert not crossed.relative(2 * values, values).clear


def test_a_mean_of_zero_has_no_relative_difference():
    found = crossed.relative(np.ones((2, 3)), np.zeros((2, 3)))
    assert np.isnan(found.estimate) and found.p == 1 and not found.clear


def test_independent_samples_are_those_of_welch():
    random = np.random.default_rng(0)
    first, second = random.random((1, 20)), random.random((1, 35))
    found = crossed.points(first, second, shared=False)
    sides = [np.append(values, [1, 0]) for values in (first, second)]
    expected = stats.ttest_ind(*sides, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue) and found.df == pytest.approx(expected.df)
    assert [found.low, found.high] == pytest.approx([100 * end for end in expected.confidence_interval()])


def test_pairing_helps_where_images_differ_more_than_networks_do():
    image = np.linspace(0.1, 2, 50)
    first = image + 0.05 * np.random.default_rng(0).random((3, 50))
    second = np.tile(image, (3, 1))
    paired, apart = crossed.relative(first, second), crossed.relative(first, second, shared=False)
    assert paired.high - paired.low < (apart.high - apart.low) / 5 and paired.estimate == apart.estimate


@given(VALUES, VALUES)
def test_swapping_the_rows_changes_the_sign_of_the_logarithm(first, second):
    one, other = crossed.relative(first, second), crossed.relative(second, first)
    mirrored = [-np.log1p(value / 100) for value in (other.estimate, other.high, other.low)]
    assert [np.log1p(value / 100) for value in (one.estimate, one.low, one.high)] == pytest.approx(mirrored, abs=1e-9)
    assert one.p == pytest.approx(other.p, abs=1e-9)


@given(VALUES, VALUES, st.floats(0.1, 10))
def test_the_unit_of_the_radii_does_not_matter(first, second, unit):
    assert numbers(crossed.relative(unit * first, unit * second)) == pytest.approx(numbers(crossed.relative(first, second)), rel=1e-6)


@given(VALUES, VALUES, st.permutations(range(4)), st.permutations(range(6)))
def test_neither_the_order_of_seeds_nor_that_of_images_matters(first, second, seeds, images):
    moved = [values[seeds][:, images] for values in (first, second)]
    for measure in (crossed.relative, crossed.points):
        assert numbers(measure(*moved)) == pytest.approx(numbers(measure(first, second)), rel=1e-6, abs=1e-9)


@given(st.integers(2, 5), st.integers(2, 9))
def test_degrees_of_freedom_lie_between_those_of_the_seeds_and_those_of_the_table(seeds, images):
    _, df = crossed.spread(np.random.default_rng(seeds * images).standard_normal((seeds, images)))
    assert seeds - 1 <= df <= seeds * images - 1


def test_holms_correction_runs_over_all_contrasts():
    random = np.random.default_rng(0)
    found = [crossed.relative(random.random((3, 9)) + 0.3 * lead, random.random((3, 9))) for lead in range(4)]
    adjusted = [one.adjusted for one in crossed.corrected(found)]
    assert adjusted == crossed.holm([one.p for one in found]) and max(adjusted) <= 1


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), "same seeds and images"),
        (np.ones(3), np.ones(3), r"shape \(seeds, n\)"),
        (np.full((2, 3), np.inf), np.ones((2, 3)), "finite values"),
        (np.ones((2, 3)), -np.ones((2, 3)), "from 0 on"),
    ],
)
def test_what_has_no_contrast_is_refused(first, second, words):
    with pytest.raises(InputError, match=words):
        crossed.relative(first, second)


def test_accuracies_are_shares():
    with pytest.raises(InputError, match=r"in \[0, 1\]"):
        crossed.points(np.full((2, 3), 2.0), np.ones((2, 3)))


def numbers(found: crossed.Contrast) -> list[float]:
    return [found.estimate, found.low, found.high, found.p]
