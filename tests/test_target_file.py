"""A target file gives back what was written or says in one sentence what is wrong with it; the bytes depend on the maps alone."""

import hashlib
import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base import h5, image_file
from lib.base.errors import InputError
from lib.base.image_file import Split
from lib.targets import target_file
from lib.targets.target_file import Header, Place

random = np.random.default_rng(0)
MAPS = random.standard_normal((5, 1, 2, 3)).astype(np.float32)
HEADER = Header("toy", "a" * 64, "R_simple", {"teacher": {"name": "R", "accuracy": {"clean": 0.5}}, "saliency": {"method": "simple"}})
TRAIN = Split("toy", np.zeros(MAPS.shape, np.uint8), np.zeros(5, np.int64), np.arange(5), 2, "a" * 64)


def written(folder: Path, maps: np.ndarray = MAPS, chunk: int = 5, **place: int) -> Path:
    folder.mkdir(exist_ok=True)
    parts = [maps[first : first + chunk] for first in range(0, len(maps), chunk)]
    target_file.write(folder / "maps.h5", HEADER, maps.shape, parts, Place(**place) if place else None)
    return folder / "maps.h5"


def sentence_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        target_file.read(path, TRAIN)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


# The same bytes


@given(st.integers(1, 6))
def test_how_the_maps_are_cut_into_chunks_changes_no_byte(tmp_path_factory, chunk):
    folder = tmp_path_factory.mktemp("chunks")
    assert written(folder / "one").read_bytes() == written(folder / "other", chunk=chunk).read_bytes()


def test_neither_time_nor_user_nor_place_nor_umask_changes_a_byte(tmp_path):
    """One process writes as somebody else, in another time zone and years later by its environment, as far as a program can see."""
    path = written(tmp_path / "here")
    code = """
import os, time, sys
from pathlib import Path
from tests.test_target_file import written
os.umask(0o077)
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
time.time = lambda: 2e9
written(Path(sys.argv[1]))
"""
    there = Path(tempfile.mkdtemp())  # below no folder that only this user may enter
    there.chmod(0o777)
    environment = os.environ | {"TZ": "Pacific/Auckland", "USER": "somebody", "LANG": "C", "PYTHONDONTWRITEBYTECODE": "1"}
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code, str(there)], env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (there / "maps.h5").read_bytes() == path.read_bytes()
    shutil.rmtree(there)


def test_digests_can_be_computed_with_hashlib_alone(tmp_path):
    with h5py.File(written(tmp_path), "r") as file:
        rows = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in MAPS]
        assert file["train/row_digests"][:].tobytes() == b"".join(rows)
        digest = hashlib.sha256(b"[5, 1, 2, 3]" + b"".join(rows)).hexdigest()
        assert file["train"].attrs["digest"].decode() == digest
        told = {"dataset": "toy", "images_digest": "a" * 64, "name": "R_simple", "provenance": HEADER.provenance}
        told |= {"first_row": 0, "rows": 5, "digest": digest}
        assert file.attrs["header_digest"].decode() == hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def test_the_content_digest_names_the_maps_and_not_who_made_them(tmp_path):
    shapes = [MAPS, MAPS.reshape(5, 1, 3, 2), MAPS[::-1], MAPS[:4], MAPS + np.float32(1e-7)]
    found = [target_file.content_digest(maps.shape, target_file.row_digests(maps)) for maps in shapes]
    assert len(set(found)) == 5
    other = target_file.write(tmp_path / "a.h5", Header("toy", "b" * 64, "mine", {}), MAPS.shape, [MAPS])
    assert other == target_file.write(tmp_path / "b.h5", HEADER, MAPS.shape, [MAPS]) == found[0]
    assert (tmp_path / "a.h5").read_bytes() != (tmp_path / "b.h5").read_bytes()


def test_digests_do_not_depend_on_the_memory_that_maps_lie_in():
    for same in (np.asfortranarray(MAPS), MAPS.astype(np.float64), MAPS.astype(">f4"), np.repeat(MAPS, 2, 0)[::2]):
        assert np.array_equal(target_file.row_digests(same), target_file.row_digests(MAPS))


# Damage


def test_no_flipped_byte_goes_unnoticed(tmp_path):
    """Every fifth byte of the maps and digests, every thirteenth of the rest: refused in a sentence, or read as it was written."""
    path = written(tmp_path)
    whole, refused, harmless = path.read_bytes(), 0, 0
    with h5py.File(path, "r") as file:
        start, digests = (file[f"train/{name}"].id.get_offset() for name in ("maps", "row_digests"))
    everywhere = {*range(start, start + MAPS.nbytes, 5), *range(digests, digests + 16 * len(MAPS), 5), *range(0, len(whole), 13)}
    for place in sorted(everywhere):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            header, maps = target_file.read(path, TRAIN)
        except InputError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
            if start <= place < start + MAPS.nbytes:
                assert "train/maps" in str(error)
        else:
            harmless += 1
            assert header == HEADER and np.array_equal(maps, MAPS)
            assert not start <= place < start + MAPS.nbytes
    assert refused > 120 and harmless > 0


@pytest.mark.parametrize("key, value", [("name", "NR_simple"), ("dataset", "other"), ("provenance", "{}"), ("provenance", "no JSON")])
def test_what_the_file_says_of_itself_cannot_be_edited_unnoticed(tmp_path, key, value):
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs[key] = value
    assert "was changed after it was written" in sentence_of(path) or "not valid JSON" in sentence_of(path)


def test_permuted_rows_are_named(tmp_path):
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        file["train/maps"][...] = MAPS[[0, 1, 4, 3, 2]]
    assert "train/maps, row 2 is the map of row 4: rows were permuted" in sentence_of(path)


def test_permuted_rows_with_their_digests_do_not_fit_the_digest_of_the_set(tmp_path):
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        for name in ("maps", "row_digests"):
            file[f"train/{name}"][...] = file[f"train/{name}"][...][::-1]
    assert "dataset train/row_digests was changed" in sentence_of(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_though_their_digests_fit(tmp_path, value, monkeypatch):
    wrong = MAPS.copy()
    wrong[3, 0, 1, 1] = value
    with monkeypatch.context() as patch:
        patch.setattr(np, "isfinite", np.ones_like)
        path = written(tmp_path, wrong)
    assert "dataset train/maps holds values that are not finite" in sentence_of(path)


def test_a_map_is_checked_when_it_is_read_and_only_then(tmp_path):
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        file["train/maps"][4, 0, 0, 0] += 1
    with target_file.opened(path) as (_, maps):
        assert np.array_equal(maps[0:4], MAPS[:4]) and np.array_equal(maps[np.array([1, 3])], MAPS[[1, 3]])
        with pytest.raises(InputError, match="row 4 was changed after it was written"):
            maps[np.array([0, 4])]


# Shards


def test_a_shard_is_no_target_set(tmp_path):
    path = written(tmp_path, MAPS[:2], first=1, total=5)
    assert "is a shard, rows 1 to 2 of 5; merge all shards first" in sentence_of(path)
    with target_file.opened(path, shard=True) as (header, maps):
        assert header == HEADER and maps.place == Place(1, 5)
        assert [list(rows) for rows, _ in target_file.chunks(maps, 1)] == [[1], [2]]


@pytest.mark.parametrize("first, total", [(4, 5), (-1, 5), (0, 1)])
def test_rows_beyond_the_split_are_not_written(tmp_path, first, total):
    with pytest.raises(InputError, match="are not all among the"):
        written(tmp_path / "new", MAPS[:2], first=first, total=total)
    assert list((tmp_path / "new").iterdir()) == []


# Nothing but numbers, and all of them in this file


def replaced(path: Path, make) -> Path:
    """The file with `train/maps` replaced by what `make(group)` puts there."""
    with h5py.File(path, "r+") as file:
        del file["train/maps"]
        make(file["train"])
    return path


def external_storage(group: h5py.Group) -> None:
    (Path(group.file.filename).parent / "raw.bin").write_bytes(MAPS.tobytes())
    group.create_dataset("maps", MAPS.shape, "<f4", external=[("raw.bin", 0, MAPS.nbytes)])


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout(MAPS.shape, "<f4")
    layout[...] = h5py.VirtualSource("other.h5", "maps", MAPS.shape)
    group.create_virtual_dataset("maps", layout)


def put(value: object):
    def make(group: h5py.Group) -> None:
        group["maps"] = value

    return make


def pickled(group: h5py.Group) -> None:
    group["maps"] = np.frombuffer(pickle.dumps(print), "V1")


FOREIGN = {
    "soft link": (put(h5py.SoftLink("/elsewhere")), "train/maps is a soft link"),
    "external link": (put(h5py.ExternalLink("other.h5", "/maps")), "train/maps is a link to another file"),
    "external storage": (external_storage, "train/maps keeps its data in other files"),
    "virtual": (virtual, "train/maps keeps its data in other files"),
    "text": (lambda group: group.create_dataset("maps", data=["a"] * 5, dtype=h5py.string_dtype()), "train/maps holds object"),
    "compound": (put(np.zeros(5, [("a", "f4"), ("b", "f4")])), "train/maps holds .*'a'"),
    "opaque": (pickled, r"train/maps holds [|]V1"),
    "named type": (put(np.dtype("f4")), "train/maps is a named type"),
    "integers": (put(np.zeros(MAPS.shape, np.int32)), r"must be \(n, C, H, W\) float32, got .* int32"),
    "float64": (put(MAPS.astype(np.float64)), "float32, got .* float64"),
    "flat": (put(MAPS.reshape(5, 6)), r"float32, got \(5, 6\)"),
    "never written": (
        lambda group: group.create_dataset("maps", (2**33, 1, 2, 3), "<f4"),
        "stored whole and unfiltered, 206158430208 bytes",
    ),
    "compressed": (lambda group: group.create_dataset("maps", data=MAPS * 0, compression="gzip"), "stored whole and unfiltered, 120 bytes"),
    "fewer": (put(MAPS[:4]), r"row_digests must be \(4, 16\) uint8"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_plain_dataset_is_refused(tmp_path, case):
    make, sentence = FOREIGN[case]
    path = replaced(written(tmp_path), make)
    with pytest.raises(InputError, match=sentence):
        target_file.read(path, TRAIN)


def test_links_and_references_anywhere_in_a_file_are_refused(tmp_path):
    """Also where no reader would look, and in files of every kind."""
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        file["more/notes"] = h5py.ExternalLink("/etc/passwd", "/")
    assert "more/notes is a link to another file" in sentence_of(path)
    with h5py.File(path, "r+") as file:
        del file["more"]
        file["train"].attrs["see"] = file["train"].ref
    assert "has an attribute 'see' of type object, expected text or numbers" in sentence_of(path)
    images = tmp_path / "images.h5"
    image_file.write(images, "toy", 2, {"train": (np.zeros((2, 1, 2, 2), np.uint8), np.array([0, 1]), np.arange(2))})
    with h5py.File(images, "r+") as file:
        file["validation"] = h5py.SoftLink("/train")
    with pytest.raises(InputError, match="validation is a soft link"):
        image_file.read(images, "train")


# Reading where others write, and where nobody may


def test_a_file_in_a_read_only_folder_is_read_and_left_as_it_is(tmp_path):
    path = written(tmp_path / "shared")
    before = path.read_bytes()
    path.chmod(stat.S_IRUSR)
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert np.array_equal(target_file.read(path, TRAIN)[1], MAPS)
    finally:
        path.parent.chmod(0o755)
    assert path.read_bytes() == before and [one.name for one in path.parent.iterdir()] == ["maps.h5"]


def test_a_lock_that_somebody_else_holds_keeps_no_reader_out(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    path = written(tmp_path)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert np.array_equal(target_file.read(path, TRAIN)[1], MAPS)


def test_attributes_that_are_missing_are_named(tmp_path):
    for key in ("dataset", "name", "provenance", "header_digest"):
        path = written(tmp_path / key)
        with h5py.File(path, "r+") as file:
            del file.attrs[key]
        assert f"/ has no attribute '{key}'" in sentence_of(path)
    with (
        h5.reading(written(tmp_path), target_file.KIND, target_file.VERSION) as file,
        pytest.raises(InputError, match="has no dataset 'x'"),
    ):
        h5.dataset(file, "x", tmp_path)
