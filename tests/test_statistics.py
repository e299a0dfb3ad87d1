"""Intervals against numbers from textbooks."""

import numpy as np
import pytest

from lib.base.errors import InputError
from lib.report.statistics import paired, t_half_width, wilson


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
