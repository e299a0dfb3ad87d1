"""Figures: which are drawn, from what, and in which colours. How they look is for eyes."""

import re
from pathlib import Path

import numpy as np
import pytest
import report_grid
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from lib.base import image_file, params
from lib.base.errors import InputError
from lib.report import curve_figures, drawing, families, figures, galleries
from lib.targets import target_file


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(seeds=[0])
    return image_file.read(report_grid.images(), "train")


@pytest.fixture
def undrawn(monkeypatch):
    """Figures that are laid out but not written, where only their words are asked for."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: None)


def test_every_row_belongs_to_the_family_it_was_trained_for(grid):
    found = families.families()
    assert found["NR"] == "standard" and found["R"] == found["AT25"] == "adversarial" and found["JR"] == "jacobian"
    assert found["R_smoothgrad"] == found["R_simple"] == "robust" and found["NR_simple"] == "non_robust"
    assert found["R_smoothgrad_perm25"] == found["R_smoothgrad_perm100"] == "permuted"


def test_a_row_that_another_objective_trains_belongs_to_no_family_of_the_paper(grid):
    document = params.document()
    trained = document | {"rows": document["rows"] | {"GR": {}}, "gr": {"GR": {"lambda_g": 0.1}}}
    assert families.families(trained)["GR"] == "other"


def test_every_row_of_the_table_has_a_colour_of_its_own(grid):
    colours = drawing.colours()
    shown = [
        colours[row] for row in ("NR", "R", "AT25", "JR", "R_smoothgrad_perm100", "NR_simple", "NR_smoothgrad", "R_simple", "R_smoothgrad")
    ]
    assert len(set(shown)) == len(shown)


def test_the_gallery_shows_different_classes(grid):
    assert list(galleries._of_different_classes(np.array([7, 7, 1, 7, 0, 1]), 3)) == [0, 2, 4]


def test_figures_are_written_as_png_and_svg_without_a_date(grid):
    picture = galleries.target_figure(grid, Path("data/targets/0"), Path("figures"))
    assert picture is not None and picture.alt.endswith("R, simp; R, SmG; NR, simp; NR, SmG.")
    assert (Path("figures") / f"{picture.name}.png").read_bytes().startswith(b"\x89PNG")
    assert "<dc:date>" not in (Path("figures") / f"{picture.name}.svg").read_text()


def test_target_sets_that_do_not_exist_are_left_out(grid):
    for path in Path("data/targets/0").glob("NR_*"):
        path.unlink()
    picture = galleries.target_figure(grid, Path("data/targets/0"), Path("figures"))
    assert picture is not None and picture.alt.endswith("R, simp; R, SmG.")
    assert galleries.target_figure(grid, Path("data/nothing"), Path("figures")) is None


def test_targets_of_other_images_are_refused(grid):
    header = target_file.Header("mnist5k", "0" * 64, "R_simple", {})
    maps = np.zeros(grid.images.shape, dtype=np.float32)
    target_file.write(Path("data/targets/0/R_simple.h5"), header, maps.shape, [maps])
    with pytest.raises(InputError, match="R_simple.h5 was made from other images"):
        galleries.target_figure(grid, Path("data/targets/0"), Path("figures"))


def test_without_permuted_rows_there_is_no_permutation_figure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_grid.make(permute__source="NR_simple", permute__fractions={}, seeds=[0], **without_permuted_rows())
    assert figures.permutation_figure(report_grid.read(), Path("figures")) is None


@pytest.mark.parametrize(
    ("seeds", "words"), [([0], "One seed."), ([0, 1], "the band is their range, not an interval"), ([0, 1, 2], "95 % t intervals")]
)
def test_the_caption_says_what_the_band_is(tmp_path, monkeypatch, undrawn, seeds, words):
    monkeypatch.chdir(tmp_path)
    report_grid.make(seeds=seeds)
    picture = figures.permutation_figure(report_grid.read(), Path("figures"))
    assert picture is not None and words in picture.reading


def test_the_security_curves_name_the_row_with_the_largest_area_in_each_norm(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    report_grid.make({"JR": 0.95}, seeds=[0])
    picture = curve_figures.security_figure(report_grid.read(), Path("figures"))
    assert picture is not None
    assert re.search(r"L2 .*JR .*; .*L∞ .*JR ", picture.alt)


@given(st.lists(st.floats(0.01, 30), min_size=1, max_size=9, unique=True), st.integers(0, 8))
def test_the_radius_axis_keeps_the_order_and_is_true_to_scale_up_to_the_limit(found, which):
    radii, limit = np.sort([0.0, *found]), found[which % len(found)]
    places = curve_figures.positions(radii, limit)
    assert (np.diff(places) > 0).all()
    assert np.array_equal(places[radii <= limit], radii[radii <= limit])


def without_permuted_rows() -> dict[str, object]:
    document = report_grid.YAML(typ="safe").load((report_grid.ROOT / "scales/quick.yaml").read_text())
    return {part: {row: entry for row, entry in document[part].items() if "perm" not in row} for part in ("rows", "ir")}
