"""`python -m tools.targets`: what each command says of files whose content is known, and the one sentence it has for every bad one."""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from project import ROOT
from ruamel.yaml import YAML
from scipy.optimize import brentq

from lib.base import h5, image_file
from lib.base.errors import InputError
from lib.network import architecture, checkpoint
from lib.network.architecture import Model
from lib.sharing.inspection import checks, comparison, origin, own_maps, recomputed, streams
from lib.sharing.inspection.checks import Means
from lib.targets import target_file
from lib.targets.target_file import Header, Place
from tools.targets import main

SHAPE, COUNT = (1, 8, 8), 24
random = np.random.default_rng(0)
PARAMS = {
    "preset": "strict",
    "saliency": {
        "seed": 3,
        "batch_size": 4,
        "accuracy": {"images": 8, "norm": "l2", "epsilon": 0.5, "step_size": 0.2, "steps": 2},
        "methods": {"simple": {"of": "logits"}, "smoothgrad": {"samples": 2, "sigma": 0.15, "clamp": False, "include_clean": False}},
    },
    "threshold": {"phi": 1.0, "ddof": 1, "when": "before", "exceptions": {}},
    "permute": {"seed": 5, "rule": "fraction", "fractions": {"perm50": 0.5}},
    "sources": {"same_class": {}},
    "nulls": {"sign": {"of": "pixels"}},
}


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def said(*words: object) -> str:
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*words: object) -> str:
    """The one sentence of a command that failed."""
    done = invoke(*words)
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit), (done.output, done.exception)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: "), done.stderr
    return lines[0]


def stage(name: str, *words: object) -> None:
    done = CliRunner().invoke(importlib.import_module(f"stages.{name}").main, [str(word) for word in words])
    assert done.exit_code == 0, done.output


def write_images(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed)
    splits = {}
    for index, (name, size) in enumerate({"train": COUNT, "validation": 8, "test": 4}.items()):
        images = pixels.integers(0, 256, (size, *SHAPE), dtype=np.uint8)
        splits[name] = (images, np.arange(size) % 3, 2 * np.arange(size)[::-1] + 100 * index)
    image_file.write(path, "toy", 3, splits)
    return path


def write_model(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    settings = Model("cnn", 0.1, None, 0.0)
    checkpoint.write(folder, architecture.build(settings, SHAPE, 3), settings, SHAPE, 3, [{"epoch": 1}])
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, two teachers, and target sets that the stages made: raw, thresholded, permuted, disturbed, without a teacher, in shards."""
    folder = tmp_path_factory.mktemp("built")
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(PARAMS, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_images(Path("images.h5"))
        for seed, name in enumerate(("R", "other")):
            write_model(Path(name), seed)
        raw = ("R", "smoothgrad", 1, "--images", "images.h5", "--model", "R")
        stage("extract_saliency", *raw, "--out", "raw.h5")
        for part in (1, 2):
            stage("extract_saliency", *raw, "--part", part, 2, "--out", f"part{part}.h5")
        stage("extract_saliency", "R", "simple", 1, *raw[3:], "--out", "simple.h5")
        stage("threshold", "--maps", "raw.h5", "--out", "targets.h5")
        stage("permute", "perm50", 1, "--targets", "targets.h5", "--out", "permuted.h5")
        stage("disturb_targets", "sign", 1, "--targets", "permuted.h5", "--out", "signed.h5")
        stage("make_targets", "same_class", 1, "--images", "images.h5", "--out", "source.h5")
    return folder


@pytest.fixture
def folder(built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    copy = shutil.copytree(built, tmp_path / "project")
    monkeypatch.chdir(copy)
    return copy


TOY = np.array([[3, -4, 0, 0], [0, 0, 0, 0], [0, 0, 5, 0], [1, 1, 1, 1], [-2, 0, 0, 0], [0, 6, 0, 8]], np.float32).reshape(6, 1, 2, 2)


def toy(path: Path, maps: np.ndarray = TOY, provenance: dict | None = None, first: int = 0, total: int | None = None) -> Path:
    header = Header("toy", "a" * 64, "R_simple", provenance or {"teacher": {"name": "R", "seed": 0}})
    target_file.write(path, header, maps.shape, [maps], Place(first, total or len(maps)))
    return path


def forged(path: Path) -> Path:
    """The digests of a file made anew, as anybody can who has changed it; from hashlib alone."""
    with h5py.File(path, "r+") as file:
        maps, group = file["train/maps"][()].astype("<f4"), file["train"]
        rows = np.array([list(hashlib.blake2b(one.tobytes(), digest_size=16).digest()) for one in maps], np.uint8)
        group["row_digests"][...] = rows
        content = hashlib.sha256(json.dumps(list(maps.shape)).encode() + rows.tobytes()).hexdigest()
        text = {name: h5.attribute(file, name, path) for name in ("dataset", "name", "provenance")}
        text["provenance"] = json.loads(text["provenance"])
        place = {name: int(group.attrs[name]) for name in ("first_row", "rows")}
        told = text | place | {"images_digest": h5.attribute(group, "images_digest", path), "digest": content}
        h5.tell(group, digest=content)
        h5.tell(file, header_digest=hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest())
    return path


def relabelled(path: Path, change: Callable[[dict], object]) -> Path:
    """The provenance changed, with digests that fit."""
    with h5py.File(path, "r+") as file:
        told = json.loads(h5.attribute(file, "provenance", path))
        change(told)
        h5.tell(file, provenance=json.dumps(told, sort_keys=True))
    return forged(path)


def verdicts(path: str, **means) -> dict[str, str]:
    return {check.name: check.verdict for check in checks.checks(Path(path), Means(**means))}


FULL = {"images": Path("images.h5"), "model": Path("R"), "rows": COUNT}
ALL_OK = dict.fromkeys(checks.NAMES, "ok")


# inspect


def test_inspect_counts_what_can_be_counted_by_hand(tmp_path):
    found = json.loads(said("inspect", toy(tmp_path / "toy.h5"), "--json"))
    assert found["statistics"] == {
        "maps": 6, "zeros": 14 / 24, "negative": 0.2, "minimum": -4, "maximum": 8, "norm": (5 + 0 + 5 + 2 + 2 + 10) / 6, "zero_maps": 1,
    }  # fmt: skip
    assert (found["shape"], found["whole"], found["first_row"], found["rows"]) == ([6, 1, 2, 2], True, 0, 6)
    assert found["bytes"] == (tmp_path / "toy.h5").stat().st_size and found["schema_version"] == 2
    with h5py.File(tmp_path / "toy.h5") as file:
        assert found["digest"] == h5.attribute(file["train"], "digest", tmp_path)
        assert found["header_digest"] == h5.attribute(file, "header_digest", tmp_path)


def test_inspect_says_the_same_however_few_maps_are_in_memory(folder, monkeypatch):
    before = said("inspect", "targets.h5", "--json")
    monkeypatch.setattr(streams, "AT_ONCE", 3 * 4 * 64)
    assert streams.rows_at_once((COUNT, *SHAPE)) == 3
    after = said("inspect", "targets.h5", "--json")
    first, second = json.loads(before), json.loads(after)
    assert first["statistics"].pop("norm") == pytest.approx(second["statistics"].pop("norm"), rel=1e-12) and first == second


def test_inspect_shows_where_a_target_set_comes_from(folder):
    shown = said("inspect", "signed.h5")
    told = json.loads(said("inspect", "signed.h5", "--json"))["provenance"]
    accuracy = told["teacher"]["accuracy"]
    assert f"{100 * accuracy['clean']:.1f} % of 8 validation images, {100 * accuracy['robust']:.1f} % under PGD (L2 0.5, 2 steps" in shown
    for part in (
        "R_smoothgrad_perm50_sign, for the train images of toy",
        "24 of 1×8×8 float32, the whole set of 24",
        told["teacher"]["weights_sha256"],
        "smoothgrad; ",
        "N = 2, sigma = 0.15",
        "clamp = no",
        "noise of seed 3, 4 images in a pass",
        "phi = 1, deviations divided by D - 1",
        "50 % of the pixels (rule fraction), seed 5, replication 1",
        "preset     strict",
        "schema 2",
    ):
        assert part in shown, part
    assert "a shard: rows 12 to 23 of 24" in said("inspect", "part2.h5")
    assert "same_class, without a teacher" in said("inspect", "source.h5")


@pytest.mark.parametrize("told", [7, "\x1b[2Jnothing to see", ["R"], {"name": 1}, None, {"accuracy": {"clean": "much"}}])
def test_inspect_shows_any_provenance_without_failing_and_without_control_characters(tmp_path, told):
    steps = ("teacher", "saliency", "threshold", "permute", "null", "source", "import", "preset", "made\nby")
    path = toy(tmp_path / "toy.h5", provenance=dict.fromkeys(steps, told))
    shown = said("inspect", path)
    assert all(line.isprintable() for line in shown.splitlines())
    assert {name: check.verdict for name, check in zip(checks.NAMES, checks.checks(path, Means()))}["sample"] == "not checked"


def test_the_gallery_is_a_picture_of_maps_of_different_classes(folder):
    said("inspect", "targets.h5", "--gallery", "plain.png")
    said("inspect", "targets.h5", "--gallery", "beside.png", "--images", "images.h5")
    said("inspect", "part2.h5", "--gallery", "shard.png", "--images", "images.h5")
    plain, beside = (np.asarray(Image.open(name).convert("L")) for name in ("plain.png", "beside.png"))
    assert plain.shape[0] < beside.shape[0] and plain.std() > 12
    before = Path("plain.png").read_bytes()
    said("inspect", "targets.h5", "--gallery", "plain.png")
    assert Path("plain.png").read_bytes() == before


def test_a_gallery_that_cannot_be_drawn_leaves_nothing(folder):
    write_images(Path("others.h5"), seed=1)
    assert "was made from other images" in refused("inspect", "raw.h5", "--gallery", "a.png", "--images", "others.h5")
    assert "the gallery must be a .png file, got a.svg" in refused("inspect", "raw.h5", "--gallery", "a.svg")
    assert "name its place with --gallery" in refused("inspect", "raw.h5", "--images", "images.h5")
    assert not list(folder.glob("a.*"))


# verify


@pytest.mark.parametrize("name", ["raw", "simple", "targets", "permuted", "signed", "part1", "part2"])
def test_what_the_stages_made_passes_every_check_down_to_the_last_bit(folder, name):
    assert verdicts(f"{name}.h5", **FULL) == ALL_OK
    found = {check.name: check.note for check in checks.checks(Path(f"{name}.h5"), Means(**FULL))}
    count = 12 if name.startswith("part") else COUNT
    assert found["sample"].startswith(f"{count} of {count} maps made again: worst cosine 1.000000, off by at most 0 of a map's norm")
    stated = json.loads(said("inspect", f"{name}.h5", "--json"))["provenance"]["teacher"]["accuracy"]
    assert found["accuracy"].startswith(f"clean {100 * stated['clean']:.1f} %, robust {100 * stated['robust']:.1f} %, measured again")


def test_targets_without_a_teacher_are_made_again_from_the_images_alone(folder):
    expected = ALL_OK | {"weights": "not checked", "accuracy": "not checked"}
    assert verdicts("source.h5", images=Path("images.h5"), rows=COUNT) == expected


def test_what_is_not_given_is_not_checked_and_said_to_be(folder):
    shown = said("verify", "raw.h5", "part1.h5")
    for check, reason in {"images": "no --images given", "weights": "no --model given", "sample": "no --images given"}.items():
        assert f"not checked  {check:<9} {reason}" in shown
    assert shown.count("Digests in a file show damage, not honesty") == 2 and "a shard: rows 0 to 11 of 24" in shown
    assert "No map was made again, so method, settings" in shown
    full = said("verify", "raw.h5", "--images", "images.h5", "--model", "R")
    assert "Maps that were not made again are known by their digests alone." in full and "not checked" not in full


def test_permuted_rows_are_found_even_if_somebody_made_all_digests_anew(folder):
    with h5py.File("raw.h5", "r+") as file:
        maps = file["train/maps"][()]
        file["train/maps"][...] = np.roll(maps, 1, axis=0)
    assert verdicts(str(forged(Path("raw.h5"))), **FULL) == ALL_OK | {"sample": "failed"}
    found = invoke("verify", "raw.h5", "--images", "images.h5", "--model", "R", "--rows", COUNT)
    assert found.exit_code == 1 and "24 of 24 maps are not what the provenance gives" in found.stdout
    assert "row 0 holds the map of row 23: rows were permuted" in found.stdout
    assert found.stderr == "Error: 1 of 1 files failed a check: raw.h5 (sample)\n"


def test_two_exchanged_rows_are_found_too(folder):
    with h5py.File("targets.h5", "r+") as file:
        maps = file["train/maps"][()]
        file["train/maps"][...] = maps[[0, 9, 2, 3, 4, 5, 6, 7, 8, 1, *range(10, COUNT)]]
    found = checks.checks(forged(Path("targets.h5")), Means(**FULL))[-1]
    assert found.verdict == "failed" and "2 of 24 maps" in found.note and "row 1 holds the map of row 9" in found.note


@pytest.mark.parametrize(
    "step, key, value",
    [
        ("saliency", "sigma", 0.16),
        ("saliency", "samples", 3),
        ("saliency", "include_clean", True),
        ("saliency", "seed", 4),
        ("saliency", "method", "vargrad"),
        ("threshold", "phi", 1.1),
        ("permute", "fraction", 0.6),
        ("permute", "seed", 6),
    ],
)
def test_a_provenance_that_is_not_true_is_found(folder, step, key, value):
    def change(told: dict) -> None:
        told[step][key] = value
        if value == "vargrad":
            told["saliency"] = {name: told["saliency"][name] for name in ("method", "seed", "batch_size", "samples", "sigma")}

    path = relabelled(Path("permuted.h5"), change)
    assert verdicts(str(path), **FULL) == ALL_OK | {"sample": "failed"}


@pytest.mark.parametrize(
    "step, told, sentence",
    [
        ("saliency", {"method": "os", "seed": 0, "batch_size": 4}, "saliency method must be a file in lib/saliency, got 'os'"),
        ("saliency", {"method": "simple", "seed": 0, "batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ("saliency", {"method": "simple", "seed": -1, "batch_size": 4}, "seed must be a whole number of at least 0, got -1"),
        ("saliency", {"method": "simple", "seed": 0, "batch_size": 4, "more": 1}, "has unknown keys more"),
        ("saliency", "simple", "provenance.saliency must be an object, got 'simple'"),
        ("threshold", {"phi": "high", "ddof": 1, "when": "before"}, "threshold.phi must be a number, got 'high'"),
        ("permute", {"fraction": 0.5}, "permute lacks the key"),
        ("null", {"name": "../sign", "seed": 0}, "null must be a file in lib/targets/controls, got '../sign'"),
    ],
)
def test_a_provenance_that_cannot_be_followed_fails_with_a_sentence(folder, step, told, sentence):
    path = relabelled(Path("permuted.h5"), lambda before: before.update({step: told}))
    found = {check.name: check for check in checks.checks(path, Means(**FULL))}
    assert found["sample"].verdict == "failed" and sentence in found["sample"].note


def test_weights_that_the_provenance_does_not_name_are_refused(folder):
    found = {check.name: check for check in checks.checks(Path("raw.h5"), Means(**FULL | {"model": Path("other")}))}
    assert found["weights"].verdict == "failed" and "was made from other weights" in found["weights"].note
    assert found["sample"].verdict == found["accuracy"].verdict == "not checked"


def test_weights_named_falsely_do_not_give_these_maps(folder):
    digest = checkpoint.digest(Path("other"))
    path = relabelled(Path("raw.h5"), lambda told: told["teacher"].update(weights_sha256=digest))
    found = verdicts(str(path), **FULL | {"model": Path("other")})
    assert found["weights"] == "ok" and found["sample"] == "failed"


@pytest.mark.parametrize("clean, robust, verdict", [(0.0, 0.0, "ok"), (0.5, 0.0, "failed"), (0.0, 0.1, "failed")])
def test_an_accuracy_that_the_teacher_does_not_have_is_found(folder, clean, robust, verdict):
    def better(told: dict) -> None:
        stated = told["teacher"]["accuracy"]
        for name, off in {"clean": clean, "robust": robust}.items():
            stated[name] += off if stated[name] + off <= 1 else -off

    found = {check.name: check for check in checks.checks(relabelled(Path("raw.h5"), better), Means(**FULL))}
    assert found["accuracy"].verdict == verdict and "measured again" in found["accuracy"].note


def test_other_images_are_found(folder):
    write_images(Path("others.h5"), seed=1)
    found = invoke("verify", "raw.h5", "source.h5", "--images", "others.h5")
    assert found.exit_code == 1 and found.stdout.count("failed       images    ") == 2 and "was made from other images" in found.stdout
    assert found.stderr == "Error: 2 of 2 files failed a check: raw.h5 (images); source.h5 (images)\n"


def test_damaged_maps_are_counted_and_the_rest_goes_on(folder):
    with h5py.File("raw.h5", "r+") as file:
        file["train/maps"][[3, 7], 0, 0, 0] += 1
    found = {check.name: check for check in checks.checks(Path("raw.h5"), Means(images=Path("images.h5")))}
    assert "2 of 24 maps do not fit their digests (rows 3, 7)" in found["maps"].note and "row 3 was changed" in found["maps"].note
    assert [found[name].verdict for name in ("format", "header", "finite", "images")] == ["ok"] * 4


def test_a_map_may_be_off_where_rounding_decides_but_not_many_and_not_far():
    pairs = np.zeros(100), np.full(100, np.nan)

    def sample(*off: float) -> origin.Sample:
        relative = pairs[0].copy()
        relative[: len(off)] = off
        return origin.Sample(np.arange(100), comparison.Distances(pairs[1], relative, relative), {}, 100)

    sample(0.15).require_close(Path("a"), 0.01)
    sample(*[0.009] * 100).require_close(Path("a"), 0.01)
    for wrong in (sample(0.15, 0.15), sample(0.25), sample(*[0.02] * 100)):
        with pytest.raises(InputError, match="are not what the provenance gives"):
            wrong.require_close(Path("a"), 0.01)


def test_a_value_at_the_threshold_may_fall_on_either_side():
    """The last value of this map lies exactly one standard deviation above the mean, but for rounding."""
    step = recomputed.threshold_step({"phi": 1.0, "ddof": 0, "when": "before"}, "")
    raw = np.array([0, 0, 0, 0, 4, np.nan], np.float64)
    raw[5] = brentq(lambda value: value - np.mean([0, 0, 0, 0, 4, value]) - np.std([0, 0, 0, 0, 4, value]), 1, 3)
    low, high = recomputed.Recipe(1, lambda rows: raw.reshape(1, 1, 2, 3), (step,)).bounds(range(1))
    assert low.ravel().tolist() == [0, 0, 0, 0, 4, raw[5]] and high.ravel().tolist() == [0, 0, 0, 0, 4, 0]


# Files that are not to be used


def overwritten(name: str, **settings) -> Callable[[Path], None]:
    """Replace the dataset `name` by one that h5py makes with these settings."""

    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]
            file.create_dataset(name, **settings)

    return change


def linked(link: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        toy(path.with_name("secret.h5"))
        with h5py.File(path, "r+") as file:
            del file["train/maps"]
            file["train/maps"] = link

    return change


def virtual(path: Path) -> None:
    toy(path.with_name("secret.h5"))
    layout = h5py.VirtualLayout(TOY.shape, "<f4")
    layout[...] = h5py.VirtualSource(path.with_name("secret.h5"), "train/maps", TOY.shape, "<f4")
    with h5py.File(path, "r+") as file:
        del file["train/maps"]
        file.create_virtual_dataset("train/maps", layout)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def newer(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        h5.tell(file, schema_version=target_file.VERSION + 1)


def not_finite(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["train/maps"][2, 0, 1, 1] = np.nan
    forged(path)


def exchanged(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["train/maps"][...] = file["train/maps"][()][::-1]


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(TOY[5].tobytes()) + 5] ^= 1
    path.write_bytes(content)


def unfinished(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["complete"] = False


def renamed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        h5.tell(file, name="NR_simple")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncated, "is not a readable HDF5 file"),
    "newer schema": (newer, "has schema version 3, this code reads 2; it needs a newer version of this project"),
    "unfinished": (unfinished, "is incomplete"),
    "not a number": (not_finite, "not finite"),
    "wrong dtype": (overwritten("train/maps", data=TOY.astype(np.float64)), "must be (n, C, H, W) float32, got (6, 1, 2, 2) float64"),
    "objects": (overwritten("train/maps", shape=TOY.shape, dtype=h5py.string_dtype()), "holds object, expected plain numbers"),
    "references": (overwritten("train/maps", shape=TOY.shape, dtype=h5py.ref_dtype), "expected plain numbers"),
    "soft link": (linked(h5py.SoftLink("/elsewhere")), "is a soft link, expected the data themselves"),
    "external link": (linked(h5py.ExternalLink("secret.h5", "/train/maps")), "is a link to another file, expected the data themselves"),
    "external storage": (
        overwritten("train/maps", shape=TOY.shape, dtype="<f4", external=[("/etc/hostname", 0, TOY.nbytes)]),
        "keeps its data in other files",
    ),
    "virtual": (virtual, "keeps its data in other files"),
    "permuted rows": (exchanged, "row 0 is the map of row 5: rows were permuted"),
    "flipped bit": (flipped, "dataset train/maps, row 5 was changed after it was written"),
    "renamed": (renamed, "what the file says of itself was changed"),
    "pickle": (lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch planted'\ntR."), "is not a readable HDF5 file"),
    "absent": (lambda path: path.unlink(), "found nothing there"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("command", ["inspect", "diff", "merge"])
def test_a_bad_file_gets_one_sentence_that_names_it_and_nothing_is_written(tmp_path, monkeypatch, case, command):
    monkeypatch.chdir(tmp_path)
    change, sentence = BAD[case]
    path, other = toy(Path("file.h5")), toy(Path("other.h5"))
    change(path)
    words = {"inspect": ("--gallery", "out.png"), "diff": (other,), "merge": ("--out", "out.h5")}[command]
    told = refused(command, path, *words)
    assert sentence in told and "file.h5" in told
    assert not list(tmp_path.glob("*out*")) and not Path("planted").exists() and not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("case", BAD)
def test_verify_fails_on_every_bad_file_and_goes_on_with_the_next(tmp_path, case):
    change, sentence = BAD[case]
    path, other = toy(tmp_path / "file.h5"), toy(tmp_path / "other.h5")
    change(path)
    done = invoke("verify", path, other)
    assert done.exit_code == 1 and sentence in done.stdout and str(other) in done.stdout
    assert done.stderr.splitlines() == [done.stderr.strip()] and done.stderr.startswith(f"Error: 1 of 2 files failed a check: {path} (")


def test_a_real_process_ends_with_one_sentence_and_a_status(tmp_path):
    path = toy(tmp_path / "file.h5")
    flipped(path)
    call = [sys.executable, "-m", "tools.targets", "inspect", str(path)]
    done = subprocess.run(call, cwd=ROOT, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True)
    sentence = f"Error: {path}: dataset train/maps, row 5 was changed after it was written (its digest differs)\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


def test_a_shard_is_no_target_set(folder):
    from stages.threshold import main as threshold

    done = CliRunner().invoke(threshold, ["--maps", "part2.h5", "--out", "out.h5"])
    sentence = "Error: part2.h5 is a shard, rows 12 to 23 of 24; merge all shards first\n"
    assert (done.exit_code, done.stderr, Path("out.h5").exists()) == (1, sentence, False)


def test_only_what_needs_torch_imports_it(tmp_path):
    path = toy(tmp_path / "toy.h5")
    code = (
        f"import sys; from click.testing import CliRunner as R; from tools.targets import main; r = R().invoke(main, ['verify', '{path}'])"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}; sys.exit(r.exit_code or 'torch' in sys.modules)"], cwd=ROOT)
    assert done.returncode == 0


# diff


def test_diff_finds_nothing_between_two_files_of_the_same_content(tmp_path):
    shown = said("diff", toy(tmp_path / "a.h5"), toy(tmp_path / "b.h5"))
    assert shown.startswith("bytes    the same") and shown.endswith("The maps are the same, bit for bit.\n")


def test_diff_names_what_the_files_say_differently_and_ends_well_where_the_maps_are_the_same(tmp_path):
    a = toy(tmp_path / "a.h5", provenance={"teacher": {"name": "R", "seed": 0}, "threshold": {"phi": 1.0}})
    b = toy(tmp_path / "b.h5", provenance={"teacher": {"name": "R", "seed": 1}, "note": "x"})
    shown = said("diff", a, b)
    for line in ("teacher.seed: 0 -> 1", "threshold.phi: 1.0 -> (absent)", "note: (absent) -> x"):
        assert f"header   provenance.{line}" in shown
    assert "bytes    differ" in shown and "content  the same" in shown and "teacher.name" not in shown


def test_diff_measures_maps_by_what_is_known_beforehand(tmp_path):
    """(3, -4) against (3, 0) has cosine 0.6 and is off by 4/5; a zero map against a zero map does not count."""
    changed = TOY.copy()
    changed[0, 0, 0] = 3, 0
    done = invoke("diff", toy(tmp_path / "a.h5"), toy(tmp_path / "b.h5", changed))
    assert done.exit_code == 1 and done.stderr == ""
    assert "1 of 6 differ; by at most 4 in a value" in done.stdout
    assert "largest relative difference of a map 0.8 (map 0), median 0" in done.stdout
    assert "min 0.600000" in done.stdout and "mean 0.920000" in done.stdout and "1 maps are zero in both and left out" in done.stdout
    assert done.stdout.endswith("The maps are not the same.\n")


@pytest.mark.parametrize("tolerance, status", [(0.79, 1), (0.81, 0)])
def test_a_tolerance_decides_by_the_map_that_is_furthest_off(tmp_path, tolerance, status):
    changed = TOY.copy()
    changed[0, 0, 0] = 3, 0
    done = invoke("diff", toy(tmp_path / "a.h5"), toy(tmp_path / "b.h5", changed), "--tolerance", tolerance)
    assert done.exit_code == status and f"{status} of 6 differ by more than {tolerance}" in done.stdout
    assert done.stdout.endswith(f"The maps are {'not ' * status}the same within the tolerance {tolerance}.\n")


def test_diff_finds_the_rows_that_maps_have_moved_to(tmp_path):
    done = invoke("diff", toy(tmp_path / "a.h5"), toy(tmp_path / "b.h5", TOY[[0, 2, 1, 3, 4, 5]]))
    assert done.exit_code == 1 and "2 maps of B stand in other rows of A: 1 (A: 2), 2 (A: 1)\n" in done.stdout


def test_a_map_that_is_zero_in_one_file_only_has_the_cosine_zero(tmp_path):
    changed = TOY.copy()
    changed[1, 0, 0, 0] = 1
    assert "min 0.000000" in invoke("diff", toy(tmp_path / "a.h5"), toy(tmp_path / "b.h5", changed)).stdout


def test_files_with_other_rows_are_not_compared_map_by_map(tmp_path):
    a, b = toy(tmp_path / "a.h5", TOY[:3], total=6), toy(tmp_path / "b.h5", TOY[3:], first=3, total=6)
    for one, other in ((a, b), (a, toy(tmp_path / "c.h5"))):
        done = invoke("diff", one, other)
        assert done.exit_code == 1 and "not comparable row by row" in done.stdout and "cosine" not in done.stdout


# merge


def test_merged_parts_are_the_bytes_of_one_extraction(folder):
    shown = said("merge", "part2.h5", "part1.h5", "--out", "merged.h5")
    assert Path("merged.h5").read_bytes() == Path("raw.h5").read_bytes()
    assert shown == f"merged.h5: 24 maps, the whole set of 24; content {json.loads(said('inspect', 'raw.h5', '--json'))['digest']}\n"


def test_parts_with_a_gap_are_not_merged(tmp_path):
    parts = [toy(tmp_path / f"{first}.h5", TOY[first : first + 2], first=first, total=6) for first in (0, 2, 4)]
    assert "must follow each other, after row 1 comes" in refused("merge", parts[0], parts[2], "--out", tmp_path / "out.h5")
    assert "must follow each other" in refused("merge", parts[0], parts[0], "--out", tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()
    assert "2 maps, a shard: rows 0 to 1 of 6" in said("merge", parts[0], "--out", tmp_path / "out.h5")


# import


OWN = random.standard_normal((COUNT, *SHAPE))


def imported(file: str, *words: object) -> tuple[str, Header, np.ndarray]:
    shown = said("import", file, "--images", "images.h5", "--name", "mine", "--out", "out.h5", *words)
    return shown, *target_file.read(Path("out.h5"), image_file.read(Path("images.h5"), "train"))


def stored(name: str, values: np.ndarray) -> str:
    if name.endswith(".npy"):
        np.save(name, values)
    elif name.endswith(".npz"):
        np.savez_compressed(name, maps=values)
    else:
        with h5py.File(name, "w") as file:
            file.create_dataset("some/maps", data=values, chunks=(5, *values.shape[1:]), compression="gzip")
            file["names"] = ["what", "ever"]
    return name


def inside(name: str) -> tuple[str, ...]:
    return ("--dataset", "some/maps") if name.endswith(".h5") else ()


@pytest.mark.parametrize("name", ["own.npy", "own.npz", "own.h5"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_own_maps_come_back_row_by_row_with_where_they_came_from(folder, monkeypatch, name, dtype):
    monkeypatch.setattr(streams, "AT_ONCE", 5 * 4 * 64)
    values = OWN.astype(dtype)
    values[4] = 0
    shown, header, maps = imported(stored(name, values), *inside(name), "--note", "drawn by hand")
    assert maps.dtype == np.float32 and np.array_equal(maps, values.astype(np.float32))
    told = {"file": name, "sha256": hashlib.sha256(Path(name).read_bytes()).hexdigest(), "order": "split", "note": "drawn by hand"}
    assert header.name == "mine" and header.provenance == {"import": told | ({"dataset": "some/maps"} if inside(name) else {})}
    assert shown.startswith("out.h5: 24 maps, 1 of them all zero; content ") and "drawn by hand" in said("inspect", "out.h5")
    expected = ALL_OK | dict.fromkeys(("weights", "accuracy", "sample"), "not checked")
    assert verdicts("out.h5", **FULL) == expected
    assert "How imported maps were made is known to nobody here" in " ".join(said("verify", "out.h5").split())


@pytest.mark.parametrize("name", ["own.npy", "own.npz", "own.h5"])
def test_maps_in_the_order_of_the_whole_dataset_are_picked_by_the_images_rows(folder, name):
    """Train image i is image 2 (23 - i) of its dataset."""
    whole = np.arange(60, dtype=np.float32)[:, None, None] + np.zeros((8, 8), np.float32)
    _, header, maps = imported(stored(name, whole), *inside(name), "--order", "source")
    assert maps.shape == (COUNT, *SHAPE) and maps[:, 0, 3, 4].tolist() == [2 * (23 - row) for row in range(COUNT)]
    assert header.provenance["import"]["order"] == "source"


def with_value(value: float, dtype: type = np.float64) -> np.ndarray:
    values = OWN.astype(dtype)
    values[7, 0, 2, 2] = value
    return values


@pytest.mark.parametrize("name", ["own.npy", "own.npz", "own.h5"])
@pytest.mark.parametrize(
    "values, sentence",
    [
        (with_value(np.nan), "maps must be finite, row 7 is not"),
        (with_value(-np.inf, np.float16), "maps must be finite, row 7 is not"),
        (with_value(1e39), "maps are kept as float32, and row 7 has values too large for it"),
        (OWN.astype(np.int64), "maps must be float16, float32 or float64, got int64"),
        (OWN.astype(np.complex64), "maps must be float16, float32 or float64, got complex64"),
        (OWN > 0, "maps must be float16, float32 or float64, got bool"),
        (OWN[:-1], "has 23 maps, there are 24 train images"),
        (OWN[:, :, 1:], "has maps of shape (1, 7, 8), the train images have (1, 8, 8)"),
        (np.concatenate([OWN, OWN], 1), "has maps of shape (2, 8, 8), the train images have (1, 8, 8)"),
        (OWN.reshape(COUNT, -1), "maps must be (N, C, H, W) or (N, H, W), got (24, 64)"),
    ],
)
def test_own_maps_that_do_not_fit_are_refused_and_nothing_is_written(folder, name, values, sentence):
    told = refused("import", stored(name, values), "--images", "images.h5", "--name", "mine", "--out", "out.h5", *inside(name))
    assert sentence in told and name in told and not list(folder.glob("out.h5*"))


def test_too_few_maps_for_the_order_of_the_dataset_are_refused(folder):
    call = ("import", stored("own.npy", np.zeros((46, 8, 8))), "--images", "images.h5", "--name", "mine", "--out", "out.h5")
    assert "own.npy has 46 maps, the train images come from rows up to 46" in refused(*call, "--order", "source")


class Planted:
    """What a pickle can do when it is loaded."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("planted"),)


def plant_npy(path: Path) -> None:
    np.save(path, np.array([Planted()] * COUNT, object), allow_pickle=True)


def plant_npz(path: Path) -> None:
    np.savez(path, maps=np.array([Planted()] * COUNT, object))


def plant_bare(path: Path) -> None:
    import pickle

    path.write_bytes(pickle.dumps(Planted()))


def changed_hdf5(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        stored("secret.h5", OWN)
        with h5py.File(path, "w") as file:
            change(file.create_group("some"))

    return write


def virtual_own(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout(OWN.shape, "<f8")
    layout[...] = h5py.VirtualSource("secret.h5", "some/maps", OWN.shape, "<f8")
    group.create_virtual_dataset("maps", layout)


UNSAFE: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "pickle in .npy": ("own.npy", plant_npy, "is not a readable .npy file of numbers"),
    "pickle in .npz": ("own.npz", plant_npz, "is not a readable .npz file of numbers"),
    "bare pickle as .npy": ("own.npy", plant_bare, "is not a readable .npy file of numbers"),
    "bare pickle as .npz": ("own.npz", plant_bare, "is not a readable .npz file of numbers"),
    "bare pickle as .h5": ("own.h5", plant_bare, "is not a readable .h5 file of numbers"),
    "pickle": ("own.pkl", plant_bare, "expected maps in a file .npy, .npz, .h5, .hdf5"),
    "empty": ("own.npy", lambda path: path.write_bytes(b"") and None, "own.npy is empty"),
    "soft link": ("own.h5", changed_hdf5(lambda group: group.__setitem__("maps", h5py.SoftLink("/x"))), "is a link, expected the data"),
    "external link": (
        "own.h5",
        changed_hdf5(lambda group: group.__setitem__("maps", h5py.ExternalLink("secret.h5", "/some/maps"))),
        "is a link, expected the data themselves",
    ),
    "external storage": (
        "own.h5",
        changed_hdf5(lambda group: group.create_dataset("maps", OWN.shape, "<f8", external=[("/etc/hostname", 0, OWN.nbytes)])),
        "keeps its data in other files",
    ),
    "virtual": ("own.h5", changed_hdf5(virtual_own), "keeps its data in other files"),
    "objects": ("own.h5", changed_hdf5(lambda group: group.create_dataset("maps", OWN.shape, h5py.string_dtype())), "got object"),
    "no such dataset": ("own.h5", changed_hdf5(lambda group: None), "has no dataset 'some/maps'"),
    "group": ("own.h5", changed_hdf5(lambda group: group.create_group("maps")), "'some/maps' is no dataset"),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_nothing_in_a_file_of_own_maps_is_executed_or_followed(folder, case):
    name, write, sentence = UNSAFE[case]
    write(Path(name))
    told = refused("import", name, "--images", "images.h5", "--name", "mine", "--out", "out.h5", *inside(name))
    assert sentence in told and name in told and not Path("planted").exists() and not list(folder.glob("out.h5*"))


@pytest.mark.parametrize("name", ["own.npy", "own.npz", "own.h5"])
def test_a_truncated_file_of_own_maps_is_refused(folder, name):
    stored(name, OWN)
    truncated(Path(name))
    told = refused("import", name, "--images", "images.h5", "--name", "mine", "--out", "out.h5", *inside(name))
    assert f"{name} is not a readable" in told and not list(folder.glob("out.h5*"))


def test_the_array_must_be_named_where_there_are_several(folder):
    np.savez("own.npz", a=OWN, b=2 * OWN)
    call = ("import", "own.npz", "--images", "images.h5", "--name", "mine", "--out", "out.h5")
    assert "name one array with --dataset, it has a, b" in refused(*call)
    assert "has no array 'c', it has a, b" in refused(*call, "--dataset", "c")
    assert np.array_equal(imported("own.npz", "--dataset", "b")[2], (2 * OWN).astype(np.float32))
    stored("own.h5", OWN)
    assert "name the dataset of the maps with --dataset" in refused(*call[:1], "own.h5", *call[2:])
    stored("own.npy", OWN)
    assert "holds one array without a name" in refused(*call[:1], "own.npy", *call[2:], "--dataset", "a")


def test_a_result_does_not_take_the_place_of_what_it_is_made_from(folder):
    before = Path(stored("own.h5", OWN)).read_bytes()
    for words in (("--name", "mine", "--out", "own.h5"), ("--name", "mine", "--out", "images.h5"), ("--name", "a/b", "--out", "out.h5")):
        refused("import", "own.h5", "--images", "images.h5", "--dataset", "some/maps", *words)
    assert Path("own.h5").read_bytes() == before


def test_rows_of_own_maps_can_be_asked_for_in_any_order_and_more_than_once(tmp_path):
    np.save(tmp_path / "own.npy", np.arange(6, dtype=np.float32).reshape(6, 1, 1))
    with own_maps.opened(tmp_path / "own.npy") as found:
        assert own_maps.rows(found, np.array([4, 1, 4]), tmp_path).ravel().tolist() == [4, 1, 4]
        assert own_maps.rows(found, np.array([2, 3]), tmp_path).shape == (2, 1, 1, 1)
