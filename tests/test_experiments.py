"""The same questions asked of every experiment, and the sentences at the top of the page, on results whose answers are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_grid
import study_grid

from lib.base import h5
from lib.columns import Column
from lib.report import claims, experiments, highlights, published_folder, question_table, short_answer, studies, survival
from lib.report.experiments import LARGER, STUDY, THIS, Answer, Gap
from lib.report.families import Family
from lib.report.opponents import opponents
from lib.report.survival import Survival
from lib.report.verdicts import CANNOT_TELL, NOT_TESTED, SUPPORTED

HERE = Column("strict", "pgd40", "linf", 0.2)
IMAGES = 100


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def survived(shares: dict[str, float]) -> Survival:
    report_grid.make(shares, seeds=[0])
    found = survival.survival(report_grid.read())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def beaten(tmp_path_factory) -> Survival:
    """A run in which training towards a robust teacher's maps is far ahead of everything, made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("beaten"))
        return survived({"NR": 0.2, "R": 0.3, "AT25": 0.3, "R_smoothgrad": 0.9, "R_simple": 0.9})


def answer(family: Family, points: float, clear: bool, kind: str = LARGER, all: tuple[float, ...] = ()) -> Answer:
    gap = Gap(points, points - 1, points + 1, clear)
    return Answer(family, kind, "big" if kind != THIS else "", "the strict attack", 200, 1, "IR", "other", gap, all or (points,))


def publish_run(standing: dict[str, int], images: bool = True) -> published_folder.Published:
    """A run whose rows keep the first so many of 100 images under the strict attack at L∞ 0.2."""
    place = study_grid.PUBLISHED / "big"
    place.mkdir(parents=True)
    start = {"dataset": "mnist5k", "seed": 0, "semantics": "strict", "attack": "pgd40", "norm": "linf", "epsilon": 0.2, "n": IMAGES}
    lines = [
        start | {"row": row, "technique": row, "accuracy": count / IMAGES, "line": line}
        for line, (row, count) in enumerate(standing.items())
    ]
    pd.DataFrame(lines).to_csv(place / "accuracies.csv", index=False)
    (place / "params.yaml").write_text((study_grid.ROOT / "scales/quick.yaml").read_text())
    described = {"kind": "run", "name": "big", "command": "dvc repro", "seeds": [0]} | study_grid.ABOUT
    (place / "about.json").write_text(json.dumps(described))
    if images:
        with h5.writing(place / "outcomes.h5", "published outcomes") as file:
            file["standing"] = np.stack([np.arange(IMAGES) < count for count in standing.values()]).astype(np.uint8)
            file["runs"] = np.ones(len(standing), np.uint8)
    return published_folder.read(study_grid.PUBLISHED)["big"]


def test_permuted_maps_are_held_against_the_very_maps_that_were_permuted_even_if_another_row_of_ours_is_better():
    found = {
        lead.family: lead
        for lead in survived({"R_simple": 0.9, "R_smoothgrad": 0.8, "R_smoothgrad_perm100": 0.6, "NR_smoothgrad": 0.7}).leads
    }
    assert (found["permuted"].ours, found["permuted"].technique) == ("IR(R,SmG)", "IR(R,perm,SmG)")
    assert (found["non_robust"].ours, found["non_robust"].technique) == ("IR(R,simp)", "IR(NR,simp)"), "the same method, not the best one"
    assert (found["jacobian"].ours, found["jacobian"].technique) == ("IR(R,simp)", "JR")


def test_without_the_source_of_the_permutation_the_best_row_is_taken():
    report_grid.make(seeds=[0])
    best: dict[Family, str] = {"robust": "R_simple", "permuted": "R_smoothgrad_perm25", "standard": "NR"}
    assert opponents(best, ["R_simple", "R_smoothgrad_perm25", "NR"])["permuted"] == ("R_simple", "R_smoothgrad_perm25")
    assert opponents(best, ["R_smoothgrad", "R_smoothgrad_perm25", "R_smoothgrad_perm100"])["permuted"] == (
        "R_smoothgrad",
        "R_smoothgrad_perm100",
    )


def test_a_larger_run_answers_with_its_images_and_names_the_spread_of_adversarial_training():
    report_grid.make(seeds=[0])
    run = publish_run({"NR": 5, "R": 60, "AT25": 66, "R_smoothgrad": 50, "R_smoothgrad_perm100": 49})
    said = {one.family: one for one in experiments.of_run(run, HERE)}
    assert (said["standard"].gap.points, said["standard"].gap.clear) == (45.0, True)
    assert (said["permuted"].gap.points, said["permuted"].gap.clear) == (pytest.approx(1), False), "one image of a hundred"
    assert said["adversarial"].gap.points == pytest.approx(-16) and said["adversarial"].all == pytest.approx((-10, -16))
    assert said["adversarial"].called == "larger run big (one seed, 100 images)"


def test_a_larger_run_without_single_images_has_no_interval_and_is_never_clear():
    report_grid.make(seeds=[0])
    said = experiments.of_run(publish_run({"NR": 5, "R_smoothgrad": 90}, images=False), HERE)
    assert [(one.gap.points, one.gap.interval, one.gap.clear) for one in said] == [(85.0, "+85.0", False)]
    assert experiments.of_run(published_folder.read(study_grid.PUBLISHED)["big"], replace(HERE, epsilon=0.1)) == [], "another threat model"


def test_a_study_answers_by_its_variants_that_are_rows_and_turns_their_sign_round():
    def formula(name: str, entry: dict, seed: int) -> dict[str, float]:
        lower = {"permuted": 0.10, "jr": 0.05 * (seed - 1)}.get(name, 0.0)
        return {"robust": 0.40 - lower + seed / 1000 * (name != "ir")}

    report_grid.make(seeds=[0])
    study_grid.publish("beyond", study_grid.frame("beyond", formula))
    found = published_folder.read(study_grid.PUBLISHED)
    said = {one.family: one for one in experiments.answers(None, found, studies.effects_of(found), HERE)}
    assert set(said) == {"standard", "permuted", "jacobian", "adversarial"}
    assert said["permuted"].gap.points == pytest.approx(9.9) and said["permuted"].gap.clear and said["permuted"].second == "pixels permuted"
    assert not said["jacobian"].gap.clear and said["jacobian"].experiment == STUDY


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            [answer("permuted", 8, False, THIS), answer("permuted", 6, True)],
            "Both experiments on this page that ask this put the maps ahead of the",
        ),
        ([answer("permuted", 8, False, THIS), answer("permuted", -6, True)], "disagree in sign: one of two put the maps ahead"),
        ([answer("permuted", -8, True, THIS), answer("permuted", -6, True)], "put the maps behind the same maps"),
        ([answer("permuted", 8, False, THIS)], ", in points"),
    ],
)
def test_the_second_sentence_says_what_all_experiments_say_together(beaten, answers, words):
    said = short_answer.sentences(beaten, answers)
    assert words in said[1]
    assert ("experiments" in said[1]) == (len(answers) > 1)


def test_the_third_sentence_is_about_this_run_and_adds_what_larger_runs_say(beaten):
    opposite, same = answer("adversarial", -16, True, all=(-10.0, -16.0)), answer("adversarial", 4, False, all=(9.0, 4.0))
    reversed_, agreeing, alone = (short_answer.sentences(beaten, others)[2] for others in ([opposite], [same], []))
    start = f"{beaten.ours} beats adversarial training in this run, at L∞ 0.2: +"
    assert reversed_.startswith(start) and agreeing.startswith(start)
    assert reversed_.endswith(
        "; in the larger run big (one seed, 200 images), under the strict attack, adversarial training leads by 10.0–16.0 points."
    )
    assert agreeing.endswith("it leads by 4.0–9.0 points, within chance.")
    assert "larger" not in alone
    assert short_answer.turned(beaten, [opposite, same]) == ["big"] and short_answer.turned(None, [opposite]) == []


def test_the_first_sentence_says_what_networks_keep_that_are_trained_without_the_maps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = survived({"NR": 0.1, "R_smoothgrad": 0.9, "R_smoothgrad_perm100": 0.6, "JR": 0.8})
    kept = {lead.family: f"{100 * lead.difference.second:.0f} %" for lead in found.leads}
    assert short_answer.sentences(found)[0].endswith(
        f" But IR(R,perm,SmG), with the maps’ pixels permuted, keeps {kept['permuted']} and JR, with small gradients and no maps, keeps "
        f"{kept['jacobian']}."
    )


def test_every_lead_names_its_row_where_they_are_not_all_of_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    second = short_answer.sentences(survived({"R_simple": 0.9, "R_smoothgrad": 0.8, "R_smoothgrad_perm100": 0.6, "NR": 0.1}))[1]
    assert "(IR(R,SmG) +" in second and "; IR(R,simp) +" in second


def test_leads_of_a_larger_run_are_corrected_for_how_many_there_are():
    """Six images more, of which none is lost: p = 1/64 alone, and three times that among three leads."""
    report_grid.make(seeds=[0])
    run = publish_run({"NR": 5, "R_smoothgrad": 50, "R_smoothgrad_perm100": 44, "JR": 45})
    said = {one.family: one.gap for one in experiments.of_run(run, HERE)}
    assert said["standard"].certainty == "clear of chance"
    assert said["permuted"].p == pytest.approx(2 / 64) and said["permuted"].low > 0
    assert not said["permuted"].clear and said["permuted"].certainty == "clear alone, not after correction"


def test_each_study_answers_for_itself():
    report_grid.make(seeds=[0])
    for name in ("beyond", "matched"):
        study_grid.publish(name, study_grid.frame(name, lambda *_: {}))
    found = published_folder.read(study_grid.PUBLISHED)
    said = experiments.answers(None, found, studies.effects_of(found), HERE)
    assert {one.name for one in said if one.family == "jacobian"} == {"beyond", "matched"}
    assert "study beyond" in question_table.to_html(said, 1) and "study matched" in question_table.to_html(said, 1)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([answer("jacobian", 3, True), answer("jacobian", 1, False)], "all ahead; clear in 1 of 2"),
        ([answer("jacobian", -3, True), answer("jacobian", 1, True)], "contradictory: clear in 2 of 2, 1 ahead and 1 behind"),
        ([answer("jacobian", -3, True), answer("jacobian", 1, False)], "signs differ; clear in 1 of 2"),
        ([answer("jacobian", -3, False), answer("jacobian", 0, False)], "none ahead; clear in 0 of 2"),
    ],
)
def test_what_experiments_say_together_follows_from_their_signs(answers, words):
    assert question_table.together(answers) == words


def highlighted(neither: float, direction: float, norm: float = 1.0) -> list[str]:
    """What is said of a grid with these accuracies, where the direction alone makes gradients so many times as long as no penalty."""

    def formula(name: str, entry: dict, seed: int) -> dict[str, float]:
        known = {"d0_m0": neither, "d3_m0": direction, "d0_m1": 0.3, "jr_gelu": 0.8, "ir": 0.4, "d3_m1": 0.4}
        robust = known.get(name, 0.35)
        return {"robust": robust + seed / 100 * (name == "d3_m0"), "label_norm": norm * 2 if name == "d3_m0" else 2.0}

    study_grid.publish("beyond", study_grid.frame("beyond", formula))
    return highlights.words(published_folder.read(study_grid.PUBLISHED)["beyond"])


def test_the_most_telling_results_of_the_study_are_said_in_a_sentence_each():
    first, second = highlighted(0.1, 0.5)
    assert first.startswith("The direction of the gradients helps even where they are not small: ")
    assert "(λd 3, λm 0)" in first and "with the norm’s penalty alone 30.0 %, with both 40.0 %, with neither 10.0 %" in first
    assert second.startswith(
        "Of all 42 variants “JR, GELU”, trained without any map, has the highest accuracy under the strict attack, 80.0 %"
    )


def test_the_sentence_on_direction_follows_the_numbers():
    assert highlighted(0.1, 0.5, norm=0.1)[0].startswith("The direction of the gradients alone helps, but makes them small as well")
    assert highlighted(0.8, 0.5)[0].startswith("The direction of the gradients alone harms")
    assert highlighted(0.51, 0.5)[0].startswith("Whether the direction of the gradients helps without their being small is not decided")


@pytest.mark.parametrize(("points", "verdict"), [((30, 30.01, 30.02), SUPPORTED), ((30, 5, -20), CANNOT_TELL)])
def test_the_claim_on_distillation_is_decided_by_the_study(points, verdict):
    def formula(name: str, entry: dict, seed: int) -> dict[str, float]:
        ordinary = study_grid.ordinary(seed)
        return {key: ordinary[key] - points[seed] / 100 for key in ("robust", "paper")} if name == "distilled" else {}

    assert claims.verdict(claims._distillation(None), "strict") == NOT_TESTED
    study_grid.publish("beyond", study_grid.frame("beyond", formula))
    found = claims._distillation(published_folder.read(study_grid.PUBLISHED)["beyond"])
    assert found.findings["strict"].verdict == found.findings["paper"].verdict == verdict
    assert (found.findings["strict"].images, found.findings["strict"].seeds) == (128, 3)


def test_a_variant_that_found_no_matching_strength_answers_nothing():
    report_grid.make(seeds=[0])
    table = study_grid.frame("matched", lambda name, *_: {"matched": 0.0 if name == "jr" else 1.0})
    study_grid.publish("matched", table)
    found = published_folder.read(study_grid.PUBLISHED)
    said = experiments.answers(None, found, studies.effects_of(found), HERE)
    assert {"permuted", "adversarial"} <= {one.family for one in said} and "jacobian" not in {one.family for one in said}
