"""The gallery: colours of known maps, which image stands for a class, and what is said of what is absent."""

import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_grid
from PIL import Image

from lib.base import image_file, params
from lib.base.errors import InputError
from lib.base.image_file import Split
from lib.gradients import gradient_file
from lib.report import picker, pixels, rows
from lib.report.results import Evidence
from lib.targets import target_file

# The ends and the middle of ColorBrewer's RdBu with eleven classes.
BLUE, MIDDLE, RED = (5, 48, 97), (247, 247, 247), (103, 0, 31)
TARGETS, MAPS = Path("data/targets/0"), Path("data/maps/0")


class Elements(HTMLParser):
    """All elements of a page as (tag, attributes), and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Maps of one seed, 4 gradients kept of each network: raw maps are twice the targets, gradients of R_simple minus its targets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("grid"))
        Path("params.yaml").write_text((report_grid.ROOT / "scales/quick.yaml").read_text())
        params.parsed.cache_clear()
        report_grid.write_images()
        report_grid.write_targets(0)
        report_grid.write_gradients(0)
        train = image_file.read(report_grid.images(), "train")
        for name in ("NR_simple", "NR_smoothgrad", "R_simple", "R_smoothgrad"):
            header, maps = target_file.read(TARGETS / f"{name}.h5", train)
            target_file.write(MAPS / f"{name}.h5", header, maps.shape, [2 * maps])
        yield measured(train), train


def measured(train: Split) -> Evidence:
    """The gradients on disk as evidence without attacks."""
    _, rows_of, models = gradient_file.read(Path("results/gradients/0.h5"))
    examples = {row: models[row].maps for row in rows.rows()}
    examples["R_simple"] = -target_file.read(TARGETS / "R_simple.h5", train)[1][:4]
    return Evidence(train.dataset, rows.rows(), [0], pd.DataFrame(), pd.DataFrame(), examples, rows_of, {}, ())


def decoded(source: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(b64decode(source.removeprefix("data:image/png;base64,")))))


def split(labels: list[int]) -> Split:
    images = np.zeros((len(labels), 1, 2, 2), np.uint8)
    return Split("mnist", images, np.array(labels), np.arange(len(labels)), 20, "")


def picks(page: str) -> list[str]:
    """What is shown of each class."""
    return re.split(r'<div class="shown"', page)[1:]


def test_a_map_is_divided_by_its_largest_absolute_value_and_zero_is_the_middle_colour():
    found = decoded(pixels.of_map(np.array([[-4.0, 0.0, 2.0], [4.0, 0.0, -2.0]])))
    assert found.shape == (2, 3, 3)
    assert tuple(found[0, 0]) == BLUE and tuple(found[1, 0]) == RED
    assert tuple(found[0, 1]) == tuple(found[1, 1]) == MIDDLE
    assert tuple(found[0, 2]) == tuple(pixels.palette()[127 + 64]) and tuple(found[1, 2]) == tuple(pixels.palette()[127 - 64])


def test_one_sided_maps_keep_zero_in_the_middle():
    above, below = pixels.coloured(np.array([[0.0, 1.0, 3.0]])), pixels.coloured(np.array([[0.0, -1.0, -3.0]]))
    assert tuple(above[0, 0]) == tuple(below[0, 0]) == MIDDLE
    assert tuple(above[0, 2]) == RED and tuple(below[0, 2]) == BLUE


@pytest.mark.parametrize("shape", [(1, 1), (3, 2)])
def test_a_map_of_zeros_has_the_middle_colour_everywhere(shape):
    assert np.array_equal(pixels.coloured(np.zeros(shape)), np.broadcast_to(MIDDLE, (*shape, 3)))


def test_colours_of_opposite_values_differ_in_blue_and_darken_from_zero_on_both_sides():
    shades = pixels.palette().astype(int)
    below, above = shades[126::-1], shades[128:]
    assert len(below) == len(above) == 127
    assert (below[10:, 2] - above[10:, 2] > 15).all()
    weights = np.array([0.2126, 0.7152, 0.0722])
    for side in (below, above):
        assert (np.diff(side @ weights) <= 0.5).all() and side[-1] @ weights < 60


def test_the_same_values_give_the_same_bytes_and_the_scale_of_a_map_does_not_matter():
    values = np.random.default_rng(0).standard_normal((28, 28))
    assert pixels.of_map(values) == pixels.of_map(values.copy()) == pixels.of_map(4 * values)
    assert pixels.of_map(values) != pixels.of_map(-values)


def test_images_keep_their_pixels_and_channels():
    grey = np.array([[[0, 255], [7, 8]]], np.uint8)
    assert np.array_equal(decoded(pixels.of_image(grey)), grey[0])
    colours = np.random.default_rng(0).integers(0, 256, (3, 5, 4), np.uint8)
    assert np.array_equal(decoded(pixels.of_image(colours)), colours.transpose(1, 2, 0))


def test_large_maps_are_averaged_down_and_channels_too():
    wide = np.concatenate([np.full((1, 64, 128), 1.0), np.full((1, 64, 128), 3.0)], 1)
    found = pixels.flat(np.concatenate([wide, wide + 2]))
    assert found.shape == (64, 64)
    assert (found[:32] == 2).all() and (found[32:] == 4).all()


def test_the_scale_of_the_legend_goes_through_the_colour_of_zero():
    stops = re.findall(r"rgb\((\d+) (\d+) (\d+)\)", pixels.gradient(9))
    assert [tuple(map(int, stops[place])) for place in (0, 4, 8)] == [BLUE, MIDDLE, RED]


def test_each_class_is_shown_by_a_kept_image_if_there_is_one_else_by_its_first():
    assert picker.chosen(split([5, 0, 5, 0, 7]), np.array([2, 3])).tolist() == [2, 3, 4]
    assert picker.chosen(split([5, 0, 5, 0, 7]), np.array([], int)).tolist() == [0, 1, 4]
    assert picker.chosen(split(list(range(12))), np.array([11])).tolist() == list(range(10))


def test_there_is_one_labelled_radio_button_per_class_and_the_first_is_chosen(grid):
    page = Elements(picker.section(*grid, TARGETS, MAPS))
    inputs = page.of("input")
    assert [entry["value"] for entry in inputs] == ["0", "1", "2"]
    assert {entry["type"] for entry in inputs} == {"radio"} and {entry["name"] for entry in inputs} == {"gallery-pick"}
    assert ["checked" in entry for entry in inputs] == [True, False, False]
    assert [entry["for"] for entry in page.of("label")] == [entry["id"] for entry in inputs]
    assert len(page.of("fieldset")) == len(page.of("legend")) == 1


def test_every_picture_has_an_alternative_text_and_every_class_the_same_pictures(grid):
    page = picker.section(*grid, TARGETS, MAPS)
    assert all("alt" in entry for entry in Elements(page).of("img"))
    permuted, trained = 5, 12
    for part in picks(page):
        found = Elements("<div" + part).of("img")
        assert len(found) == 1 + 2 * 2 * 2 + permuted + trained
        assert all(entry["alt"] for entry in found)


def test_pictures_show_the_map_of_their_own_image(grid):
    evidence, train = grid
    parts = picks(picker.section(evidence, train, TARGETS, MAPS))
    _, targets = target_file.read(TARGETS / "R_smoothgrad_perm50.h5", train)
    for label, part in enumerate(parts):
        assert train.labels[label] == label
        found = {entry["alt"].partition(":")[0]: entry["src"] for entry in Elements("<div" + part).of("img")}
        assert np.array_equal(decoded(found["The image"]), train.images[label, 0])
        assert found["The target (R, SmG), 50 % permuted"] == pixels.of_map(targets[label, 0])
        assert found["Gradient of AT(L2,2.5)"] == pixels.of_map(evidence.examples["AT25"][label, 0])


def test_a_map_is_described_by_its_scale_the_shares_of_its_signs_and_its_cosine():
    values = np.array([[[3.0, 0.0], [0.0, -4.0]]])
    tile = picker.map_tile("name", "what", values, np.array([[[3.0, 0.0], [0.0, 4.0]]]))
    assert tile.alt == "what: 25 % of the pixels speak for the label, 25 % against it"
    assert (tile.largest, tile.cosine) == (4.0, pytest.approx(-7 / 25))
    assert picker.map_tile("name", "what", values, np.zeros_like(values)).cosine is None


def test_students_are_held_against_their_own_targets_and_others_are_not(grid):
    parts = picks(picker.section(*grid, TARGETS, MAPS))
    found = dict(re.findall(r"<figcaption>((?:[^<]|<wbr>)*)<small[^>]*>[^<]*</small><small>cosine ([^<]*)</small>", parts[1]))
    assert len(found) == 8
    assert found["IR(R,<wbr>simp)"] == "−1.00"


def test_raw_maps_are_shown_beside_what_the_threshold_leaves_of_them(grid):
    _, train = grid
    page = Elements("<div" + picks(picker.section(*grid, TARGETS, MAPS))[0])
    found = [entry["alt"].partition(":")[0] for entry in page.of("img")]
    assert found[1:5] == [
        f"{method} of the teacher R{after}" for method in ("simple gradient", "SmoothGrad") for after in ("", ", thresholded")
    ]
    largest = float(np.abs(target_file.read(TARGETS / "R_simple.h5", train)[1][0]).max())
    assert re.findall(r"scale ±([\d.]+)", page.text)[:2] == [f"{2 * largest:.2g}", f"{largest:.2g}"]


def test_what_is_absent_is_said(grid, tmp_path):
    evidence, train = grid
    assert "before the threshold were not given" in picker.section(evidence, train, TARGETS)
    assert "before the threshold were not given" not in picker.section(evidence, train, TARGETS, MAPS)
    bare = picker.section(evidence, train, tmp_path)
    assert "No maps of it are at hand." in bare and "No permuted targets are at hand." in bare and "<small>cosine" not in bare
    without = replace(evidence, examples={row: maps[:2] for row, maps in evidence.examples.items()})
    parts = picks(picker.section(without, train, TARGETS))
    assert ["No network’s gradient was kept" in part for part in parts] == [False, False, True]
    none = replace(evidence, examples={row: maps[:0] for row, maps in evidence.examples.items()})
    nothing = picker.section(none, train, tmp_path)
    assert "Nothing to show" in nothing and "<img" not in nothing and "<input" not in nothing


def test_maps_of_another_set_are_refused(grid, tmp_path):
    (tmp_path / "R_simple.h5").write_bytes((TARGETS / "NR_simple.h5").read_bytes())
    with pytest.raises(InputError, match=r"R_simple.h5 says that it holds the maps 'NR_simple'"):
        picker.section(*grid, tmp_path)


def test_the_same_evidence_gives_the_same_section(grid):
    assert picker.section(*grid, TARGETS, MAPS) == picker.section(*grid, TARGETS, MAPS)
