"""Intervals and tests against numbers from textbooks, closed forms and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import InputError
from lib.statistics.intervals import holm, t_half_width, wilson


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


def test_one_value_has_no_interval():
    with pytest.raises(InputError, match="at least two values, got 1"):
        t_half_width([0.5])


@pytest.mark.parametrize(("share", "n"), [(1.5, 10), (0.5, 0)])
def test_wilson_refuses_what_is_no_share(share, n):
    with pytest.raises(InputError):
        wilson(share, n)


def test_holms_correction_of_a_worked_example():
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling: 0.02, 0.03, 0.06, 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.2]) == [0.2] and holm([0.7, 0.8]) == [1, 1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_raw_values_and_bonferronis_and_keeps_their_order(values):
    adjusted = holm(values)
    assert all(raw <= found <= min(1, len(values) * raw) + 1e-12 for raw, found in zip(values, adjusted))
    assert list(np.array(adjusted)[np.argsort(values, kind="stable")]) == sorted(adjusted)
