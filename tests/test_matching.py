"""The search for a strength finds the one whose loss was asked for, and says so when it cannot."""

from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import InputError
from lib.studies.matching import Search, match

SEARCH = Search(low=0.02, high=20.0, trials=30, tolerance=0.01)


@given(st.floats(0.05, 15), st.floats(0.2, 3))
def test_a_loss_that_grows_with_the_strength_is_matched(wanted: float, power: float) -> None:
    found = match(lambda strength: strength**power, wanted**power, SEARCH)
    assert found.matched and found.loss == pytest.approx(wanted**power, rel=0.01)
    assert found.strength == pytest.approx(wanted, rel=0.011 / power)


def test_the_first_strength_tried_is_one_and_nothing_more_is_trained_when_it_fits() -> None:
    tried = []
    found = match(lambda strength: tried.append(strength) or 2.0, 2.01, SEARCH)
    assert tried == [1.0] and (found.strength, found.trials, found.matched) == (1.0, 1, True)


def test_the_next_strengths_halve_the_interval_on_a_logarithmic_scale() -> None:
    tried = []
    match(lambda strength: tried.append(strength) or 0.1, 5.0, Search(0.02, 20.0, 3, 0.01))
    assert tried == pytest.approx([1.0, exp(log(20) / 2), exp(3 * log(20) / 4)])


def test_a_loss_out_of_reach_is_reported_as_not_matched_with_the_nearest_strength() -> None:
    found = match(lambda strength: strength, 100.0, Search(0.5, 2.0, 6, 0.05))
    assert not found.matched and found.trials == 6 and 1.9 < found.strength < 2


def test_of_noisy_losses_the_nearest_counts_not_the_last() -> None:
    losses = iter([1.2, 0.5, 0.7])
    found = match(lambda strength: next(losses), 1.0, Search(0.1, 10, 3, 0.01))
    assert found.loss == 1.2 and found.strength == 1.0 and not found.matched


@pytest.mark.parametrize(
    "changes, sentence",
    [({"low": 2.0}, "both sides of 1"), ({"trials": 1}, "trials must be 2 or more"), ({"tolerance": 0.0}, "tolerance must be positive")],
)
def test_bad_settings_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Search(**{**vars(SEARCH), **changes})
