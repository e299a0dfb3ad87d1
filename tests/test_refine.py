"""Threshold and permutation keep exactly what the paper says, map by map, with torch as the oracle of moments."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_files import write_targets

from lib.base import params
from lib.base.errors import InputError
from lib.targets import transforms
from stages import threshold

shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 5), st.integers(2, 5))
maps = hnp.arrays(np.float32, shapes, elements=st.floats(-8, 8, width=16))
fractions = st.floats(0, 1)


def random_maps(count: int = 6, shape: tuple[int, ...] = (2, 6, 6)) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, *shape)).astype(np.float32)


def permutation(fraction: float, **changes) -> transforms.Permutation:
    return transforms.Permutation(**{"fraction": fraction, "seed": 0, "replication": 0, **changes})


def permuted(values: np.ndarray, fraction: float, rows=None, **changes) -> np.ndarray:
    return transforms.permute(values, range(len(values)) if rows is None else rows, permutation(fraction, **changes))


# Threshold


@given(values=maps, phi=st.floats(0.1, 3))
def test_exactly_the_values_beyond_phi_deviations_of_their_own_map_are_kept(values, phi):
    result = transforms.threshold(values, phi)
    assert result.shape == values.shape and result.dtype == values.dtype
    for before, after in zip(values, result, strict=True):
        exact = torch.from_numpy(before).double()
        beyond = (exact - exact.mean()).abs() - phi * exact.std()
        sure = beyond.abs() > 1e-9
        expected = torch.where(beyond > 0, exact, 0).float()
        assert torch.equal(torch.from_numpy(after)[sure], expected[sure])


def test_the_deviation_is_divided_by_one_less_than_the_number_of_pixels():
    """Values -1 and 1, one each: deviation sqrt(2) by D - 1 and 1 by D; phi = 0.9 separates the two."""
    values = np.array([[[[-1.0, 1.0]]]], np.float32)
    assert not transforms.threshold(values, 0.9).any()
    assert np.array_equal(transforms.threshold(values, 0.7), values)


def test_with_ddof_0_the_deviation_is_divided_by_the_number_of_pixels():
    """The same map: deviation 1, so that 1.1 of them reach beyond the values and 0.9 do not."""
    values = np.array([[[[-1.0, 1.0]]]], np.float32)
    assert not transforms.threshold(values, 1.1, ddof=0).any()
    assert np.array_equal(transforms.threshold(values, 0.9, ddof=0), values)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_threshold_that_leaves_nothing_of_a_whole_set_is_refused(when, tmp_path, monkeypatch):
    """A map of 18 values reaches no more than 17 / √18 of its own deviations from its mean."""
    monkeypatch.chdir(tmp_path)
    write_targets(tmp_path / "maps.h5")
    for phi, status in ((1.0, 0), (100.0, 1)):
        (tmp_path / "params.yaml").write_text(f"threshold: {{phi: {phi}, when: {when}}}")
        params.parsed.cache_clear()
        result = CliRunner().invoke(threshold.main, ["--maps", "maps.h5", "--out", f"{phi}.h5", "--chunk", "2"])
        assert result.exit_code == status and (tmp_path / f"{phi}.h5").exists() == (status == 0)
    assert "threshold: phi must be one that leaves some value of some map, 100 leaves nothing of" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"maps.h5", "params.yaml", "1.0.h5"}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("phi", [1.0, 1.25, None])
def test_what_a_file_holds_and_what_it_is_finished_to_make_the_threshold_whenever_it_is_taken(when, phi):
    values = random_maps()
    settings = transforms.Threshold(1.0, ddof=0, when=when, exceptions={"NR_simple": phi})
    held = transforms.thresholded(values, settings.phi_of("NR_simple"), settings)
    expected = values if phi is None else transforms.threshold(values, phi, ddof=0)
    assert np.array_equal(held, values if when == "after" else expected)
    assert np.array_equal(transforms.finished({"threshold": {"phi": phi, "ddof": 0, "when": when}}, held), expected)
    assert np.array_equal(transforms.finished({}, values), values)


def test_an_exception_is_of_its_own_target_set_only():
    settings = transforms.Threshold(1.0, exceptions={"NR_simple": None, "NR_smoothgrad": 1.25})
    assert [settings.phi_of(name) for name in ("NR_simple", "NR_smoothgrad", "R_simple")] == [None, 1.25, 1.0]


def test_mean_and_deviation_are_taken_over_all_channels_of_one_map():
    values = np.zeros((2, 2, 2, 2), np.float32)
    values[0, 0], values[0, 1] = [[1, 1], [1, 1.1]], [[-1, -1], [-1, -1.1]]
    values[1] = 100 * values[0]
    result = transforms.threshold(values, 0.96)
    assert np.array_equal(result[0] != 0, np.abs(values[0]) > 1.05)
    assert np.array_equal(result[1], 100 * result[0])


def test_values_on_both_sides_are_kept_with_their_sign():
    values = np.zeros((1, 1, 4, 4), np.float32)
    values[0, 0, 0, 0], values[0, 0, 3, 3] = 5, -4
    assert np.array_equal(transforms.threshold(values, 1.0), values)


def test_a_constant_map_becomes_zero_and_not_nan():
    assert not transforms.threshold(np.full((2, 1, 5, 5), 0.1, np.float32), 1.0).any()


@given(values=maps, seed=st.integers(0, 100))
def test_threshold_commutes_with_permutation(values, seed):
    first = transforms.threshold(permuted(values, 0.7, seed=seed), 1.0)
    last = permuted(transforms.threshold(values, 1.0), 0.7, seed=seed)
    assert np.array_equal(first, last)


def test_threshold_leaves_its_argument_alone():
    values = random_maps()
    before = values.copy()
    transforms.threshold(values, 1.0)
    assert np.array_equal(values, before)


@pytest.mark.parametrize("phi", [0.0, -1.0, float("nan")])
def test_a_phi_that_is_not_positive_is_refused(phi):
    with pytest.raises(InputError, match="phi must be positive"):
        transforms.Threshold(phi)
    with pytest.raises(InputError, match="phi must be positive"):
        transforms.Threshold(1.0, exceptions={"R_simple": phi})


@pytest.mark.parametrize("ddof", [-1, 2])
def test_another_ddof_is_refused(ddof):
    with pytest.raises(InputError, match=f"ddof must be 0 or 1, got {ddof}"):
        transforms.Threshold(1.0, ddof=ddof)


# Permutation


@given(values=maps, fraction=fractions, seed=st.integers(0, 100))
def test_every_map_keeps_its_own_values(values, fraction, seed):
    result = permuted(values, fraction, seed=seed)
    assert np.array_equal(np.sort(result.reshape(len(values), -1), 1), np.sort(values.reshape(len(values), -1), 1))


@given(fraction=fractions)
def test_at_most_the_floor_of_the_fraction_changes_place(fraction):
    values = np.arange(3 * 72, dtype=np.float32).reshape(3, 2, 6, 6)
    moved = (permuted(values, fraction) != values).reshape(3, -1).sum(1)
    assert (moved <= int(fraction * 72)).all()


def test_the_chosen_count_is_exact():
    """Of n chosen values a random permutation leaves one in place on average, so n - moved averages to one."""
    values = np.tile(np.arange(100, dtype=np.float32).reshape(1, 1, 10, 10), (400, 1, 1, 1))
    for fraction in (0.1, 0.5, 1.0):
        moved = (permuted(values, fraction) != values).reshape(400, -1).sum(1)
        assert moved.max() == 100 * fraction
        assert (100 * fraction - moved).mean() == pytest.approx(1, abs=0.2)


@given(values=maps, fraction=fractions)
def test_by_the_rule_of_probability_every_map_keeps_its_own_values_too(values, fraction):
    result = permuted(values, fraction, rule="probability")
    assert np.array_equal(np.sort(result.reshape(len(values), -1), 1), np.sort(values.reshape(len(values), -1), 1))


def test_by_the_rule_of_probability_the_number_of_chosen_places_is_binomial():
    """Of n chosen places one is left in place on average, but for a map that chooses none, which leaves none."""
    values = np.tile(np.arange(100, dtype=np.float32).reshape(1, 1, 10, 10), (2000, 1, 1, 1))
    moved = (permuted(values, 0.3, rule="probability") != values).reshape(2000, -1).sum(1)
    assert moved.mean() == pytest.approx(29, abs=4 * np.sqrt(22 / 2000)) and moved.var() == pytest.approx(22, rel=0.15)
    assert (permuted(values, 0.3) != values).reshape(2000, -1).sum(1).var() < 2
    everywhere = (permuted(values, 0.3, rule="probability") != values).reshape(2000, -1).mean(0)
    assert np.abs(everywhere - 0.29).max() < 5 * np.sqrt(0.29 * 0.71 / 2000)


def test_the_rules_agree_where_nothing_or_everything_is_chosen():
    values = random_maps()
    assert np.array_equal(permuted(values, 0.0, rule="probability"), values)
    assert (permuted(values, 1.0, rule="probability") != values).mean() > 0.9


def test_all_places_are_equally_likely_to_be_chosen_and_to_be_reached():
    values = np.tile(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), (3000, 1, 1, 1))
    result = permuted(values, 1.0).reshape(3000, 9).astype(int)
    counts = np.stack([np.bincount(result[:, place], minlength=9) for place in range(9)])
    assert np.abs(counts - 3000 / 9).max() < 5 * (3000 / 9) ** 0.5
    chosen = (permuted(values, 0.5) != values).reshape(3000, 9).sum(0)
    assert np.abs(chosen - chosen.mean()).max() < 5 * chosen.mean() ** 0.5


def test_fraction_zero_is_the_identity_and_one_a_full_permutation_across_channels():
    values = random_maps()
    assert np.array_equal(permuted(values, 0.0), values)
    full = permuted(values, 1.0)
    assert (full != values).mean() > 0.9
    first = [set(map(float, one[0].ravel())) for one in values]
    assert any(float(value) not in kept for one, kept in zip(full, first, strict=True) for value in one[0].ravel())


def test_mean_and_deviation_are_preserved():
    values = random_maps()
    for fraction in (0.3, 1.0):
        result = permuted(values, fraction).astype(np.float64).reshape(6, -1)
        np.testing.assert_allclose(result.mean(1), values.astype(np.float64).reshape(6, -1).mean(1), atol=1e-12)
        np.testing.assert_allclose(result.std(1), values.astype(np.float64).reshape(6, -1).std(1), rtol=1e-12)


def test_a_maps_permutation_depends_on_its_row_and_not_on_its_company():
    values = random_maps()
    together = permuted(values, 0.6, rows=range(10, 16))
    assert np.array_equal(permuted(values[3:5], 0.6, rows=[13, 14]), together[3:5])
    assert np.array_equal(permuted(values[::-1], 0.6, rows=range(15, 9, -1))[::-1], together)
    assert not np.array_equal(permuted(values[3:4], 0.6, rows=[14])[0], together[3])


@pytest.mark.parametrize("change", [{"seed": 1}, {"replication": 1}, {"fraction": 0.61}])
def test_seed_replication_and_fraction_each_give_another_permutation(change):
    values = random_maps()
    base, other = permuted(values, 0.6), permuted(values, **{"fraction": 0.6, **change})
    assert all(not np.array_equal(*pair) for pair in zip(base, other, strict=True))


def test_an_integer_fraction_is_the_same_as_a_number_with_a_point():
    values = random_maps()
    assert np.array_equal(permuted(values, 1), permuted(values, 1.0))


def test_permutation_leaves_its_argument_alone_and_wants_a_row_for_every_map():
    values = random_maps()
    before = values.copy()
    permuted(values, 1.0)
    assert np.array_equal(values, before)
    with pytest.raises(ValueError):
        permuted(values, 1.0, rows=range(5))


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), True, "0.5", None])
def test_a_fraction_outside_the_unit_interval_is_refused(fraction):
    with pytest.raises(InputError, match=r"fraction must be a number in \[0, 1\], got"):
        permutation(fraction)


@pytest.mark.parametrize("seed", [-1, 0.5, True, None])
def test_an_unusable_seed_is_refused(seed):
    with pytest.raises(InputError, match="permute.seed must be a non-negative integer, got"):
        permutation(0.5, seed=seed)


def test_an_unknown_rule_is_refused():
    with pytest.raises(InputError, match="permute.rule must be one of fraction, probability, got 'chance'"):
        permutation(0.5, rule="chance")
