"""What a study's variants do, over seeds, with their correction, and least squares: against closed forms and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.base.errors import InputError
from lib.report import comparisons, regression
from lib.report.comparisons import Comparison, over_seeds
from lib.statistics import crossed


def table(**variants: dict) -> pd.DataFrame:
    """One line per variant and seed; a variant is {"base": ..., measure: [per seed]}, 0.5 where nothing is given, but no radii."""
    lines = []
    for name, entry in variants.items():
        for seed in range(3):
            known = [measure for measure in comparisons.STUDIED if measure in entry or not measure.startswith("radius")]
            numbers = {measure: entry.get(measure, [0.5] * 3)[seed] for measure in known}
            described = {"variant": name, "group": "g", "label": name.upper(), "base": entry.get("base", ""), "seed": seed}
            lines.append(described | {"norm": "linf", "epsilon": entry.get("epsilon", 0.2)} | numbers)
    return pd.DataFrame(lines)


def compared(frame: pd.DataFrame, measure: str = "robust", **radii: np.ndarray) -> list[Comparison]:
    """The variants against their bases in one measure; `radii` in L∞ by variant."""
    found = {(name, "linf"): values for name, values in radii.items()}
    return [line for line in comparisons.of_table("audit", frame, found) if line.measure == measure]


def by_hand(values: list[float]) -> tuple[float, float, float]:
    """Mean and ends of Student's t interval with two degrees of freedom, whose 97.5 % quantile is 4.302653."""
    mean, half = np.mean(values), 4.302653 * np.std(values, ddof=1) / np.sqrt(3)
    return float(mean), float(mean - half), float(mean + half)


def numbers(line: Comparison) -> tuple[float, float, float]:
    return line.contrast.estimate, line.contrast.low, line.contrast.high


def test_a_difference_of_accuracies_is_paired_by_seed_and_given_in_points() -> None:
    """The seeds are far apart, their differences are 4, 6 and 8 points; the lines come in another order."""
    frame = table(one={"base": "two", "robust": [0.14, 0.56, 0.98]}, two={"robust": [0.10, 0.50, 0.90]})
    (line,) = compared(frame.sample(frac=1, random_state=0))
    assert line.per_seed == pytest.approx({0: 4, 1: 6, 2: 8}) and line.contrast.df == 2 and line.unit == "points"
    assert numbers(line) == pytest.approx(by_hand([4, 6, 8]), rel=1e-6)
    assert line.contrast.p == pytest.approx(stats.ttest_1samp([4, 6, 8], 0).pvalue)
    assert line.contrast.clear and (line.pair.second, line.techniques) == ("two", ("ONE", "TWO"))


def test_a_ratio_of_norms_is_a_geometric_mean_in_percent_and_its_interval_that_of_the_logarithms() -> None:
    (line,) = compared(table(one={"base": "two", "label_norm": [1.0, 2.0, 4.0]}, two={"label_norm": [2.0, 2.0, 2.0]}), "label_norm")
    assert list(line.per_seed.values()) == pytest.approx([-50, 0, 100])
    assert numbers(line) == pytest.approx(100 * (np.exp(by_hand(np.log([0.5, 1, 2]).tolist())) - 1), rel=1e-6, abs=1e-6)
    assert not line.contrast.clear


def test_halving_a_norm_in_every_seed_is_as_large_an_effect_as_doubling_it() -> None:
    frame = table(half={"base": "b", "label_norm": [1.0, 1.1, 0.9]}, b={"label_norm": [2.0, 2.1, 1.9]})
    (line,) = compared(frame, "label_norm")
    assert line.contrast.clear and line.contrast.high < 0 and line.size == pytest.approx(np.log(2), abs=0.02)


def test_a_study_with_radii_is_about_them_and_their_intervals_count_images_where_these_were_published() -> None:
    random = np.random.default_rng(0)
    base, variant = random.uniform(0.9, 1.1, (3, 40)), random.uniform(1.0, 1.2, (3, 40))
    frame = table(one={"base": "two", "radius_linf": variant.mean(1).tolist()}, two={"radius_linf": base.mean(1).tolist()})
    (of_seeds,), (of_both,) = compared(frame, "radius_linf"), compared(frame, "radius_linf", one=variant, two=base)
    both = crossed.relative(variant, base)
    assert comparisons.outcome(comparisons.studied(frame)) == "radius_linf" and comparisons.outcome(["robust", "clean"]) == "robust"
    assert (of_both.contrast.estimate, of_both.contrast.p, of_both.contrast.images) == (both.estimate, both.p, 40)
    assert of_seeds.contrast.estimate == pytest.approx(both.estimate, rel=0.02) and of_seeds.contrast.images == 1


def test_the_group_names_the_threat_model_where_it_is_not_that_of_the_first_variant() -> None:
    assert [line.group for line in compared(table(a={}, b={"base": "a"}, c={"base": "a", "epsilon": 0.1}))] == ["g", "g, at L∞ 0.1"]
    frame = table(a={}, b={"epsilon": 0.1}).assign(group="PGD at L∞ 0.1")
    assert comparisons.grouped(frame) == {"a": "PGD at L∞ 0.1", "b": "PGD at L∞ 0.1"}, "not twice"


@pytest.mark.parametrize("measure, step", [("robust", 0.1), ("robust", 1 / 128), ("robust", 1 / 384), ("cosine_reference", 0.01)])
def test_seeds_that_agree_but_for_the_rounding_of_the_table_prove_nothing(measure: str, step: float) -> None:
    base = np.array([0.40625, 0.375, 0.8984375])
    rounded = [np.array([float(f"{value:.6g}") for value in values]) for values in (base - step, base)]
    contrast, _ = over_seeds(measure, *rounded)
    assert contrast.p == 1 and not contrast.clear and contrast.low == contrast.high


def test_one_seed_has_no_interval_and_a_norm_of_zero_no_ratio() -> None:
    contrast, _ = over_seeds("robust", np.array([0.6]), np.array([0.5]))
    assert np.isnan(contrast.low) and not contrast.clear
    (line,) = compared(table(one={"base": "two", "label_norm": [0.0, 1.0, 1.0]}, two={"label_norm": [1.0] * 3}), "label_norm")
    assert np.isnan(line.contrast.estimate) and line.contrast.p == 1 and not line.contrast.clear and line.size == -1


def test_holm_runs_over_the_variants_of_one_measure() -> None:
    """Three variants: the smallest p value is multiplied by 3, the next by 2; the clean accuracies have a family of their own."""
    steps = {"a": [0.600, 0.601, 0.602], "b": [0.54, 0.56, 0.58], "c": [0.50, 0.52, 0.46]}
    frame = table(base={}, **{name: {"base": "base", "robust": values} for name, values in steps.items()})
    found = {line.pair.first: line.contrast for line in compared(frame)}
    raw = {name: stats.ttest_1samp(np.array(values) - 0.5, 0).pvalue for name, values in steps.items()}
    assert [found[name].adjusted for name in "abc"] == pytest.approx([3 * raw["a"], 2 * raw["b"], raw["c"]])
    assert [found[name].clear for name in "abc"] == [True, True, False]
    assert all(line.contrast.adjusted == 1 for line in compared(frame, "clean"))


def test_only_seeds_that_both_have_are_compared_and_without_any_it_is_refused() -> None:
    frame = table(one={"base": "two", "robust": [0.6, 0.7, 0.9]}, two={})
    (line,) = compared(frame[~((frame["variant"] == "two") & (frame["seed"] == 1))])
    assert line.per_seed == pytest.approx({0: 10, 2: 40})
    with pytest.raises(InputError, match="variant one and its base two must share a seed"):
        compared(frame[(frame["variant"] == "one") == (frame["seed"] == 0)])


def test_the_table_of_effects_has_one_line_per_variant_and_measure_and_ratios_as_ratios() -> None:
    entry = {"base": "two", "robust": [0.54, 0.56, 0.58], "label_norm": [0.25, 0.26, 0.24]}
    frame = comparisons.of_studies(comparisons.frame(comparisons.of_table("audit", table(one=entry, two={}))))
    assert list(frame.columns) == comparisons.EFFECTS and list(frame["measure"]) == list(comparisons.STUDIED)[2:]
    robust, norm = frame.iloc[0], frame.set_index("measure").loc["label_norm"]
    assert (robust["study"], robust["variant"], robust["base"], robust["unit"], robust["df"]) == ("audit", "one", "two", "points", 2)
    assert robust["effect"] == 6 and robust["seeds"] == "0 1 2" and robust["per_seed"] == "4 6 8" and robust["excludes_none"]
    assert norm["unit"] == "ratio" and norm["effect"] == pytest.approx(0.5, abs=0.001) and norm["per_seed"] == "0.5 0.52 0.48"


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    found = [over_seeds("robust", rng.normal(0.5, 0.02, 3), rng.normal(0.5, 0.02, 3))[0] for _ in range(2000)]
    assert 0.94 < np.mean([not contrast.clear for contrast in found]) < 0.96


def test_least_squares_agree_with_the_closed_form_for_orthogonal_quantities() -> None:
    """x and z are orthogonal and centred, so each weight is a ratio of products, and the sums of squares add up."""
    x, z = np.array([-1.0, -1, 1, 1, 0, 0]), np.array([-1.0, 1, -1, 1, 0, 0])
    y = 10 + 2 * x - 3 * z + np.array([0, 0, 0, 0, 1.0, -1.0])
    found = regression.fit(y, pd.DataFrame({"x": x, "z": z}))
    assert found["value"].tolist() == pytest.approx([10, 2, -3])
    assert found.attrs["df"] == 3 and found.attrs["correlation"] == pytest.approx(0)
    assert found.attrs["explained"] == pytest.approx((4 * 4 + 9 * 4) / (4 * 4 + 9 * 4 + 2))
    assert found.loc["x", "partial"] == pytest.approx(16 / (16 + 2))
    assert found.loc["z", "partial"] == pytest.approx(36 / (36 + 2))
    half = stats.t.ppf(0.975, 3) * np.sqrt(2 / 3 / 4)  # residual variance 2/3 over the sum of squares of x, 4
    assert (found.loc["x", "low"], found.loc["x", "high"]) == pytest.approx((2 - half, 2 + half))


def test_partial_shares_follow_from_the_t_values_also_for_correlated_quantities() -> None:
    """Partial R² is t² / (t² + degrees of freedom), whatever the correlation."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    z = x + rng.normal(size=40)
    found = regression.fit(1 + x + 0.5 * z + rng.normal(size=40), pd.DataFrame({"x": x, "z": z}))
    for _, line in found.drop("intercept").iterrows():
        t = line["value"] / ((line["high"] - line["low"]) / 2 / stats.t.ppf(0.975, 37))
        assert line["partial"] == pytest.approx(t**2 / (t**2 + 37))
    assert found.attrs["correlation"] == pytest.approx(stats.pearsonr(x, z).statistic)


def test_a_quantity_that_says_nothing_of_its_own_gets_no_share() -> None:
    """y depends on x only, and z is half x: z alone would explain some of y, beyond x nothing."""
    x, noise = np.tile([-1.0, 1.0], 20), np.repeat([-1.0, 1.0], 20)
    found = regression.fit(3 * x + np.tile([1.0, 1.0, -1.0, -1.0], 10), pd.DataFrame({"x": x, "z": x + noise}))
    assert found.loc["z", "partial"] == pytest.approx(0, abs=1e-12) and found.loc["x", "partial"] > 0.5


def test_points_that_do_not_determine_a_fit_are_refused() -> None:
    x = np.arange(5.0)
    with pytest.raises(InputError, match="must vary independently"):
        regression.fit(x, pd.DataFrame({"x": x, "z": 2 * x}))
    with pytest.raises(InputError, match="needs more than 3 points, got 3"):
        regression.fit(x[:3], pd.DataFrame({"x": x[:3], "z": np.array([1.0, 0, 1])}))


def test_points_are_means_over_seeds_of_the_usual_threat_model_with_the_norm_in_doublings() -> None:
    changed = {
        "one": {"robust": [0.1, 0.2, 0.3], "label_norm": [1.0, 4.0, 16.0]},
        "dead": {"label_norm": [0.0] * 3},
        "lost": {"clean": [0.49] * 3},
    }
    frame = table(**changed, two={}, other={})
    frame = frame.assign(norm="linf", epsilon=np.where(frame["variant"] == "other", 0.1, 0.2))
    found = regression.points(frame).set_index("variant")
    assert list(found.index) == ["one", "two"]
    assert found.loc["one", "robust"] == pytest.approx(20) and found.loc["one", "doublings"] == pytest.approx(2)
