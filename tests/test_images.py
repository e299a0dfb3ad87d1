"""Pictures of images and maps: colours of known maps, which image stands for a class, and what is shown of it."""

from base64 import b64decode
from dataclasses import replace
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
from lib.report import rows
from lib.report.charts import images, pixels
from lib.report.results import Evidence
from lib.targets import target_file

# The ends and the middle of ColorBrewer's RdBu with eleven classes.
BLUE, MIDDLE, RED = (5, 48, 97), (247, 247, 247), (103, 0, 31)
TARGETS, MAPS = Path("data/targets/0"), Path("data/maps/0")


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


def shown(frame: pd.DataFrame, label: int, kind: str) -> dict[str, pd.Series]:
    """The pictures of this kind of one class, by what they are called."""
    return {line["heading"]: line for _, line in frame[(frame["label"] == label) & (frame["kind"] == kind)].iterrows()}


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


def test_the_colours_of_the_legend_are_those_of_the_maps():
    anchors = [tuple(bytes.fromhex(anchor)) for anchor in pixels.ANCHORS]
    assert (anchors[0], anchors[5], anchors[-1]) == (BLUE, MIDDLE, RED)


def test_each_class_is_shown_by_a_kept_image_if_there_is_one_else_by_its_first():
    assert images.chosen(split([5, 0, 5, 0, 7]), np.array([2, 3])).tolist() == [2, 3, 4]
    assert images.chosen(split([5, 0, 5, 0, 7]), np.array([], int)).tolist() == [0, 1, 4]
    assert images.chosen(split(list(range(12))), np.array([11])).tolist() == list(range(10))


def test_the_gallery_has_the_same_pictures_of_every_class_with_words_for_each(grid):
    frame = images.tiles(*grid, TARGETS, MAPS)
    permuted, trained = 5, 12
    assert list(frame.groupby("label").size()) == [1 + 2 * 2 * 2 + permuted + trained] * 3
    assert frame["said"].str.len().min() > 10
    gallery = images.figures(frame, ["JR"], 2)["gallery"].specification
    assert gallery["params"][0]["bind"] == {"input": "radio", "options": [0, 1, 2], "name": "Pick a class: "}


def test_the_figures_show_as_many_images_as_asked_and_the_rows_of_the_table(grid):
    frame = images.tiles(*grid, TARGETS, MAPS)
    figures = images.figures(frame, ["JR", "Standard"], 2)
    assert figures["fig1_targets"].description.endswith("2 images with their target interpretations: R, simp; R, SmG; NR, simp; NR, SmG.")
    assert figures["fig2_permuted"].description.endswith("0%; 25%; 50%; 75%; 100%.")
    assert figures["fig8_gradients"].description.endswith("first seed: Standard; JR.")
    with pytest.raises(InputError, match="report.gallery must be a positive integer, got 0"):
        images.figures(frame, ["JR"], 0)


def test_pictures_show_the_map_of_their_own_image(grid):
    evidence, train = grid
    frame = images.tiles(evidence, train, TARGETS, MAPS)
    _, targets = target_file.read(TARGETS / "R_smoothgrad_perm50.h5", train)
    for label in range(3):
        assert train.labels[label] == label
        assert np.array_equal(decoded(shown(frame, label, images.IMAGE)["image"]["url"]), train.images[label, 0])
        assert shown(frame, label, images.PERMUTED)["50%"]["url"] == pixels.of_map(targets[label, 0])
        assert shown(frame, label, images.GRADIENT)["AT(L2,2.5)"]["url"] == pixels.of_map(evidence.examples["AT25"][label, 0])


def test_a_map_is_described_by_its_scale_the_shares_of_its_signs_and_its_cosine():
    values = np.array([[[3.0, 0.0], [0.0, -4.0]]])
    tile = images._map(images.TARGET, "name", values, np.array([[[3.0, 0.0], [0.0, 4.0]]]))
    assert tile["said"] == "target name: 25% of the pixels speak for the label, 25% against it"
    assert tile["words"] == "name|scale ±4|cosine −0.28"  # -7 / 25
    assert images._map(images.TARGET, "name", values, np.zeros_like(values))["words"] == "name|scale ±4"


def test_students_are_held_against_their_own_targets_and_others_are_not(grid):
    gradients = shown(images.tiles(*grid, TARGETS, MAPS), 1, images.GRADIENT)
    assert sum("cosine" in line["words"] for line in gradients.values()) == 8
    assert gradients["IR(R,simp)"]["words"].endswith("|cosine −1.00")


def test_raw_maps_are_shown_beside_what_the_threshold_leaves_of_them(grid):
    frame = images.tiles(*grid, TARGETS, MAPS)
    first = frame[(frame["label"] == 0) & (frame["line"] == "robust teacher R")]
    assert list(first["heading"]) == ["R, simp, raw", "R, simp", "R, SmG, raw", "R, SmG"]
    largest = float(np.abs(target_file.read(TARGETS / "R_simple.h5", grid[1])[1][0]).max())
    assert [words.partition("±")[2] for words in first["words"][:2]] == [f"{2 * largest:.2g}", f"{largest:.2g}"]


def test_what_is_absent_is_not_drawn(grid, tmp_path):
    evidence, train = grid
    assert not (images.tiles(evidence, train, TARGETS)["kind"] == images.RAW).any()
    bare = images.figures(images.tiles(evidence, train, tmp_path), ["JR"], 2)
    assert set(bare) == {"fig8_gradients", "gallery"}
    without = images.tiles(replace(evidence, examples={row: maps[:2] for row, maps in evidence.examples.items()}), train, TARGETS)
    assert [bool(shown(without, label, images.GRADIENT)) for label in range(3)] == [True, True, False]
    none = replace(evidence, examples={row: maps[:0] for row, maps in evidence.examples.items()})
    assert images.figures(images.tiles(none, train, tmp_path), ["JR"], 2) == {}


def test_maps_of_another_set_or_of_other_images_are_refused(grid, tmp_path):
    (tmp_path / "R_simple.h5").write_bytes((TARGETS / "NR_simple.h5").read_bytes())
    with pytest.raises(InputError, match=r"R_simple.h5 says that it holds the maps 'NR_simple'"):
        images.tiles(*grid, tmp_path)
    maps = np.zeros(grid[1].images.shape, dtype=np.float32)
    target_file.write(tmp_path / "R_simple.h5", target_file.Header("mnist5k", "0" * 64, "R_simple", {}), maps.shape, [maps])
    with pytest.raises(InputError, match="R_simple.h5 was made from other images"):
        images.tiles(*grid, tmp_path)


def test_the_same_evidence_gives_the_same_pictures(grid, tmp_path):
    first, second = (images.figures(images.tiles(*grid, TARGETS, MAPS), ["JR"], 2) for _ in range(2))
    assert all(first[name].svg == second[name].svg and first[name].png == second[name].png for name in first)
