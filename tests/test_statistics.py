"""Intervals and tests against numbers from textbooks, closed forms and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, combine_pvalues

from lib.base.errors import InputError
from lib.statistics import Discordant, combined_p, discordant, holm, paired, standing, t_half_width, wilson

COUNTS = st.integers(0, 40)


def test_wilson_gives_newcombes_published_example():
    """81 of 263: 0.2553 to 0.3662 (Newcombe 1998, two-sided intervals for the single proportion, Table I)."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_of_no_success_starts_at_zero_and_has_a_width():
    """0 of 20: 0 to 0.1611 (the same table)."""
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_wilson_is_symmetric_in_success_and_failure():
    low, high = wilson(0.2, 50)
    assert wilson(0.8, 50) == pytest.approx((1 - high, 1 - low))


def test_t_half_width_uses_the_quantiles_of_students_table():
    """t(0.975) is 12.706 with 1 degree of freedom and 2.776 with 4."""
    assert t_half_width([0.0, 2.0]) == pytest.approx(12.706, abs=5e-4)
    assert t_half_width([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2.776 * np.sqrt(2.5) / np.sqrt(5), abs=1e-3)


def test_paired_interval_of_a_published_example():
    """21 children before and after a transplantation, 1 both, 1 only before, 7 only after: -0.508 to -0.013 (Fagerland et al. 2014)."""
    before = np.array([1] * 2 + [0] * 19)
    after = np.array([1, 0] + [1] * 7 + [0] * 12)
    assert paired(before, after) == pytest.approx((-0.508, -0.013), abs=1e-3)


def test_four_images_in_one_direction_are_not_enough():
    first = np.arange(100) < 54
    second = np.arange(100) < 50
    low, high = paired(first, second)
    assert low < 0 < high


def test_one_value_has_no_interval():
    with pytest.raises(InputError, match="at least two values, got 1"):
        t_half_width([0.5])


@pytest.mark.parametrize(("share", "n"), [(1.5, 10), (0.5, 0)])
def test_wilson_refuses_what_is_no_share(share, n):
    with pytest.raises(InputError):
        wilson(share, n)


def test_paired_scores_must_be_of_the_same_images():
    with pytest.raises(InputError, match="same images"):
        paired(np.zeros(3), np.zeros(4))


def test_mcnemar_of_ten_against_two_in_closed_form():
    """2 (C(12,0) + C(12,1) + C(12,2)) / 2^12 = 158 / 4096."""
    assert Discordant(10, 2).p == pytest.approx(158 / 4096, rel=1e-12)
    assert Discordant(10, 2).g == pytest.approx(10 / 12 - 0.5)


def test_without_discordant_images_nothing_is_shown():
    same = np.array([[True, False, True]])
    assert Discordant(0, 0).p == combined_p(same, same) == 1
    assert np.isnan(Discordant(0, 0).g)


@given(COUNTS, COUNTS)
def test_mcnemar_agrees_with_scipys_two_sided_binomial_test(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert Discordant(first, second).p == pytest.approx(expected, rel=1e-9)


@given(COUNTS, COUNTS)
def test_mcnemar_is_symmetric_under_swapping(first, second):
    one, other = Discordant(first, second), Discordant(second, first)
    assert one.p == other.p and one.g == pytest.approx(-other.g, nan_ok=True)


@given(COUNTS, COUNTS)
def test_one_more_image_in_a_direction_never_counts_against_it(lead, second):
    first = second + lead
    assert Discordant(first + 1, second).p_above <= Discordant(first, second).p_above
    assert pair_p([(first + 1, second), (6, 5)]) <= pair_p([(first, second), (6, 5)]) + 1e-12


def test_discordant_counts_are_those_of_the_two_outcomes():
    first, second = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    assert discordant(first, second) == Discordant(2, 1)
    with pytest.raises(InputError, match="same images"):
        discordant(first, second[:4])


@given(COUNTS, COUNTS)
def test_one_seed_alone_keeps_its_exact_p(first, second):
    assert pair_p([(first, second)]) == pytest.approx(Discordant(first, second).p, rel=1e-6)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=4))
def test_seeds_that_differ_on_different_images_are_combined_as_scipy_combines_independent_tests(counts):
    sides = [[binomtest(b, b + c, alternative=side).pvalue for b, c in counts] for side in ("greater", "less")]
    expected = min(1.0, 2 * min(combine_pvalues(side, method="stouffer").pvalue for side in sides))
    assert pair_p(counts) == pytest.approx(expected, rel=1e-6)


def test_a_seed_that_repeats_another_adds_no_evidence():
    first, second = outcomes([(14, 5)])
    assert combined_p(np.repeat(first, 5, 0), np.repeat(second, 5, 0)) == pytest.approx(Discordant(14, 5).p)


def test_seeds_that_contradict_each_other_show_nothing():
    first, second = outcomes([(20, 0)])
    assert combined_p(np.vstack([first, second]), np.vstack([second, first])) == 1


def test_a_seed_with_nothing_in_one_direction_does_not_outvote_the_others():
    """Its one-sided p value is exactly 1, of which the normal score would be minus infinity."""
    assert pair_p([(40, 2), (0, 1)]) < 0.001


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=4))
def test_combining_is_symmetric_under_swapping_and_gives_a_probability(counts):
    first, second = outcomes(counts)
    assert 0 <= combined_p(first, second) == combined_p(second, first) <= 1


def test_the_combination_holds_its_level_although_all_seeds_see_the_same_images():
    """Fair coins per image that three seeds mostly share: at the level 5 %, plain Stouffer calls about 20 % of them clear."""
    random = np.random.default_rng(0)
    clear, plain = 0, 0
    for _ in range(400):
        shared = random.integers(0, 2, 60, dtype=bool)
        first = np.stack([np.where(random.random(60) < 0.9, shared, random.integers(0, 2, 60, dtype=bool)) for _ in range(3)])
        clear += combined_p(first, ~first) < 0.05
        greater = [discordant(one, ~one).p_above for one in first]
        less = [discordant(~one, one).p_above for one in first]
        plain += 2 * min(combine_pvalues(side, method="stouffer").pvalue for side in (greater, less)) < 0.05
    assert clear / 400 <= 0.06 and plain / 400 > 0.12


def test_a_majority_of_runs_must_leave_an_image_standing():
    runs = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]])
    assert standing(runs.mean(0)).tolist() == [True, True, False, False]
    assert not standing(np.array([0.5])).any()


def test_holms_correction_of_a_worked_example():
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling: 0.02, 0.03, 0.06, 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.2]) == [0.2] and holm([0.7, 0.8]) == [1, 1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_raw_values_and_bonferronis_and_keeps_their_order(values):
    adjusted = holm(values)
    assert all(raw <= found <= min(1, len(values) * raw) + 1e-12 for raw, found in zip(values, adjusted))
    assert list(np.array(adjusted)[np.argsort(values, kind="stable")]) == sorted(adjusted)


def outcomes(counts: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Two techniques' (seeds, n) outcomes with these discordant counts, every seed's on images of its own."""
    n = sum(first + second for first, second in counts) + 1
    one, other, start = np.zeros((len(counts), n), bool), np.zeros((len(counts), n), bool), 0
    for seed, (first, second) in enumerate(counts):
        one[seed, start : start + first] = True
        other[seed, start + first : start + first + second] = True
        start += first + second
    return one, other


def pair_p(counts: list[tuple[int, int]]) -> float:
    """The combined p value of outcomes with these discordant counts."""
    return combined_p(*outcomes(counts))
