"""Structured nulls destroy what they say and keep what they say, map by map, with Fourier transforms and moments as oracles."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from scipy import stats

from lib.base import params, per_image_rng
from lib.base.errors import InputError
from lib.targets import target_file
from lib.targets.controls import blocks, blur, phase, sign
from lib.targets.target_file import Header

NULLS = {
    "blocks": (blocks, blocks.Settings(2)),
    "phase": (phase, phase.Settings()),
    "whole": (sign, sign.Settings("whole")),
    "pixels": (sign, sign.Settings("pixels")),
    "blur": (blur, blur.Settings(1.0)),
}
RANDOM = ("blocks", "phase", "pixels")
every_null = pytest.mark.parametrize("name", NULLS)
both_parities = pytest.mark.parametrize("shape", [(2, 6, 6), (1, 5, 7), (3, 4, 5), (1, 7, 4)])


def maps(count: int = 6, shape: tuple[int, ...] = (2, 6, 6)) -> np.ndarray:
    return per_image_rng.normal(7, "maps", range(count), shape) + 0.3


def changed(name: str, values: np.ndarray, rows=None, seed: int = 0) -> np.ndarray:
    module, settings = NULLS[name]
    return module.changed(values, range(len(values)) if rows is None else rows, settings, seed)


def spectra(values: np.ndarray) -> np.ndarray:
    return np.fft.fft2(values.astype(np.float64))


# What all nulls have in common


@every_null
def test_a_null_changes_every_map_and_keeps_shape_and_type(name):
    values = maps()
    before = values.copy()
    found = changed(name, values)
    assert found.shape == values.shape and found.dtype == np.float32 and np.isfinite(found).all()
    assert all((one != other).mean() > 0.3 for one, other in zip(found, values, strict=True))
    assert np.array_equal(values, before)


@every_null
def test_a_changed_map_depends_on_its_row_and_not_on_its_company(name):
    values = maps()
    together = changed(name, values, range(10, 16))
    assert np.array_equal(changed(name, values[3:5], range(13, 15)), together[3:5])
    assert np.array_equal(changed(name, values[::-1], range(15, 9, -1))[::-1], together)
    assert np.array_equal(changed(name, values[3:4], range(14, 15))[0], together[3]) == (name not in RANDOM)


@every_null
def test_only_what_is_random_depends_on_the_seed(name):
    values = maps()
    assert np.array_equal(changed(name, values), changed(name, values))
    same = [np.array_equal(*pair) for pair in zip(changed(name, values), changed(name, values, seed=1), strict=True)]
    assert not any(same) if name in RANDOM else all(same)


@every_null
def test_a_map_of_zeros_stays_one(name):
    assert not changed(name, np.zeros((2, 2, 6, 6), np.float32)).any()


@pytest.mark.parametrize("name", ["blocks", "phase", "blur"])
def test_the_mean_is_kept_and_the_deviation_too_but_for_blur(name):
    values = maps().astype(np.float64)
    found = changed(name, values).astype(np.float64)
    np.testing.assert_allclose(found.mean((1, 2, 3)), values.mean((1, 2, 3)), atol=1e-12)
    if name == "blur":
        assert (found.std((1, 2, 3)) < 0.6 * values.std((1, 2, 3))).all()
    else:
        np.testing.assert_allclose(found.std((1, 2, 3)), values.std((1, 2, 3)), rtol=1e-12)


# Blocks


def cut(values: np.ndarray, size: int) -> list[set[bytes]]:
    """The blocks of each map, all channels together, without their places."""
    height, width = values.shape[2] // size, values.shape[3] // size
    places = [
        (slice(size * row, size * (row + 1)), slice(size * column, size * (column + 1))) for row in range(height) for column in range(width)
    ]
    return [{one[:, down, across].tobytes() for down, across in places} for one in values]


@pytest.mark.parametrize("size, shape", [(1, (2, 4, 6)), (2, (2, 4, 6)), (3, (1, 6, 9)), (4, (3, 8, 12))])
def test_blocks_keep_what_is_inside_them_and_change_places(size, shape):
    values = maps(shape=shape)
    found = blocks.changed(values, range(6), blocks.Settings(size), 0)
    assert cut(found, size) == cut(values, size) and len(cut(values, size)[0]) == shape[1] * shape[2] // size**2


def test_a_block_as_large_as_the_map_changes_nothing():
    assert np.array_equal(blocks.changed(maps(), range(6), blocks.Settings(6), 0), maps())


def test_every_block_reaches_every_place_equally_often():
    values = np.arange(6.0).reshape(2, 3).repeat(2, 0).repeat(2, 1)[None, None].repeat(3000, 0)
    found = blocks.changed(values, range(3000), blocks.Settings(2), 0)[:, 0, ::2, ::2].reshape(3000, 6).astype(int)
    for place in range(6):
        assert stats.chisquare(np.bincount(found[:, place], minlength=6)).pvalue > 1e-4


def test_a_block_that_does_not_fit_is_refused():
    sentence = "block size must divide the height and width of the maps, got 4 for maps of 6x6"
    with pytest.raises(InputError, match=sentence):
        blocks.changed(maps(), range(6), blocks.Settings(4), 0)
    with pytest.raises(InputError, match="block size must be positive, got 0"):
        blocks.Settings(0)


# Phase


@both_parities
def test_random_phases_keep_every_amplitude(shape):
    values = maps(shape=shape).astype(np.float64)
    found = phase.changed(values, range(6), phase.Settings(), 0)
    np.testing.assert_allclose(np.abs(spectra(found)), np.abs(spectra(values)), atol=1e-11)
    assert np.abs(found - values).mean() > 0.3


@both_parities
def test_all_channels_are_turned_alike_so_the_spectra_between_them_are_kept(shape):
    values = maps(shape=shape).astype(np.float64)
    before, after = spectra(values), spectra(phase.changed(values, range(6), phase.Settings(), 0))
    np.testing.assert_allclose(after[:, :1].conj() * after, before[:, :1].conj() * before, atol=1e-9)


def test_the_added_phases_are_uniform_and_independent_of_the_map():
    values = np.zeros((4000, 1, 4, 4))
    values[:, 0, 1, 2] = 1
    turn = np.angle(spectra(phase.changed(values, range(4000), phase.Settings(), 0)) / spectra(values))[:, 0]
    for frequency in [(0, 1), (1, 0), (1, 1), (2, 1)]:
        assert stats.kstest(turn[:, frequency[0], frequency[1]] / (2 * np.pi) + 0.5, "uniform").pvalue > 1e-3
    for frequency in [(0, 2), (2, 0), (2, 2)]:  # their own opposites: their phase is a sign
        flipped = np.abs(turn[:, frequency[0], frequency[1]]) > 1
        assert abs(flipped.mean() - 0.5) < 0.04
    assert np.abs(turn[:, 0, 0]).max() < 1e-9
    assert abs(np.corrcoef(np.cos(turn[:, 0, 1]), np.cos(turn[:, 1, 1]))[0, 1]) < 0.06


def test_a_single_bright_pixel_is_spread_over_the_map():
    """Its amplitudes are all one: what comes out is white noise with its norm."""
    values = np.zeros((1, 1, 16, 16), np.float32)
    values[0, 0, 3, 5] = 1
    found = phase.changed(values, range(1), phase.Settings(), 0)
    assert np.abs(found).max() < 0.5 and (found**2).sum() == pytest.approx(1, rel=1e-5)


# Sign


def test_the_whole_map_is_turned_around():
    found = sign.changed(maps(), range(6), sign.Settings("whole"), 0)
    assert np.array_equal(found, -maps())


def test_each_pixel_of_each_channel_gets_a_sign_of_its_own():
    values = maps(400, (2, 3, 3))
    found = sign.changed(values, range(400), sign.Settings("pixels"), 0)
    assert np.array_equal(np.abs(found), np.abs(values))
    flipped = (found != values).reshape(400, 18)
    assert np.abs(flipped.mean(0) - 0.5).max() < 0.1
    assert np.abs(np.corrcoef(flipped.T) - np.eye(18)).max() < 0.25


@pytest.mark.parametrize("of", ["whole", "pixels"])
def test_zeros_get_no_sign(of):
    assert not np.signbit(sign.changed(np.zeros((3, 1, 4, 4), np.float32), range(3), sign.Settings(of), 0)).any()


# Blur


def test_far_from_the_border_a_bright_pixel_becomes_the_gaussian():
    values = np.zeros((1, 1, 41, 41))
    values[0, 0, 20, 20] = 1
    rows, columns = np.mgrid[-20:21, -20:21]
    gaussian = np.exp(-(rows**2 + columns**2) / (2 * 2.5**2))
    found = blur.changed(values, range(1), blur.Settings(2.5), 0)[0, 0]
    np.testing.assert_allclose(found, gaussian / gaussian.sum(), atol=1e-5)


def test_a_wave_keeps_its_place_and_loses_the_height_that_the_gaussian_takes():
    """exp(-(2 pi sigma / wavelength)^2 / 2), for a cosine that its mirror image continues."""
    wave = np.cos(2 * np.pi * (np.arange(32) + 0.5) / 16)[None, None, None].repeat(8, 2)
    found = blur.changed(wave, range(1), blur.Settings(2.0), 0)
    np.testing.assert_allclose(found, np.exp(-((2 * np.pi * 2 / 16) ** 2) / 2) * wave, atol=2e-4)


def test_channels_and_maps_are_blurred_by_themselves():
    values = np.zeros((3, 2, 6, 6), np.float32)
    values[1, 1, 2, 2] = 1
    found = blur.changed(values, range(3), blur.Settings(1.0), 0)
    assert not found[[0, 2]].any() and not found[1, 0].any() and found[1, 1].all()


def test_an_unusable_sigma_is_refused():
    with pytest.raises(InputError, match="sigma must be positive, got 0"):
        blur.Settings(0.0)


# The stage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and the targets of 20 images."""
    sections = {"blocks": {"size": 2}, "phase": {}, "sign": {"of": "pixels"}, "blur": {"sigma": 1}}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump({"nulls": sections}, file)
    header = Header("toy", "0" * 64, "R_simple", {"teacher": {"name": "R"}, "threshold": {"phi": 1.0}})
    target_file.write(tmp_path / "targets.h5", header, (20, 2, 6, 6), [maps(20)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def disturb(name: str, *more: object, targets: str = "targets.h5", out: str = "new.h5") -> Result:
    words = [name, 3, "--targets", targets, "--out", out, *more]
    return CliRunner().invoke(importlib.import_module("stages.disturb_targets").main, [str(word) for word in words])


@pytest.mark.parametrize("name, recorded", [("blocks", {"size": 2}), ("phase", {}), ("sign", {"of": "pixels"}), ("blur", {"sigma": 1.0})])
def test_disturb_targets_writes_what_the_null_makes_in_chunks_of_any_size(name, recorded, project):
    for chunk in (7, 1000):
        result = disturb(name, "--chunk", chunk)
        assert result.exit_code == 0, result.output
        with target_file.opened(Path("new.h5")) as (header, found):
            assert np.array_equal(found[()], changed("pixels" if name == "sign" else name, maps(20), seed=3))
            assert header.name == f"R_simple_{name}"
            assert header.provenance == {
                "teacher": {"name": "R"}, "threshold": {"phi": 1.0}, "null": {"name": name, "seed": 3, **recorded},
            }  # fmt: skip


def test_what_is_disturbed_already_is_refused(project):
    assert disturb("blocks").exit_code == 0
    result = disturb("sign", targets="new.h5", out="again.h5")
    assert result.exit_code == 1 and result.output == "Error: new.h5 holds targets that the null 'blocks' has disturbed already\n"
    assert not Path("again.h5").exists()


def test_an_unknown_null_and_a_block_that_does_not_fit_are_refused(project):
    assert disturb("shift").output == "Error: null must be a file in lib/targets/controls, got 'shift'\n"
    with params.changed({"nulls.blocks.size": 4}):
        result = disturb("blocks")
    assert result.output == "Error: block size must divide the height and width of the maps, got 4 for maps of 6x6\n"
    assert not list(project.glob("new*"))
