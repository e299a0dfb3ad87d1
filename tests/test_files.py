"""Files come back as they were written, are complete or absent, and anything else is refused with one sentence."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from lib.base import h5, image_file
from lib.base.errors import InputError
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Outcomes, Radius, Record
from lib.gradients import gradient_file
from lib.gradients.gradient_file import Gradients
from lib.targets import target_file
from lib.targets.target_file import Header

SHAPE = (2, 3, 3)
random = np.random.default_rng(0)
IMAGES = random.integers(0, 256, (6, *SHAPE), dtype=np.uint8)
LABELS = np.array([0, 3, 1, 2, 3, 0])
SPLITS = {
    "train": (IMAGES, LABELS, np.array([5, 9, 2, 7, 1, 0])),
    "validation": (IMAGES[:2] // 2, LABELS[:2], np.array([3, 4])),
    "test": (255 - IMAGES[:3], LABELS[:3], np.array([6, 8, 10])),
}
MAPS = random.standard_normal((6, *SHAPE)).astype(np.float32)
DIGEST = image_file.digest(IMAGES, LABELS)
HEADER = Header("toy", DIGEST, "R_smoothgrad", {"saliency": {"sigma": 0.15, "samples": 50}, "teacher": {"name": "R"}})
TELEMETRY = {"held": np.array([0.25, np.nan, 0.5, 1.0], np.float32)}
CLEAN = np.array([True, False, True, True])
FIRST = np.array([True, True, False, False])
LENGTHS = {"l2": np.array([0.5, 0.0, np.inf, 2.25], np.float32), "linf": np.array([0.0625, 0.0, 0.25, np.inf], np.float32)}
FOUND_BY = {"l2": np.array(["search image", "clean", "", "paper"]), "linf": np.array(["autoattack square", "clean", "search noise", ""])}
REACH = {"reach": np.array([3.0, 2.5, 3.5, 2.25], np.float32)}
RECORDS = (
    *(
        Record("paper", "pgd40", "l2", epsilon, "mean", (random.random((3, 4)) < 0.5) & CLEAN, {"steps": 40}, TELEMETRY)
        for epsilon in (2.5, 10.0)
    ),
    Record(
        "autoattack", "lite", "linf", 0.2, "worst", np.array([CLEAN, [False, False, True, True]]), {"queries": 5}, asked=np.roll(FIRST, -1)
    ),
    *(Record("probe", f"probe {index}", "none", 0.0, "worst", CLEAN[None], {"images": 2}, TELEMETRY, FIRST) for index in range(11)),
)
RADII = {norm: Radius(LENGTHS[norm], FOUND_BY[norm], TELEMETRY | REACH) for norm in LENGTHS}
OUTCOMES = Outcomes("toy", "R", 1, DIGEST, np.arange(4), LABELS[:4], CLEAN, RADII, RECORDS, {"search": {"steps": 40}})
VALUES = np.abs(np.tanh(random.standard_normal((4, 6))))
GRADIENTS = {"NR": Gradients(*VALUES[:3], None, MAPS[:2]), "R_simple": Gradients(*VALUES, MAPS[:1])}


def write_images(path: Path) -> None:
    image_file.write(path, "toy", 4, SPLITS)


def write_targets(path: Path) -> None:
    target_file.write(path, HEADER, MAPS.shape, [MAPS[:4], MAPS[4:]])


def write_outcomes(path: Path) -> None:
    outcome_file.write(path, OUTCOMES)


def write_gradients(path: Path) -> None:
    gradient_file.write(path, 1, "R_smoothgrad", DIGEST, np.arange(6), GRADIENTS)


TRAIN = image_file.Split("toy", IMAGES, LABELS, np.arange(6), 4, DIGEST)
WRITERS: dict[str, Callable] = {"images": write_images, "maps": write_targets, "radii": write_outcomes, "gradients": write_gradients}
READERS: dict[str, Callable] = {
    "images": lambda path: image_file.read(path, "train"),
    "maps": lambda path: target_file.read(path, TRAIN),
    "radii": outcome_file.read,
    "gradients": gradient_file.read,
}
every_kind = pytest.mark.parametrize("kind", list(WRITERS))


def written(tmp_path: Path, kind: str) -> Path:
    WRITERS[kind](tmp_path / "file.h5")
    return tmp_path / "file.h5"


@contextmanager
def edited(path: Path) -> Iterator[h5py.File]:
    """What a file says after a change, as if its writer had written it."""
    with h5py.File(path, "r+") as file:
        yield file
        carries_digest = "digest" in file.attrs
    if carries_digest:
        h5.seal(path)


def refused(kind: str, path: Path, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        READERS[kind](path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


# Round trips


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_images_come_back_as_they_were_written(tmp_path, split):
    found = image_file.read(written(tmp_path, "images"), split)
    images, labels, rows = SPLITS[split]
    for value, expected in [(found.images, images), (found.labels, labels), (found.source_rows, rows)]:
        assert np.array_equal(value, expected) and value.dtype == expected.dtype
    assert (found.dataset, found.classes, len(found)) == ("toy", 4, len(labels))
    assert found.digest == hashlib.sha256(repr(images.shape).encode() + images.tobytes() + labels.tobytes()).hexdigest()


def test_a_digest_changes_with_any_pixel_label_order_or_shape():
    changed = IMAGES.copy()
    changed[5, 1, 2, 2] ^= 1
    variants = [(changed, LABELS), (IMAGES, LABELS[::-1]), (IMAGES[::-1], LABELS), (IMAGES.reshape(6, 1, 6, 3), LABELS)]
    assert len({DIGEST, *(image_file.digest(*variant) for variant in variants)}) == 5
    assert image_file.digest(np.asfortranarray(IMAGES), LABELS) == DIGEST


def test_maps_come_back_with_what_they_say_of_themselves(tmp_path):
    header, maps = target_file.read(written(tmp_path, "maps"), TRAIN)
    assert header == HEADER and np.array_equal(maps, MAPS) and maps.dtype == np.float32


def test_maps_are_read_in_chunks_of_consecutive_rows(tmp_path):
    with target_file.opened(written(tmp_path, "maps")) as (header, maps):
        parts = list(target_file.chunks(maps, 4))
    assert header == HEADER and [list(rows) for rows, _ in parts] == [[0, 1, 2, 3], [4, 5]]
    assert np.array_equal(np.concatenate([part for _, part in parts]), MAPS)


def test_maps_are_readable_with_h5py_alone(tmp_path):
    with h5py.File(written(tmp_path, "maps"), "r") as file:
        assert np.array_equal(file["train/maps"][4], MAPS[4])
        assert json.loads(file.attrs["provenance"])["teacher"] == {"name": "R"} and file.attrs["kind"] == b"maps"


def test_each_step_adds_its_settings_to_the_provenance_and_may_rename():
    after = HEADER.after("threshold", {"phi": 1.0})
    assert after == replace(HEADER, provenance={**HEADER.provenance, "threshold": {"phi": 1.0}})
    assert after.after("permute", {"fraction": 0.5}, "R_smoothgrad_perm50").name == "R_smoothgrad_perm50"
    assert "threshold" not in HEADER.provenance


def test_outcomes_come_back_with_every_radius_and_every_record(tmp_path):
    """Records by what they are, then by radius, probes in their order."""
    found = outcome_file.read(written(tmp_path, "radii"))
    for name in ("dataset", "row", "seed", "images_digest", "settings"):
        assert getattr(found, name) == getattr(OUTCOMES, name)
    assert all(np.array_equal(getattr(found, name), getattr(OUTCOMES, name)) for name in ("rows", "labels", "clean"))
    assert found.clean.dtype == bool and list(found.radii) == ["l2", "linf"] and len(found.records) == 14
    for norm, radius in found.radii.items():
        assert radius.radius.dtype == np.float32 and radius.telemetry.keys() == {"held", "reach"}
        np.testing.assert_array_equal(radius.radius, LENGTHS[norm])
        assert radius.found_by.tolist() == FOUND_BY[norm].tolist() and np.array_equal(radius.reach, REACH["reach"])
        np.testing.assert_array_equal(radius.telemetry["held"], TELEMETRY["held"])
    for record, expected in zip(found.records, RECORDS, strict=True):
        assert record.correct.dtype == bool and np.array_equal(record.correct, expected.correct)
        assert record.telemetry.keys() == expected.telemetry.keys() and np.array_equal(record.asked, expected.asked)
        plain = {"correct": None, "telemetry": {}, "asked": None}
        assert replace(record, **plain) == replace(expected, **plain)


def test_an_image_stands_where_its_radius_is_larger():
    """At the radius itself it has fallen, rounding of float32 included."""
    strict = {epsilon: OUTCOMES.strict("linf", epsilon) for epsilon in (0.05, 0.0625, 0.25 - 1e-7, 0.3)}
    assert [record.correct[0].tolist() for record in strict.values()] == [
        [True, False, True, True],
        [False, False, True, True],
        [False, False, False, True],
        [False, False, False, True],
    ]
    assert strict[0.05].accuracy == 0.75 and (strict[0.05].semantics, strict[0.05].attack) == ("strict", "search")
    assert RADII["l2"].capped.tolist() == [0.5, 0.0, 3.5, 2.25]


def test_outcomes_of_an_earlier_version_are_to_be_made_anew(tmp_path):
    path = tmp_path / "old.h5"
    with h5.writing(path, "outcomes") as file:
        file["clean"] = CLEAN
    with pytest.raises(InputError, match="expected a radii file at .*old.h5, found kind 'outcomes' of an earlier version; make it anew"):
        outcome_file.read(path)


def test_a_record_is_a_mean_over_runs_or_the_worst_case_over_them():
    correct = np.array([[True, True, False, True], [True, False, False, True]])
    assert Record("paper", "pgd", "l2", 1.0, "mean", correct).accuracy == 5 / 8
    assert Record("strict", "pgd", "l2", 1.0, "worst", correct).accuracy == 2 / 4
    assert Record("paper", "pgd", "l2", 1.0, "mean", correct).per_image.tolist() == [1, 0.5, 0, 1]
    asked = np.array([True, True, True, False])
    assert Record("strict", "pgd", "l2", 1.0, "worst", correct, asked=asked).accuracy == 1 / 3


def test_gradients_come_back_with_or_without_their_own_targets(tmp_path):
    seed, rows, found = gradient_file.read(written(tmp_path, "gradients"))
    assert seed == 1 and np.array_equal(rows, np.arange(6)) and set(found) == set(GRADIENTS)
    for name, expected in GRADIENTS.items():
        for key, values in vars(expected).items():
            assert np.array_equal(getattr(found[name], key), values) if values is not None else getattr(found[name], key) is None


# Complete or absent


@every_kind
def test_a_file_written_twice_has_the_same_bytes(tmp_path, kind):
    """So that a cache keyed by content recognises it; a second apart, lest a time stamp hide."""
    WRITERS[kind](tmp_path / "first.h5")
    time.sleep(1.05)
    WRITERS[kind](tmp_path / "again.h5")
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_a_writer_that_raises_leaves_neither_file_nor_part(tmp_path):
    with pytest.raises(ZeroDivisionError), h5.writing(tmp_path / "new" / "file.h5", "maps") as file:
        file["maps"] = MAPS
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.h5.part"]
        raise ZeroDivisionError
    assert list((tmp_path / "new").iterdir()) == []


def test_a_writer_that_raises_keeps_the_file_that_was_there(tmp_path):
    path = written(tmp_path, "maps")
    before = path.read_bytes()
    with pytest.raises(InputError, match="expected 6 maps, got 4"):
        target_file.write(path, HEADER, MAPS.shape, [MAPS[:4]])
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["file.h5"]


def test_a_new_file_replaces_the_old_one(tmp_path):
    path = written(tmp_path, "maps")
    target_file.write(path, HEADER, MAPS.shape, [2 * MAPS])
    assert np.array_equal(target_file.read(path, TRAIN)[1], 2 * MAPS)


# Refusals of reading


@every_kind
def test_a_missing_file_is_refused(tmp_path, kind):
    refused(kind, tmp_path / "file.h5", f"expected a {kind} file at .*, found nothing there")


@every_kind
def test_a_folder_in_place_of_a_file_is_refused(tmp_path, kind):
    refused(kind, tmp_path, f"expected a {kind} file at .*, found nothing there")


@every_kind
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, kind, share):
    path = written(tmp_path, kind)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(kind, path, "is not a readable HDF5 file")


@every_kind
def test_a_file_of_another_format_is_refused(tmp_path, kind):
    path = tmp_path / "file.h5"
    path.write_bytes(b"PK\x03\x04" + bytes(5000))
    refused(kind, path, "is not a readable HDF5 file")


@every_kind
def test_a_file_of_another_kind_is_refused(tmp_path, kind):
    for other in set(WRITERS) - {kind}:
        refused(kind, written(tmp_path, other), f"expected a {kind} file at .*, found kind '{other}'")


@every_kind
def test_a_foreign_hdf5_file_is_refused(tmp_path, kind):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["maps"] = MAPS
    refused(kind, tmp_path / "file.h5", f"expected a {kind} file at .*, found kind None")


@every_kind
@pytest.mark.parametrize("change", ["absent", "false"])
def test_an_incomplete_file_is_refused(tmp_path, kind, change):
    path = written(tmp_path, kind)
    with edited(path) as file:
        if change == "absent":
            del file.attrs["complete"]
        else:
            file.attrs["complete"] = False
    refused(kind, path, "is incomplete: its writer was stopped before the end")


@every_kind
@pytest.mark.parametrize("step, advice", [(-1, "make it anew"), (1, "it needs a newer version of this project")])
def test_another_schema_is_refused(tmp_path, kind, step, advice):
    path, reads = written(tmp_path, kind), {"maps": target_file.VERSION}.get(kind, h5.SCHEMA_VERSION)
    with edited(path) as file:
        file.attrs["schema_version"] = reads + step
    refused(kind, path, f"has schema version {reads + step}, this code reads {reads}; {advice}")


@pytest.mark.parametrize(
    "kind, dataset",
    [
        ("images", "train/labels"),
        ("images", "train/images"),
        ("images", "train/source_rows"),
        ("maps", "train/maps"),
        ("maps", "train/row_digests"),
        ("radii", "clean"),
        ("radii", "telemetry/l2/reach"),
        ("gradients", "rows"),
        ("gradients", "models/NR/label_norm"),
    ],
)
def test_a_missing_dataset_is_named(tmp_path, kind, dataset):
    path = written(tmp_path, kind)
    with edited(path) as file:
        del file[dataset]
    refused(kind, path, f"has no dataset '{dataset.split('/')[-1]}'")


def test_a_missing_or_unknown_split_is_refused(tmp_path):
    path = tmp_path / "file.h5"
    image_file.write(path, "toy", 4, {"train": SPLITS["train"]})
    with pytest.raises(InputError, match="has no split 'test'"):
        image_file.read(path, "test")
    with pytest.raises(InputError, match="split must be one of train, validation, test, got 'dev'"):
        image_file.read(path, "dev")


def changed(tmp_path: Path, dataset: str, values: np.ndarray) -> Path:
    path = written(tmp_path, "images")
    with h5py.File(path, "r+") as file:
        del file[dataset]
        file[dataset] = values
    return path


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_out_of_range_are_refused_when_written_and_when_read(tmp_path, label):
    wrong = np.array([0, 3, 1, label, 3, 0])
    refused("images", changed(tmp_path, "train/labels", wrong), r"labels must lie in 0\.\.3, got ")
    with pytest.raises(InputError, match=r"split train: labels must lie in 0\.\.3"):
        image_file.write(tmp_path / "new.h5", "toy", 4, {"train": (IMAGES, wrong, np.arange(6))})
    assert not (tmp_path / "new.h5").exists()


@pytest.mark.parametrize(
    "images, labels, sentence",
    [
        (IMAGES[:, 0], LABELS, r"images must be \(N, C, H, W\) uint8, got \(6, 3, 3\) uint8"),
        (IMAGES / 255, LABELS, r"images must be \(N, C, H, W\) uint8, got \(6, 2, 3, 3\) float64"),
        (IMAGES, LABELS[:5], "6 images but 5 labels"),
        (IMAGES[:0], LABELS[:0], "it must not be empty"),
    ],
)
def test_splits_that_are_not_images_with_labels_are_refused(tmp_path, images, labels, sentence):
    with pytest.raises(InputError, match=sentence):
        image_file.write(tmp_path / "file.h5", "toy", 4, {"train": (images, labels, np.arange(len(labels)))})
    path = changed(tmp_path, "train/images", images)
    with h5py.File(path, "r+") as file:
        del file["train/labels"]
        file["train/labels"] = labels
    refused("images", path, sentence)


@pytest.mark.parametrize("labels", [LABELS + 0.5, LABELS[:, None]], ids=["fractional", "two-dimensional"])
def test_labels_that_are_not_a_list_of_integers_are_refused(tmp_path, labels):
    with pytest.raises(InputError, match="labels"):
        image_file.write(tmp_path / "file.h5", "toy", 4, {"train": (IMAGES, labels, np.arange(6))})


def test_as_many_source_rows_as_images_are_wanted(tmp_path):
    with pytest.raises(InputError, match="source"):
        image_file.write(tmp_path / "file.h5", "toy", 4, {"train": (IMAGES, LABELS, np.arange(5))})


@pytest.mark.parametrize("dataset", ["train/images", "train/labels"])
def test_pixels_or_labels_that_no_longer_fit_their_digest_are_refused(tmp_path, dataset):
    """The digest is what ties maps and outcomes to images; it must be that of the images in the file."""
    path = written(tmp_path, "images")
    with h5py.File(path, "r+") as file:
        file[dataset][...] = file[dataset][...][::-1]
    refused("images", path, "digest")


def test_maps_of_other_images_are_refused(tmp_path):
    path = written(tmp_path, "maps")
    with pytest.raises(InputError, match=f"was made from other images .digest {DIGEST[:12]}, the train split has 000000000000"):
        target_file.read(path, replace(TRAIN, digest="0" * 64))


def test_maps_of_another_shape_are_refused(tmp_path):
    target_file.write(tmp_path / "file.h5", HEADER, (6, 1, 3, 3), [MAPS[:, :1]])
    refused("maps", tmp_path / "file.h5", r"has maps of shape \(6, 1, 3, 3\), the train images have \(6, 2, 3, 3\)")


def test_fewer_maps_than_train_images_are_refused(tmp_path):
    target_file.write(tmp_path / "file.h5", HEADER, (5, *SHAPE), [MAPS[:5]])
    refused("maps", tmp_path / "file.h5", "has 5 maps, fewer than the 6 train images")


def test_more_maps_than_train_images_are_refused(tmp_path):
    target_file.write(tmp_path / "file.h5", HEADER, (7, *SHAPE), [MAPS, MAPS[:1]])
    refused("maps", tmp_path / "file.h5", r"has maps of shape \(7, 2, 3, 3\)")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_maps_that_are_not_finite_are_not_written(tmp_path, value):
    wrong = MAPS.copy()
    wrong[5, 0, 0, 0] = value
    with pytest.raises(InputError, match="maps must be finite, rows 4 to 5 are not"):
        target_file.write(tmp_path / "new.h5", HEADER, MAPS.shape, [wrong[:4], wrong[4:]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "chunks",
    [[MAPS[:4]], [MAPS, MAPS[:1]], [MAPS[:, :1]], [MAPS[:, :, :2, :2]]],
    ids=["too few", "too many", "one channel", "smaller"],
)
def test_maps_that_do_not_add_up_to_the_announced_shape_are_refused(tmp_path, chunks):
    with pytest.raises(InputError, match="expected"):
        target_file.write(tmp_path / "file.h5", HEADER, MAPS.shape, chunks)
    assert list(tmp_path.iterdir()) == []


def test_files_and_parameters_can_be_read_without_torch():
    """Its import takes seconds, and the report needs none of it."""
    modules = "lib.base.h5, lib.base.image_file, lib.base.params, lib.evaluation.threats, lib.evaluation.outcome_file"
    modules += ", lib.targets.target_file, lib.gradients.gradient_file, lib.gate, lib.targets.transforms, lib.studies.presets"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
