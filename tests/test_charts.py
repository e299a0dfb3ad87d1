"""The charts of the page: what is in them, and the words at the top of the page. That they can be used is tested in a browser."""

import json
from dataclasses import replace

import numpy as np
import pytest
import report_grid

from lib import gradient_file
from lib.compare.figures import MARKS
from lib.gradient_file import Gradients
from lib.report import drawing, network_figures, networks, overview, short_answer, survival, vega
from lib.report.charts import glance, looks, security
from lib.report.families import FAMILIES, NAMES
from lib.report.results import Evidence
from lib.report.survival import Survival
from lib.report.vega import as_json


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("grid"))
        report_grid.make({"NR": 0.2, "R_smoothgrad": 0.85, "R_simple": 0.84, "JR": 0.7, "R": 0.4, "AT25": 0.4}, seeds=[0])
        yield report_grid.read()


def brightness(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_every_family_has_a_name_a_colour_and_a_shape_in_every_picture() -> None:
    for known in (NAMES, drawing.SHADES, looks.DARK_SHADES, looks.SHAPES, network_figures.SHAPES):
        assert set(known) == set(FAMILIES)
    assert set(vega.OUTLINES) == set(MARKS) == set(looks.SHAPES.values())


def test_every_shade_is_seen_on_its_page(evidence):
    for look in looks.looks(evidence):
        for colour, page in ((look.light, looks.LIGHT_CARD), (look.dark, looks.DARK_CARD)):
            lighter, darker = sorted((brightness(colour), brightness(page)), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 3, look


def test_rows_that_share_a_shape_do_not_share_a_dash(evidence):
    found = [(look.shape, *look.dash) for look in looks.looks(evidence)]
    assert len(set(found)) == len(found)


def test_curves_have_the_interval_and_the_images_of_every_point(evidence):
    frame = security.points(evidence)
    (point,) = frame[
        (frame["row"] == "JR") & (frame["kind"] == "paper pgd40") & (frame["norm"] == "linf") & (frame["radius"] == 0.2)
    ].to_dict("records")
    assert (point["accuracy"], point["n"], point["interval"], point["seeds"]) == (0.57, 100, "47.2 to 66.3 %", "57.0")


def test_a_curve_goes_on_beyond_the_break_from_its_last_point(evidence):
    frame = security.points(evidence)
    line = frame[(frame["row"] == "JR") & (frame["kind"] == "strict pgd40") & (frame["norm"] == "l2")]
    near, far = (line[line["part"] == part] for part in ("near", "far"))
    assert list(near["radius"]) == [0, 0.75, 1.5] and list(far["radius"]) == [1.5, 2.5, 3.5, 5, 14]
    assert list(far["again"]) == [True, False, False, False, False] and far["place"].is_monotonic_increasing


def test_the_interval_over_images_is_that_of_the_mean_over_seeds(tmp_path):
    for seed, values in enumerate(([1.0, 3.0, 2.0], [3.0, 5.0, 4.0])):
        norm = np.array(values)
        gradient_file.write(
            tmp_path / f"{seed}.h5", seed, "t", "", np.arange(3), {"NR": Gradients(norm, norm, norm / 5, None, np.zeros((0, 1, 2, 2)))}
        )
    found = networks.over_images(tmp_path, [0, 1]).loc["NR"]
    assert found["label_norm"] == pytest.approx(1.959964 * 1 / 3**0.5)  # 2, 4, 3 have standard deviation 1
    assert np.isnan(found["cosine_target"])


def test_a_network_has_its_accuracy_under_each_attack_and_under_all_together(evidence):
    frame = networks.networks(evidence)
    mine = frame[frame["technique"] == "JR"].set_index("attack")
    assert dict(mine["accuracy"]) == {"paper": 0.57, "strict": 0.45, "autoattack": 0.43, "worst": 0.43}
    assert len(frame) == len(evidence.rows) * 4


def test_the_overview_has_the_best_rows_and_the_one_that_permuted_maps_are_held_against(tmp_path, monkeypatch):
    """Of ours the simple gradients are best; the permuted maps are those of SmoothGrad."""
    monkeypatch.chdir(tmp_path)
    report_grid.make({"R_simple": 0.9, "R_smoothgrad": 0.8, "R_smoothgrad_perm100": 0.6, "JR": 0.45}, seeds=[0])
    found = report_grid.read()
    shown = overview.rows(found, survival.survival(found))
    assert {"R_simple", "R_smoothgrad", "R_smoothgrad_perm100", "JR"} <= set(shown) and len(shown) == 7
    frame = overview.frame(found, shown)
    mine = frame[frame["key"] == "JR"]
    assert list(mine["attack"])[-1] == overview.TOGETHER
    assert (mine["low"] < mine["accuracy"]).all() and (mine["accuracy"] < mine["high"]).all()
    assert list(mine["accuracy"])[-1] == survival.worst_scores(found)["JR"].mean() <= mine["accuracy"].min()
    drawn = glance.panel(frame, looks.looks(found), "L∞ 0.2").drawings[0].spec
    assert sum(map(len, drawn["datasets"].values())) == len(frame) == 7 * len(mine)


def test_nothing_in_a_chart_ends_a_script():
    assert as_json({"a": "</script>"}) == '{"a":"\\u003c/script>"}' and json.loads(as_json({"a": "<"})) == {"a": "<"}


@pytest.mark.parametrize(
    ("verdicts", "starts"),
    [
        (["survives"] * 5, ["Yes, ", "What the maps show matters, ", "IR(R,SmG) beats "]),
        (["not decided"] * 5, ["It is not decided ", "Whether what the maps show matters is not decided", "Whether IR(R,SmG) reaches "]),
        (["reversed"] * 5, ["No, ", "What the maps show is not what helps", "IR(R,SmG) falls short "]),
        (
            ["survives", "survives", "not decided", "reversed", "reversed"],
            ["Yes, ", "What the maps show seems to matter in part", "IR(R,SmG) falls "],
        ),
    ],
)
def test_the_three_sentences_follow_the_verdicts(evidence, verdicts, starts):
    said = short_answer.sentences(judged(evidence, verdicts))
    assert [sentence.startswith(start) for sentence, start in zip(said, starts)] == [True] * 3, said


def judged(evidence: Evidence, verdicts: list[str]) -> Survival:
    """What survives, with intervals that give these verdicts on standard, permuted, non-robust, Jacobian and adversarial rows."""
    bounds = {"survives": (0.1, 0.2), "not decided": (-0.1, 0.2), "reversed": (-0.2, -0.1)}
    found = survival.survival(evidence)
    assert found is not None and [lead.family for lead in found.leads] == ["standard", "permuted", "non_robust", "jacobian", "adversarial"]
    leads = []
    for lead, verdict in zip(found.leads, verdicts):
        low, high = bounds[verdict]
        leads.append(replace(lead, difference=replace(lead.difference, first=0.5 + (low + high) / 2, second=0.5, low=low, high=high)))
    return replace(found, leads=tuple(leads))
