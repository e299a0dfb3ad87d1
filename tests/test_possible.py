"""Files whose digests fit and which say what cannot be true, or what nobody can read, are refused with one sentence."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import report_grid
import report_once
import test_digests
import test_files
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

from lib.base import checksums, h5, image_file, json_text, params
from lib.base.errors import InputError
from lib.network import checkpoint
from lib.report import published_folder

Change = Callable[[h5py.File], object]
PAPER, REFEREE, PROBE = "paper/l2_2.5", "referee/linf_0.2", "probes/3"
DEEP = '{"a":' * 100_000


def put(name: str, values: object) -> Change:
    """A dataset replaced."""

    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = values

    return change


def value(name: str, place: object, new: float) -> Change:
    """One value of a dataset replaced."""
    return lambda file: file[name].__setitem__(place, new)


def said(name: str, key: str, new: object) -> Change:
    """An attribute replaced."""

    def change(file: h5py.File) -> None:
        del file[name].attrs[key]
        h5.tell(file[name], **{key: new})

    return change


def endless(name: str) -> Change:
    """A dataset that claims more values than fit on any disk, of which none was written."""

    def change(file: h5py.File) -> None:
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        file.create_dataset(name, (2**40, *shape[1:]), dtype)

    return change


CASES: list[tuple[str, Change, str]] = [
    ("radii", value(PAPER, (0, 0), 7), r"'paper/l2_2.5' must hold 0 and 1 only, got \[7\]"),
    ("radii", value("clean", 0, 7), r"'clean' must hold 0 and 1 only, got \[7\]"),
    ("radii", value(f"{PROBE}/asked", 0, 2), r"'probes/3/asked' must hold 0 and 1 only, got \[2\]"),
    ("radii", value(PAPER, (0, 1), 1), r"paper pgd40 at l2 2.5: image \[1\] is correct under attack, but was misclassified as it is"),
    ("radii", put(f"{PROBE}/correct", np.zeros((3, 5), np.uint8)), r"outcomes must be \(runs, 4\), got \(3, 5\)"),
    ("radii", put(f"{PROBE}/correct", np.zeros((0, 4), np.uint8)), r"outcomes must be \(runs, 4\), got \(0, 4\)"),
    ("radii", put(f"{REFEREE}/broken", np.zeros((3, 5), np.uint8)), r"outcomes must be \(runs, 4\), got \(3, 5\)"),
    (
        "radii",
        value(f"{REFEREE}/broken", (0, 2), 1),
        r"autoattack lite at linf 0.2: image \[2\] is broken, but its robust radius is larger",
    ),
    ("radii", put("telemetry/l2/held", np.zeros(3, np.float32)), r"telemetry/l2/held must be \(4,\), got \(3,\)"),
    ("radii", put("labels", np.zeros(3, np.int64)), r"labels must be \(4,\) and whole numbers from 0 on, got \(3,\)"),
    ("radii", put("rows", np.arange(4) - 1), r"rows must be \(4,\) and whole numbers from 0 on"),
    ("radii", value("radius/l2", 0, -1), r"radius/l2 must be a length from 0 on, got \[-1.0\] for image \[0\]"),
    ("radii", value("radius/l2", 3, np.nan), r"radius/l2 must be a length from 0 on, got \[nan\] for image \[3\]"),
    (
        "radii",
        value("radius/linf", 1, 0.5),
        r"radius/linf must be 0 where the image as it is was misclassified, got \[0.5\] for image \[1\]",
    ),
    ("radii", value("radius/linf", 3, 1), r"must have the name of the attack that found it in found_by, and none where nothing was found"),
    ("radii", value("found_by/l2", 0, b""), r"must have the name of the attack that found it in found_by, .* got \[0.5\] for image \[0\]"),
    ("radii", value("radius/l2", 3, 2.5), r"radius/l2 must be at most what the box allows, got \[2.5\] for image \[3\]"),
    ("radii", put("radius/l2", np.zeros(4, np.int64)), r"radius/l2 must be \(4,\), numbers, got \(4,\) int64"),
    ("radii", put("found_by/l2", np.zeros(4)), r"found_by/l2 must be \(4,\), text, got \(4,\) float64"),
    ("radii", said(PROBE, "aggregate", "best"), "aggregate must be mean or worst, got 'best'"),
    ("radii", said(PROBE, "norm", "l3"), "norm must be l2, linf or none, got 'l3'"),
    ("radii", said(PAPER, "epsilon", -1.0), "epsilon must be positive and finite, got -1.0"),
    ("radii", said(PAPER, "epsilon", "1/2"), "attribute 'epsilon' of /paper/l2_2.5 must be a number, got '1/2'"),
    ("radii", said(PAPER, "settings", "{"), "attribute 'settings' of paper/l2_2.5 is not valid JSON"),
    ("radii", said("/", "settings", "[]"), "attribute 'settings' must be a JSON object, got '\\[\\]'"),
    ("radii", said("/", "seed", "first"), "attribute 'seed' of / must be a whole number, got 'first'"),
    ("radii", lambda file: file.move(PROBE, "probes/three"), "the groups in probes must be called by numbers, got 'three'"),
    ("radii", put("radius", np.zeros(3)), "has no group 'radius'"),
    ("radii", endless("clean"), "clean must be stored whole and unfiltered, 1099511627776 bytes, the file has fewer"),
    ("parts", said("/", "common", "none"), "attribute 'common' is not valid JSON"),
    ("gradients", value("models/NR/label_norm", 2, np.nan), r"/models/NR 'label_norm' must be finite and in \[0, inf\], got \[nan\]"),
    ("gradients", value("models/NR/other_norm", 0, -1), r"'other_norm' must be finite and in \[0, inf\], got \[-1.0\]"),
    ("gradients", value("models/R_simple/cosine_target", 0, 1.5), r"'cosine_target' must be finite and in \[-1.001, 1.001\], got \[1.5\]"),
    ("gradients", value("models/NR/maps", (0, 0, 0, 0), np.inf), "'maps' must be finite"),
    ("gradients", put("models/NR/label_norm", np.ones(5)), r"label_norm of /models/NR does not belong to 6 rows, it has the shape \(5,\)"),
    ("gradients", put("rows", np.zeros(6)), r"rows must be whole numbers \(n,\), got \(6,\) float64"),
    ("gradients", lambda file: file.pop("models"), "has no group 'models'"),
    ("measures", value("seeds/0/paper", 0, 1.5), r"'paper' must be finite and in \[0, 1\], got \[1.5\]"),
    ("measures", lambda file: file.move("seeds/0", "seeds/x"), "the groups in seeds must be called by numbers, got 'x'"),
    ("measures", lambda file: file["seeds/0"].pop("notes"), "has no group 'notes'"),
    ("images", said("/", "classes", 5), "split train: classes, source_rows or what it says of itself were changed after it was written"),
    ("images", said("/", "classes", "four"), "attribute 'classes' of / must be a whole number, got 'four'"),
    ("images", value("train/source_rows", 0, 99), "classes, source_rows or what it says of itself were changed after it was written"),
    ("images", endless("train/images"), "train/images must be stored whole and unfiltered"),
    ("images", lambda file: [file.pop("train"), file.__setitem__("train", np.zeros(3))], "has no group 'train'"),
    ("maps", endless("train/row_digests"), "train/row_digests must be stored whole and unfiltered, 17592186044416 bytes"),
    ("maps", said("train", "rows", "all"), "attribute 'rows' of /train must be a whole number, got 'all'"),
]


@pytest.mark.parametrize("kind, change, sentence", CASES)
def test_what_cannot_be_is_refused(tmp_path: Path, kind: str, change: Change, sentence: str) -> None:
    path, files = tmp_path / "file.h5", test_digests.KINDS[kind]
    files.write(path)
    with test_files.edited(path) as file:
        change(file)
    with pytest.raises(InputError, match=sentence) as caught:
        files.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_the_cases_change_is_read_without_them(tmp_path: Path) -> None:
    for name, kind in test_digests.KINDS.items():
        if kind.name == "file.h5":
            kind.write(tmp_path / name)
            with test_files.edited(tmp_path / name):
                pass
            kind.read(tmp_path / name)


def test_files_of_earlier_versions_are_to_be_made_anew_but_images_stay_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(h5, "WITHOUT_DIGEST", ("radii", "images"))
        test_files.write_outcomes(tmp_path / "outcomes.h5")
    test_files.refused("radii", tmp_path / "outcomes.h5", "carries no digest, so nothing says whether it is what was written; make it anew")
    test_files.write_images(tmp_path / "images.h5")
    with h5py.File(tmp_path / "images.h5", "r+") as file:
        del file["train"].attrs["header_digest"]
    assert len(image_file.read(tmp_path / "images.h5", "train")) == 6


def test_the_digest_of_a_file_can_be_computed_with_hashlib_alone(tmp_path: Path) -> None:
    test_files.write_outcomes(tmp_path / "file.h5")
    with h5py.File(tmp_path / "file.h5") as file:
        stored = file.attrs["digest"]
    data = (tmp_path / "file.h5").read_bytes()
    assert data.count(stored) == 1
    assert stored.decode() == "sha256:" + hashlib.sha256(data.replace(stored, b"sha256:" + b"0" * 64)).hexdigest()


@pytest.mark.parametrize("data", [DEEP, DEEP.encode(), "[" * 101 + "]" * 101, "", "{", "[]", "9" * 5000, b"\xff\xfe", b"{\x00}"])
def test_json_that_cannot_be_read_is_one_sentence(data: str | bytes) -> None:
    with pytest.raises(InputError, match="^settings (is not valid JSON|must be a JSON object)") as caught:
        json_text.parsed(data, "settings")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_json_nested_without_end_is_refused_in_a_target_file(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    header = replace(test_files.HEADER, provenance={"name": "x" * 60_000})
    test_files.target_file.write(path, header, test_files.MAPS.shape, [test_files.MAPS])
    path.write_bytes(path.read_bytes().replace(b'{"name": "' + b"x" * 50_000, b'{"a": ' + b"[" * 50_004))
    test_files.refused("maps", path, "attribute 'provenance' is not valid JSON")


def test_gradients_of_other_images_do_not_stand_beside_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer images than the gradients were measured on, with targets of their own."""
    monkeypatch.chdir(tmp_path)
    report_grid.make()
    with h5py.File(report_grid.images()) as file:
        splits = {name: tuple(file[name][part][:3] for part in ("images", "labels", "source_rows")) for name in ("train", "validation")}
        splits["test"] = tuple(file["test"][part][:] for part in ("images", "labels", "source_rows"))
    image_file.write(report_grid.images(), params.value("data", "dataset"), report_grid.CLASSES, splits)
    for seed in params.value("seeds"):
        report_grid.write_targets(seed)
    done = report_once.run()
    assert done.exit_code == 1 and "results/gradients/0.h5 was made from other images (digest " in done.output
    assert len(done.output.splitlines()) == 1 and not Path("report").exists()


@pytest.mark.parametrize("place, wrong", [(0, float("nan")), (-1, float("inf"))])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, place: int, wrong: float) -> None:
    path = tmp_path / "R/weights.safetensors"
    test_digests.write_model(path)
    weights = load_file(path)
    name = list(weights)[place]
    weights[name].view(-1)[-1] = wrong
    save_file(weights, path)
    checksums.seal(tmp_path / "R")
    with pytest.raises(InputError, match=f"R/weights.safetensors: weights must be finite, {name} is not"):
        checkpoint.read(tmp_path / "R", torch.device("cpu"))


def test_a_folder_without_digests_is_refused(tmp_path: Path) -> None:
    test_digests.write_model(tmp_path / "R/weights.safetensors")
    (tmp_path / "R" / checksums.SUMS).unlink()
    with pytest.raises(InputError, match="expected digests of what lies in .*R at .*SHA256SUMS, found nothing there; make the folder anew"):
        checkpoint.read(tmp_path / "R", torch.device("cpu"))


@pytest.mark.parametrize(
    "file, content",
    [
        ("params.yaml", "a: [1"),
        ("params.yaml", "\t- :"),
        ("about.json", DEEP),
        ("about.json", b"\xff"),
        ("measures.csv", 'a,b\n1,"2\n'),
        ("measures.csv", "clean\nmany\n"),
    ],
)
def test_a_published_study_that_is_broken_is_refused_with_its_file(tmp_path: Path, file: str, content: str | bytes) -> None:
    folder = tmp_path / "published" / "audit"
    folder.mkdir(parents=True)
    for path in Path("results/published/audit").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert YAML(typ="safe").load((folder / "params.yaml").read_text()) == published_folder.read(folder.parent)["audit"].document
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    published_folder.params.parsed.cache_clear()
    with pytest.raises(InputError, match=f"audit/{file}") as caught:
        published_folder.read(folder.parent)
    assert "\n" not in str(caught.value)
