"""Effects over seeds, their correction, and least squares, against closed forms and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.base.errors import InputError
from lib.report import effects, regression
from lib.report.effects import Effect, changes, effect
from lib.statistics import crossed


def table(**variants: dict) -> pd.DataFrame:
    """One line per variant and seed; a variant is {"base": ..., measure: [per seed]}, 0.5 where nothing is given, but no radii."""
    lines = []
    for name, entry in variants.items():
        for seed in range(3):
            known = {measure: kind for measure, kind in effects.MEASURES.items() if measure in entry or "radius" not in kind.column}
            numbers = {kind.column: entry.get(measure, [0.5] * 3)[seed] for measure, kind in known.items()}
            described = {"variant": name, "group": "g", "label": name.upper(), "base": entry.get("base", ""), "seed": seed}
            lines.append(described | {"norm": "linf", "epsilon": entry.get("epsilon", 0.2)} | numbers)
    return pd.DataFrame(lines)


def by_hand(values: list[float]) -> tuple[float, float, float]:
    """Mean and ends of Student's t interval with two degrees of freedom, whose 97.5 % quantile is 4.302653."""
    mean, half = np.mean(values), 4.302653 * np.std(values, ddof=1) / np.sqrt(3)
    return float(mean), float(mean - half), float(mean + half)


def test_a_difference_of_accuracies_is_paired_by_seed_and_given_in_points() -> None:
    """The seeds are far apart, their differences are 4, 6 and 8 points; the lines come in another order."""
    frame = table(one={"base": "two", "robust": [0.14, 0.56, 0.98]}, two={"robust": [0.10, 0.50, 0.90]})
    (found,) = changes(frame.sample(frac=1, random_state=0))
    robust = found.effects["robust"]
    assert robust.per_seed == pytest.approx((4, 6, 8)) and robust.df == 2
    assert (robust.mean, robust.low, robust.high) == pytest.approx(by_hand([4, 6, 8]), rel=1e-6)
    assert robust.p == pytest.approx(stats.ttest_1samp([4, 6, 8], 0).pvalue)
    assert robust.clear and (found.base, found.against, found.seeds) == ("two", "TWO", (0, 1, 2))


def test_a_ratio_of_norms_is_a_geometric_mean_and_its_interval_that_of_the_logarithms() -> None:
    (found,) = changes(table(one={"base": "two", "norm": [1.0, 2.0, 4.0]}, two={"norm": [2.0, 2.0, 2.0]}))
    norm = found.effects["norm"]
    assert norm.per_seed == pytest.approx((0.5, 1, 2))
    assert (norm.mean, norm.low, norm.high) == pytest.approx(np.exp(by_hand(np.log([0.5, 1, 2]).tolist())), rel=1e-6)
    assert not norm.clear and norm.shown == "×1.00"


def test_halving_a_norm_in_every_seed_is_an_effect_below_one() -> None:
    found = effect("norm", np.array([1.0, 1.1, 0.9]), np.array([2.0, 2.1, 1.9]))
    assert found.clear and found.high < 1 and found.size == pytest.approx(np.log(2), abs=0.02)


def test_a_study_with_radii_is_about_them_and_their_intervals_count_images_where_these_were_published() -> None:
    random = np.random.default_rng(0)
    base, variant = random.uniform(0.9, 1.1, (3, 40)), random.uniform(1.0, 1.2, (3, 40))
    frame = table(one={"base": "two", "linf": variant.mean(1).tolist()}, two={"linf": base.mean(1).tolist()})
    (over_seeds,), (over_both,) = changes(frame), changes(frame, {("one", "linf"): variant, ("two", "linf"): base})
    both = crossed.relative(variant, base)
    assert effects.outcome(over_both.effects) == "linf" and effects.outcome(["robust", "clean"]) == "robust"
    assert over_both.effects["linf"].mean == pytest.approx(1 + both.estimate / 100) and over_both.effects["linf"].p == both.p
    assert over_seeds.effects["linf"].mean == pytest.approx(over_both.effects["linf"].mean, rel=1e-3)
    assert over_both.effects["linf"].shown == f"+{both.estimate:.1f} %" and over_both.effects["linf"].none == 1


def test_the_group_names_the_threat_model_where_it_is_not_that_of_the_first_variant() -> None:
    found = changes(table(a={}, b={"base": "a"}, c={"base": "a", "epsilon": 0.1}))
    assert [change.group for change in found] == ["g", "g, at L∞ 0.1"]


def test_a_group_that_names_its_threat_model_does_not_name_it_twice() -> None:
    frame = table(a={}, b={"epsilon": 0.1}).assign(group="PGD at L∞ 0.1")
    assert effects.grouped(frame) == {"a": "PGD at L∞ 0.1", "b": "PGD at L∞ 0.1"}


def test_seeds_that_agree_to_the_last_digit_prove_nothing() -> None:
    found = effect("robust", np.array([0.6, 0.6, 0.6]), np.array([0.5, 0.5, 0.5]))
    assert found.shown == "+10.0" and found.p == 1 and not found.clear


@pytest.mark.parametrize("measure, step", [("robust", 1 / 128), ("robust", 1 / 384), ("cosine", 0.01)])
def test_seeds_that_agree_but_for_the_rounding_of_the_table_prove_nothing_either(measure: str, step: float) -> None:
    base = np.array([0.40625, 0.375, 0.8984375])
    rounded = [np.array([float(f"{value:.6g}") for value in values]) for values in (base - step, base)]
    found = effect(measure, *rounded)
    assert found.p == 1 and not found.clear and found.low == found.high


def test_one_seed_has_no_interval() -> None:
    found = effect("robust", np.array([0.6]), np.array([0.5]))
    assert found.interval == "" and found.df == 0 and not found.clear


def test_a_norm_of_zero_has_no_ratio() -> None:
    found = effect("norm", np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0]))
    assert found.shown == "–" and found.p == 1 and not found.clear and found.size == -1


def test_holm_runs_over_the_variants_of_one_measure() -> None:
    """Three variants: the smallest p value is multiplied by 3, the next by 2; the clean accuracies have a family of their own."""
    steps = {"a": [0.600, 0.601, 0.602], "b": [0.54, 0.56, 0.58], "c": [0.50, 0.52, 0.46]}
    frame = table(base={}, **{name: {"base": "base", "robust": values} for name, values in steps.items()})
    found = {change.variant: change.effects for change in changes(frame)}
    raw = {name: stats.ttest_1samp(np.array(values) - 0.5, 0).pvalue for name, values in steps.items()}
    assert found["a"]["robust"].adjusted == pytest.approx(3 * raw["a"])
    assert found["b"]["robust"].adjusted == pytest.approx(2 * raw["b"])
    assert found["c"]["robust"].adjusted == pytest.approx(raw["c"])
    assert [found[name]["robust"].clear for name in "abc"] == [True, True, False]
    assert [found[name]["robust"].withstands for name in "abc"] == [True, False, False]
    assert {one["clean"].adjusted for one in found.values()} == {1.0}


def test_a_variant_without_a_base_in_the_table_has_no_effects() -> None:
    assert changes(table(alone={}, stray={"base": "elsewhere"})) == []


def test_a_variant_and_its_base_are_compared_on_the_seeds_they_share() -> None:
    frame = table(one={"base": "two", "robust": [0.6, 0.7, 0.9]}, two={})
    (found,) = changes(frame[~((frame["variant"] == "two") & (frame["seed"] == 1))])
    assert found.seeds == (0, 2) and found.effects["robust"].per_seed == pytest.approx((10, 40))
    with pytest.raises(InputError, match="variant one and its base two must share a seed"):
        changes(frame[(frame["variant"] == "one") == (frame["seed"] == 0)])


def test_the_table_of_effects_has_one_line_per_variant_and_measure() -> None:
    frame = effects.to_frame({"audit": changes(table(one={"base": "two", "robust": [0.54, 0.56, 0.58]}, two={}))})
    assert list(frame.columns) == effects.COLUMNS and list(frame["measure"]) == [kind.column for kind in effects.MEASURES.values()][2:]
    robust = frame.iloc[0]
    assert (robust["study"], robust["variant"], robust["base"], robust["unit"], robust["df"]) == ("audit", "one", "two", "points", 2)
    assert robust["effect"] == 6 and robust["seeds"] == "0 1 2" and robust["per_seed"] == "4 6 8" and robust["excludes_none"]
    assert list(effects.to_frame({}).columns) == effects.COLUMNS


def test_small_differences_are_printed_without_the_sign_of_a_zero() -> None:
    assert effect("cosine", np.array([0.4999, 0.5]), np.array([0.5, 0.5])).shown == "+0.00"


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    found = [effect("robust", rng.normal(0.5, 0.02, 3), rng.normal(0.5, 0.02, 3)) for _ in range(2000)]
    assert 0.94 < np.mean([not one.clear for one in found]) < 0.96


def test_least_squares_agree_with_the_closed_form_for_orthogonal_quantities() -> None:
    """x and z are orthogonal and centred, so each weight is a ratio of products, and the sums of squares add up."""
    x, z = np.array([-1.0, -1, 1, 1, 0, 0]), np.array([-1.0, 1, -1, 1, 0, 0])
    y = 10 + 2 * x - 3 * z + np.array([0, 0, 0, 0, 1.0, -1.0])
    found = regression.fit(y, {"x": x, "z": z})
    assert (found.intercept, found.coefficients["x"].value, found.coefficients["z"].value) == pytest.approx((10, 2, -3))
    assert found.df == 3 and found.correlation == pytest.approx(0)
    assert found.explained == pytest.approx((4 * 4 + 9 * 4) / (4 * 4 + 9 * 4 + 2))
    assert found.coefficients["x"].partial == pytest.approx(16 / (16 + 2))
    assert found.coefficients["z"].partial == pytest.approx(36 / (36 + 2))
    half = stats.t.ppf(0.975, 3) * np.sqrt(2 / 3 / 4)  # residual variance 2/3 over the sum of squares of x, 4
    assert (found.coefficients["x"].low, found.coefficients["x"].high) == pytest.approx((2 - half, 2 + half))


def test_partial_shares_follow_from_the_t_values_also_for_correlated_quantities() -> None:
    """Partial R² is t² / (t² + degrees of freedom), whatever the correlation."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    z = x + rng.normal(size=40)
    found = regression.fit(1 + x + 0.5 * z + rng.normal(size=40), {"x": x, "z": z})
    for one in found.coefficients.values():
        t = one.value / ((one.high - one.low) / 2 / stats.t.ppf(0.975, 37))
        assert one.partial == pytest.approx(t**2 / (t**2 + 37))
    assert found.correlation == pytest.approx(stats.pearsonr(x, z).statistic)


def test_a_quantity_that_says_nothing_of_its_own_gets_no_share() -> None:
    """y depends on x only, and z is half x: z alone would explain some of y, beyond x nothing."""
    x, noise = np.tile([-1.0, 1.0], 20), np.repeat([-1.0, 1.0], 20)
    found = regression.fit(3 * x + np.tile([1.0, 1.0, -1.0, -1.0], 10), {"x": x, "z": x + noise})
    assert found.coefficients["z"].partial == pytest.approx(0, abs=1e-12) and found.coefficients["x"].partial > 0.5


def test_points_that_do_not_determine_a_fit_are_refused() -> None:
    x = np.arange(5.0)
    with pytest.raises(InputError, match="must vary independently"):
        regression.fit(x, {"x": x, "z": 2 * x})
    with pytest.raises(InputError, match="needs more than 3 points, got 3"):
        regression.fit(x[:3], {"x": x[:3], "z": np.array([1.0, 0, 1])})


def test_points_are_means_over_seeds_of_the_usual_threat_model_with_the_norm_in_doublings() -> None:
    changed = {"one": {"robust": [0.1, 0.2, 0.3], "norm": [1.0, 4.0, 16.0]}, "dead": {"norm": [0.0] * 3}, "lost": {"clean": [0.49] * 3}}
    frame = table(**changed, two={}, other={})
    frame = frame.assign(norm="linf", epsilon=np.where(frame["variant"] == "other", 0.1, 0.2))
    found = regression.points(frame).set_index("variant")
    assert list(found.index) == ["one", "two"]
    assert found.loc["one", "robust"] == pytest.approx(20) and found.loc["one", "doublings"] == pytest.approx(2)


def test_an_effect_counts_as_clear_only_beyond_its_own_spread() -> None:
    narrow = Effect("robust", (1, 1.1, 1.2), 1.1, 0.9, 1.3, 2, 0.01, 0.04)
    wide = Effect("robust", (-5, 1, 7), 1.0, -13, 15, 2, 0.8, 1.0)
    assert narrow.clear and narrow.withstands and not wide.clear
    assert effects.within(narrow, 5) and not effects.within(wide, 5)
