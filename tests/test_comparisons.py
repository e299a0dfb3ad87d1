"""Which rows are compared, by what, and how that is corrected, on grids whose answers are known beforehand."""

import numpy as np
import pandas as pd
import pytest
import study_grid
from claim_grid import LEAD, make, spread

from lib.report import comparisons, published_folder
from lib.report.charts import forest
from lib.report.comparisons import CANNOT_TELL, CONTRADICTED, SUPPORTED, Comparison
from lib.report.rows import Row, rows
from lib.statistics import crossed

ASKED = [
    ("IR(R,SmG)", "IR(R,perm,SmG)"),
    ("IR(R,SmG)", "IR(NR,SmG)"),
    ("IR(R,simp)", "IR(NR,simp)"),
    ("IR(R,SmG)", "JR"),
    ("IR(R,SmG)", "AT(L2,2.5)"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def asked(compared: list[Comparison]) -> list[Comparison]:
    return [line for line in compared if line.pair.asked and line.measure == "radius"]


def of_radii(*arguments: object, **changes: object) -> list[Comparison]:
    evidence = make(*arguments, **changes)  # type: ignore[arg-type]
    return comparisons.of_radii(comparisons.THIS, evidence.rows, evidence.radii)


def test_the_question_is_about_five_pairs_in_both_norms():
    compared = asked(comparisons.of_run(make(LEAD)))
    assert [(line.techniques, line.norm) for line in compared] == [(pair, norm) for pair in ASKED for norm in ("l2", "linf")]


def test_the_pairs_follow_from_what_rows_are_and_not_from_what_they_are_called():
    document = {
        "rows": dict.fromkeys(["plain", "hard", "armed", "flat", "hard_maps", "plain_maps", "hard_maps_mixed"]),
        "teachers": {"plain": {"epsilon": None}, "hard": {"epsilon": 1.0}},
        "at": {"armed": {}},
        "jr": {"flat": {}},
        "ir": {"hard_maps": {}, "plain_maps": {}, "hard_maps_mixed": {}},
        "saliency": {"teachers": ["plain", "hard"], "methods": {"maps": {}}},
        "permute": {"source": "hard_maps", "fractions": {"mixed": 1.0}},
    }
    known = {row: Row(row, "table", None) for row in document["rows"]}
    pairs = [(pair.first, pair.second) for pair in comparisons.pairs(known, document) if pair.asked]
    assert pairs == [("hard_maps", other) for other in ("hard_maps_mixed", "plain_maps", "flat", "armed")]


def test_a_relative_difference_of_mean_radii_has_the_interval_of_images_and_seeds():
    compared = comparisons.of_run(evidence := make({"R_smoothgrad": 0.22, "JR": 0.2}))
    line = next(line for line in asked(compared) if line.techniques == ("IR(R,SmG)", "JR") and line.norm == "linf")
    direct = crossed.relative(evidence.radii["R_smoothgrad", "linf"], evidence.radii["JR", "linf"])
    assert line.contrast.estimate == pytest.approx(10) and (line.contrast.low, line.contrast.high) == (direct.low, direct.high)
    assert (line.contrast.images, line.contrast.seeds, line.place, line.verdict) == (200, 3, "L∞", SUPPORTED)


def test_a_verdict_follows_the_corrected_p_value():
    def radius(row, norm, seed):
        return {"R_smoothgrad": 0.2, "JR": 0.21, "AT25": 0.201}.get(row, 0.2 * 1.3 ** [1, -1, 0][seed])

    compared = {line.techniques[1]: line for line in asked(of_radii({}, radius=radius))}
    assert compared["JR"].verdict == CONTRADICTED
    assert compared["IR(NR,SmG)"].verdict == CANNOT_TELL, "seeds that point this way and that"


def test_the_answer_is_corrected_for_itself_and_everything_else_for_itself():
    random = np.random.default_rng(0)
    compared = of_radii({}, radius=lambda row, norm, seed: random.uniform(0.19, 0.21))
    for family in (True, False):
        part = [line.contrast for line in compared if line.pair.asked is family]
        assert [contrast.adjusted for contrast in part] == crossed.holm([contrast.p for contrast in part])
    assert len(asked(compared)) == 10 and len(compared) == 50


def test_accuracies_are_corrected_attack_by_attack_where_the_paper_speaks_of_them():
    compared = [line for line in comparisons.of_run(make(LEAD)) if line.measure == "accuracy"]
    for semantics in ("paper", "strict"):
        part = [line.contrast for line in compared if line.column.semantics == semantics]
        assert [contrast.adjusted for contrast in part] == crossed.holm([contrast.p for contrast in part]) and len(part) == 47
    lead = next(line for line in compared if line.pair.name == comparisons.JACOBIAN and line.column.epsilon == 0.2)
    assert lead.contrast.estimate == pytest.approx(35) and lead.place == "L∞ 0.2"


def test_a_row_that_is_not_trained_out_is_in_no_comparison():
    compared = comparisons.of_run(make(LEAD), {"AT25"})
    assert compared and not any("AT(L2,2.5)" in line.techniques for line in compared)


def test_rows_are_compared_within_their_group_only():
    for pair in comparisons.pairs(make({}, scale="cifar10").rows):
        groups = {rows()[row].group for row in (pair.first, pair.second)} - {"none"}
        assert len(groups) == 1, pair


def test_the_files_are_selections_of_one_frame():
    frame = comparisons.frame(compared := comparisons.of_run(make(LEAD)))
    assert list(frame.columns) == comparisons.COLUMNS and len(frame) == len(compared)
    radii, accuracies = comparisons.of_mean_radii(frame), comparisons.of_accuracies(frame)
    assert list(radii.columns) == ["experiment", "first", "second", "norm", "percent", "low", "high", "p_adjusted", "images", "seeds"]
    assert len(radii) == 50 == len(radii[["experiment", "first", "second", "norm"]].drop_duplicates())
    assert len(accuracies) == 94 and set(accuracies["epsilon"]) <= {"1.5", "0.1", "0.2", "0.25", "0.3"}
    assert comparisons.of_studies(frame).empty


def test_the_metrics_hold_the_answer_under_names_that_dvc_can_show():
    entries = comparisons.summary(comparisons.of_run(make({"R_smoothgrad": 0.22, "JR": 0.2})))
    assert entries["R_smoothgrad_over_JR"]["linf"]["percent"] == 10 and len(entries) == 5
    assert set(entries["R_smoothgrad_over_JR"]["l2"]) == {"percent", "low", "high"}


def test_a_study_with_radii_of_single_images_is_among_the_mean_radii_and_another_is_not():
    make(LEAD)
    table = study_grid.frame("audit", study_grid.level)
    base = next(name for name in table["base"] if name)
    variant = next(iter(table[table["base"] == base]["variant"]))
    values = np.stack([spread(0.2, "base", seed) for seed in range(3)])
    more = np.stack([spread(0.22, "more", seed) for seed in range(3)])
    radii = {(base, "linf"): values, (variant, "linf"): more, (base, "l2"): values}
    place = study_grid.publish("audit", table)
    plain = comparisons.frame(comparisons.of_published(published_folder.read(study_grid.PUBLISHED)["audit"]))
    assert comparisons.of_mean_radii(plain).empty and "robust" in set(plain["measure"])
    published_folder.write_radii(place / "radii.h5", radii)
    compared = comparisons.of_published(published_folder.read(study_grid.PUBLISHED)["audit"])
    (line,) = [line for line in compared if line.contrast.images > 1]
    assert (line.experiment, line.norm, line.pair.first, line.pair.second) == ("audit", "linf", variant, base)
    assert line.contrast.estimate == pytest.approx(10, abs=1e-4) and line.verdict == SUPPORTED and line.contrast.seeds == 3
    assert len(comparisons.of_mean_radii(comparisons.frame(compared))) == 1


def test_the_chart_shows_the_question_and_names_what_is_decided():
    frame = comparisons.frame(comparisons.of_run(make({"R_smoothgrad": 0.3, "R_simple": 0.3})))
    figure = forest.contrasts(frame)
    assert figure is not None and figure.name == "contrasts"
    lines = max(figure.specification["datasets"].values(), key=len)
    asked = frame[frame["asked"] & (frame["measure"] == "radius")]
    assert [line["decided"] for line in lines] == [verdict != CANNOT_TELL for verdict in asked["verdict"]]
    assert f"Forest plot of {len(lines) // 2} comparisons in 2 norms; decided: IR(R,SmG) over IR(R,perm,SmG) in L2" in figure.description
    assert forest.contrasts(comparisons.frame([])) is None


@pytest.mark.parametrize("missed", ["ir_nesterov", "ir"])
def test_a_variant_that_was_not_trained_out_is_compared_with_nothing(missed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = study_grid.frame("audit", study_grid.level).assign(fell=0.9, late=0.1)
    table.loc[(table["variant"] == missed) & (table["seed"] == 1), "late"] = 0.5
    study_grid.publish("audit", table)
    audit = published_folder.read(study_grid.PUBLISHED)["audit"]
    assert audit.unfinished == [missed]
    compared = {(line.pair.first, line.pair.second) for line in comparisons.of_published(audit)}
    assert compared and not any(missed in pair for pair in compared)


def test_published_runs_have_the_same_comparisons_in_panels_of_their_own():
    frame = comparisons.frame(comparisons.of_run(make({"R_smoothgrad": 0.3, "R_simple": 0.3})))
    assert forest.elsewhere(frame) is None
    published = pd.concat([frame, frame.assign(experiment="quick_gelu"), frame.assign(experiment="quick_twice")])
    figure = forest.elsewhere(published)
    assert figure is not None and figure.name == "contrasts_elsewhere" and figure.specification["columns"] == 2
    lines = max(figure.specification["datasets"].values(), key=len)
    assert {line["experiment"] for line in lines} == {"quick_gelu", "quick_twice"}
