"""The charts: what is in them, in which colours, and that the same numbers give the same bytes. How they look is for eyes."""

import json

import altair as alt
import numpy as np
import pandas as pd
import pytest
import report_grid
import study_grid

from lib.base import params
from lib.gradients import gradient_file
from lib.gradients.gradient_file import Gradients
from lib.report import comparisons, networks, regression, series
from lib.report.charts import curves, forest, looks, norms, permutation, render, studies
from lib.report.charts import networks as scatter
from lib.report.families import FAMILIES, NAMES, families
from lib.report.results import labels


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("grid"))
        report_grid.make({"NR": 0.2, "R_smoothgrad": 0.85, "R_simple": 0.84, "JR": 0.7, "R": 0.4, "AT25": 0.4}, seeds=[0])
        yield report_grid.read()


def table_rows(evidence):
    """The looks of the rows of the main table."""
    return {row: look for row, look in looks.of_rows(labels(evidence.rows)).items() if evidence.rows[row].threats == "table"}


def over_images(evidence, half=0.1):
    return pd.DataFrame(half, index=list(evidence.rows), columns=["label_norm", "other_norm", "cosine_reference", "cosine_target"])


def contrast(shade: str, page: str) -> float:
    """Of two colours, by WCAG 2."""
    parts = np.array([list(bytes.fromhex(colour[1:])) for colour in (shade, page)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    return float((linear.max() + 0.05) / (linear.min() + 0.05))


def test_every_row_belongs_to_the_family_it_was_trained_for(evidence):
    found = families()
    assert found["NR"] == "standard" and found["R"] == found["AT25"] == "adversarial" and found["JR"] == "jacobian"
    assert found["R_smoothgrad"] == found["R_simple"] == "robust" and found["NR_simple"] == "non_robust"
    assert found["R_smoothgrad_perm25"] == found["R_smoothgrad_perm100"] == "permuted"


def test_a_row_that_another_objective_trains_belongs_to_no_family_of_the_paper(evidence):
    document = params.document()
    trained = document | {"rows": document["rows"] | {"GR": {}}, "gr": {"GR": {"lambda_g": 0.1}}}
    assert families(trained)["GR"] == "other"


def test_every_family_has_a_name_colours_and_a_shape():
    for known in (NAMES, looks.SHADES, looks.SHAPES):
        assert set(known) == set(FAMILIES)


def test_rows_are_seen_on_both_pages_and_told_apart_by_colour_or_by_shape_and_dash(evidence):
    shown, revisions = list(table_rows(evidence).values()), looks.of_names([f"r{place}" for place in range(8)])
    assert len({look.light for look in shown}) == len(shown) and len({look.light for look in revisions[:7]}) == 7
    for group in (list(looks.of_rows(labels(evidence.rows)).values()), revisions):
        assert len({(look.shape, *look.dash) for look in group}) == len(group)
        for look in group:
            assert contrast(look.light, looks.LIGHT_CARD) >= 3 and contrast(look.dark, looks.DARK_CARD) >= 3, look


def test_a_figure_is_written_as_png_svg_and_json_with_the_same_bytes_every_time(evidence, tmp_path):
    points = curves.points(evidence, series.curves(evidence))

    def written(folder: str) -> dict[str, bytes]:
        figure = curves.figure(points, series.areas(evidence), list(table_rows(evidence).values()), 0.1)
        render.write(figure, tmp_path / folder)
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}

    first = written("first")
    assert set(first) == {f"fig6_security.{suffix}" for suffix in ("png", "svg", "json")} and first == written("second")
    assert first["fig6_security.png"].startswith(b"\x89PNG")


def test_nothing_in_a_chart_ends_a_script():
    assert render.as_json({"a": "</script>"}) == '{"a":"\\u003c/script>"}' and json.loads(render.as_json({"a": "<"})) == {"a": "<"}
    figure = render.Figure("x", alt.Chart(pd.DataFrame({"a": ["</script>"]})).mark_text().encode(text="a:N"), 'said "of it"')
    assert render.html(figure).count("</script>") == 1 and 'alt="said &#34;of it&#34;"' in render.html(figure)
    assert render.head().count("</script>") == 3


def test_curves_have_the_interval_and_the_images_of_every_point(evidence):
    frame = curves.points(evidence, series.curves(evidence))
    mine = frame[(frame["row"] == "JR") & (frame["kind"] == "paper pgd40") & (frame["norm"] == "linf") & (frame["radius"] == 0.2)]
    (point,) = mine.to_dict("records")
    assert (point["accuracy"], point["n"], point["interval"], point["seeds"]) == (0.57, 100, "47.2 to 66.3 %", "57.0")


def test_the_axis_of_radii_ends_where_the_last_line_has_fallen_to_chance():
    frame = pd.DataFrame({"radius": [0, 0.75, 1.5, 2.5, 3.5, 14], "accuracy": [0.97, 0.7, 0.56, 0.1, 0.1, 0]})
    assert curves._end(frame, 0.1) == 2.5 and curves._end(frame, 0) == 14 and curves._end(frame[:2], 0.1) == 0.75


def test_the_security_curves_name_the_row_with_the_largest_area_in_each_norm(evidence):
    areas = pd.DataFrame({"technique": ["JR", "NR"] * 2, "norm": ["l2"] * 2 + ["linf"] * 2, "mean_radius": [1.0, 2.0, 0.2, 0.1]})
    points = curves.points(evidence, series.curves(evidence))
    figure = curves.figure(points, areas, looks.of_names(["JR", "NR"]), 0.1)
    assert figure.description.endswith("in L2 that of NR, 2; in L∞ that of JR, 0.2.")
    assert curves.figure(points, areas[:0], looks.of_names(["JR", "NR"]), 0.1) is None


def test_the_small_multiples_end_at_the_largest_radius_of_every_attack(evidence):
    points = curves.points(evidence, series.curves(evidence))
    figure = curves.panels(points, "linf", list(table_rows(evidence).values()), 100)
    (lines,) = figure.specification["datasets"].values()
    assert {line["panel"] for line in lines} == {look.name for look in table_rows(evidence).values()}
    assert max(line["radius"] for line in lines) == points[points["kind"] == "paper pgd40"].query("norm == 'linf'")["radius"].max()


def test_the_interval_over_images_is_that_of_the_mean_over_seeds(tmp_path):
    for seed, values in enumerate(([1.0, 3.0, 2.0], [3.0, 5.0, 4.0])):
        norm = np.array(values)
        gradient_file.write(
            tmp_path / f"{seed}.h5", seed, "t", "", np.arange(3), {"NR": Gradients(norm, norm, norm / 5, None, np.zeros((0, 1, 2, 2)))}
        )
    found = networks.over_images(tmp_path, [0, 1]).loc["NR"]
    assert found["label_norm"] == pytest.approx(1.959964 * 1 / 3**0.5)  # 2, 4, 3 have standard deviation 1
    assert np.isnan(found["cosine_target"])


@pytest.mark.parametrize(("values", "ends"), [([2.0], (2, 2)), ([1.0, 3.0], (1, 3)), ([1.0, 2.0, 3.0], (-0.4841, 4.4841))])
def test_seeds_give_an_interval_from_three_on(values, ends):
    assert permutation.over_seeds(values) == pytest.approx(ends, abs=1e-4)


def test_the_permutation_has_the_mean_and_the_interval_over_images_of_every_share(evidence):
    frame = series.permutation(evidence)
    found = permutation.summary(evidence, frame, "label_norm", over_images(evidence)).set_index("fraction")
    assert list(found.index) == [0, 0.25, 0.5, 0.75, 1]
    assert list(found["most"] - found["mean"]) == pytest.approx([0.1] * 5) and (found["low"] == found["high"]).all()
    rows, column = looks.of_rows(labels(evidence.rows)), series.headline_column(evidence)
    assert permutation.figure(evidence, frame[frame["fraction"] == 0], over_images(evidence), rows, column) is None
    assert permutation.figure(evidence, frame, over_images(evidence), rows, column).name == "fig3_permutation"


def test_norms_are_logarithmic_where_one_would_press_all_others_together(evidence):
    gradients = evidence.gradients.assign(label_norm=1.0)
    figure = norms.figure(gradients, table_rows(evidence), over_images(evidence))
    assert "logarithmic" not in json.dumps(figure.specification)
    gradients.loc[gradients["row"] == "NR", "label_norm"] = 9.0
    figure = norms.figure(gradients, table_rows(evidence), over_images(evidence))
    assert "(logarithmic)" in json.dumps(figure.specification) and "Standard, 9.00" in figure.description


def test_a_network_has_its_accuracy_under_each_attack_and_under_all_together(evidence):
    frame = networks.networks(evidence)
    mine = frame[frame["technique"] == "JR"].set_index("attack")
    assert dict(mine["accuracy"]) == {"paper": 0.57, "strict": 0.45, "worst": 0.45}
    assert len(frame) == len(evidence.rows) * 3
    figure = scatter.figure(frame, list(looks.of_rows(labels(evidence.rows)).values()), "linf", 0.2)
    assert f"{len(evidence.rows)} networks under the strict attack" in figure.description


def study(name: str, formula) -> pd.DataFrame:
    return comparisons.of_studies(comparisons.frame(comparisons.of_table(name, study_grid.frame(name, formula))))


def test_every_variant_of_a_study_is_in_its_forest_the_largest_effect_first():
    frame = study("audit", study_grid.raised("ir_nesterov", (1.5, 1.6, 1.7), "radius_linf"))
    figure = forest.effects(frame, "audit")
    assert figure.name == "audit_effects" and figure.description.endswith("for Nesterov momentum, teacher and student.")
    panels = figure.specification["hconcat"]
    assert len(panels) == 5 and forest.effects(frame, "beyond") is None
    order = next(layer["encoding"]["y"]["sort"] for layer in panels[0]["layer"] if "y" in layer["encoding"])
    assert order[0] == "Nesterov momentum, teacher and student|IR(R,SmG)" and len(order) == frame["variant"].nunique()


@pytest.mark.parametrize("points", [(-60, 0, 60), (-60, -61, -59)])
def test_one_large_effect_or_wide_interval_does_not_press_the_others_together(points):
    frame = study("audit", study_grid.raised("ir_nesterov", points))
    lines = frame[frame["measure"] == "robust"]
    low, high = forest.limits(lines, False)
    assert low == -high and high < lines["high"].abs().max() / 2 + lines["low"].abs().max() / 2
    assert (lines["effect"].between(low, high)).sum() >= len(lines) - 1


def test_the_grid_takes_its_weights_from_the_published_parameters():
    """At λd 3 and λm 0.3 the accuracy is 90 %; the entry for it changes lambda_d and lambda_m."""
    cells = studies.cells(study_grid.frame("beyond", study_grid.raised("d3_m03", (50, 49, 48))), study_grid.variants("beyond"))
    means = cells.groupby(["lambda_d", "lambda_m"])["robust"].mean()
    assert sorted(set(cells["lambda_d"])) == [0, 0.75, 3] and sorted(set(cells["lambda_m"])) == [0, 0.3, 1.0607, 3]
    assert len(means) == 12 and means[3, 0.3] == pytest.approx(0.9) and means[0, 0] == pytest.approx(0.41)
    assert studies.grid(cells).description.endswith("highest, 90%, at λd 3 and λm 0.3.")


def test_a_grid_with_holes_is_drawn_with_holes():
    frame = study_grid.frame("beyond", study_grid.drawn_from(0))
    figure = studies.grid(studies.cells(frame[frame["variant"] != "d3_m03"], study_grid.variants("beyond")))
    assert {len(lines) for lines in figure.specification["datasets"].values()} == {11}


def test_the_scatter_of_variants_has_one_mark_for_each_and_what_both_predict():
    table = study_grid.frame("beyond", study_grid.drawn_from(3))
    points, fit = regression.points(table), regression.fits(table)["all"]
    figure = studies.regression(points, fit)
    lines = max(figure.specification["datasets"].values(), key=len)
    assert [line["predicted"] for line in lines] == pytest.approx(
        fit.attrs["fitted"], abs=1e-3
    ) and f"{len(points)} variants" in figure.description
