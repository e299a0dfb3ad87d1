"""The charts of the page: what is in them. That they can be used is tested in a browser."""

import json

import numpy as np
import pandas as pd
import pytest
import report_grid

from lib.compare.figures import MARKS
from lib.gradients import gradient_file
from lib.gradients.gradient_file import Gradients
from lib.report import drawing, network_figures, networks, vega
from lib.report.charts import looks, security
from lib.report.families import FAMILIES, NAMES
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


def test_a_curve_goes_on_beyond_the_break_from_its_last_point():
    """Nothing is above chance beyond the radius 1.5."""
    radii, accuracies = [0, 0.75, 1.5, 2.5, 3.5, 14], [0.97, 0.7, 0.56, 0.1, 0.1, 0]
    line = security.placed(pd.DataFrame({"row": "JR", "kind": "strict search", "radius": radii, "accuracy": accuracies}), 0.1)
    near, far = (line[line["part"] == part] for part in ("near", "far"))
    assert list(near["radius"]) == [0, 0.75, 1.5] and list(far["radius"]) == [1.5, 2.5, 3.5, 14]
    assert list(far["again"]) == [True, False, False, False] and far["place"].is_monotonic_increasing


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
    assert dict(mine["accuracy"]) == {"paper": 0.57, "strict": 0.45, "worst": 0.45}
    assert len(frame) == len(evidence.rows) * 3


def test_nothing_in_a_chart_ends_a_script():
    assert as_json({"a": "</script>"}) == '{"a":"\\u003c/script>"}' and json.loads(as_json({"a": "<"})) == {"a": "<"}
