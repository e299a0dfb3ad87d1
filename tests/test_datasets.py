"""Splits are disjoint, stratified and seeded; official test images stay test images; what is missing is named."""

import hashlib
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import ROOT

from lib.base import image_file
from lib.base.errors import InputError
from lib.images.cifar10 import FILES
from lib.images.datasets import SOURCES, Data, available, prepare, split_rows
from lib.images.division import choose_rows, class_shares, interleave
from lib.images.mnist import mnist5k
from lib.images.source import Available, Source

DATA = Data("mnist5k", None, None, train=60, validation=20, test=40, seed=0)
class_sizes = st.lists(st.integers(1, 40), min_size=2, max_size=8)


@pytest.fixture(scope="module")
def digits() -> Source:
    return mnist5k()


@st.composite
def pools(draw: st.DrawFn) -> tuple[np.ndarray, list[int], int]:
    """Class sizes, how many images three splits want of them together at most all, and a seed."""
    sizes = np.array(draw(class_sizes))
    cuts = sorted(draw(st.lists(st.integers(0, int(sizes.sum())), min_size=3, max_size=3)))
    return sizes, [cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]], draw(st.integers(0, 9))


@settings(deadline=None, max_examples=60)
@given(pools())
def test_every_split_has_the_share_of_each_class_rounded_up_or_down(pool):
    sizes, counts, seed = pool
    shares = class_shares(sizes, np.array(counts), np.random.default_rng(seed))
    exact = np.outer(counts, sizes) / sizes.sum()
    assert (np.abs(shares - exact) < 1).all()
    assert shares.sum(1).tolist() == counts
    assert (shares.sum(0) <= sizes).all() and (shares >= 0).all()


@settings(deadline=None, max_examples=60)
@given(pools())
def test_rows_are_disjoint_rows_of_the_pool(pool):
    sizes, counts, seed = pool
    labels = np.repeat(np.arange(len(sizes)), sizes)
    wanted = dict(zip(image_file.SPLITS, counts, strict=True))
    rows = choose_rows(labels, wanted, np.random.default_rng(seed), "pool")
    together = np.concatenate(list(rows.values()))
    assert [len(chosen) for chosen in rows.values()] == counts
    assert len(np.unique(together)) == len(together) == sum(counts)
    assert np.isin(together, np.arange(len(labels))).all()


@settings(deadline=None, max_examples=60)
@given(class_sizes, st.integers(0, 9))
def test_every_prefix_is_nearly_stratified(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = np.split(np.arange(len(labels)), np.cumsum(sizes)[:-1])
    rows = interleave(parts, np.random.default_rng(seed))
    seen = np.cumsum(labels[rows][:, None] == np.arange(len(sizes)), axis=0)
    shares = np.array(sizes) / len(labels)
    exact = np.arange(1, len(labels) + 1)[:, None] * shares
    assert (np.abs(seen - exact) <= (1 + len(sizes) * shares) / 2 + 1e-9).all()


def test_the_first_images_of_the_test_split_have_each_digit_equally_often(digits):
    rows = split_rows(digits, replace(DATA, train=2500, validation=500, test=1500))["test"]
    for first in (10, 100, 1500):
        assert np.bincount(digits.labels[rows[:first]]).tolist() == [first // 10] * 10


def test_rows_depend_on_the_seed_and_on_nothing_else(digits):
    once, again, other = (split_rows(digits, replace(DATA, seed=seed)) for seed in (3, 3, 4))
    for name in image_file.SPLITS:
        assert once[name].tolist() == again[name].tolist()
        assert once[name].tolist() != other[name].tolist()


def test_rows_are_not_in_the_order_of_the_source(digits):
    train = split_rows(digits, DATA)["train"]
    assert np.corrcoef(np.arange(len(train)), train)[0, 1] < 0.5


def test_prepare_returns_the_pixels_and_labels_of_its_rows(digits, monkeypatch):
    monkeypatch.setitem(SOURCES, "mnist5k", lambda data: digits)
    prepared = prepare(DATA)
    assert len(prepared.classes) == 10
    for name, (images, labels, rows) in prepared.splits.items():
        assert images.shape == (getattr(DATA, name), 1, 28, 28) and images.dtype == np.uint8
        assert np.array_equal(images, digits.read(rows))
        assert labels.dtype == np.int64 and labels.tolist() == (rows // 500).tolist()


def test_more_images_than_there_are_is_refused(digits):
    with pytest.raises(InputError, match="data.train . data.validation . data.test ask for 5001 images, mnist5k has 5000"):
        split_rows(digits, replace(DATA, train=4941))


def test_a_class_without_training_images_is_refused(digits):
    with pytest.raises(InputError, match="9 training images leave class '.' without an example"):
        split_rows(digits, replace(DATA, train=9))


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"dataset": "emnist"}, "dataset must be one of mnist5k, mnist, cifar10, imagefolder, got 'emnist'"),
        ({"train": 0}, "train must be a positive number of images, got 0"),
        ({"test": -1}, "test must be a positive number of images, got -1"),
        ({"seed": -1}, "seed must not be negative"),
        ({"image_size": 28}, "image_size is for imagefolder only"),
        ({"dataset": "imagefolder", "root": "x", "image_size": 0}, "image_size must be null or a number of pixels from 1 to 10000, got 0"),
        ({"dataset": "imagefolder"}, "root must name the folder"),
    ],
)
def test_settings_out_of_range_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(DATA, **changes)


def write_idx(path: Path, values: np.ndarray) -> None:
    """The format of the MNIST files: two zero bytes, type 8 (bytes), number of dimensions, big-endian sizes, values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes())


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """60 train and 30 test images of 4x4 pixels, image i filled with i (test: with 100 + i), of class i modulo 10."""
    for part, count, start in (("train", 60, 0), ("t10k", 30, 100)):
        fill = (start + np.arange(count))[:, None, None] * np.ones((1, 4, 4))
        write_idx(tmp_path / f"MNIST/raw/{part}-images-idx3-ubyte", fill)
        write_idx(tmp_path / f"MNIST/raw/{part}-labels-idx1-ubyte", np.arange(count) % 10)
    return tmp_path


def test_official_test_images_come_from_the_official_test_split(mnist_root):
    prepared = prepare(Data("mnist", str(mnist_root), None, train=40, validation=20, test=10, seed=1))
    for name, (images, labels, rows) in prepared.splits.items():
        fill = images[:, 0, 0, 0].astype(int)
        assert (labels == fill % 10).all()
        assert ((fill >= 100) == (name == "test")).all()
        assert (rows == (fill - 40 if name == "test" else fill)).all()


def test_each_official_split_is_a_pool_of_its_own(mnist_root):
    data = Data("mnist", str(mnist_root), None, train=50, validation=11, test=10, seed=1)
    with pytest.raises(InputError, match="data.train . data.validation ask for 61 images, the train split of mnist has 60"):
        prepare(data)
    with pytest.raises(InputError, match="data.test ask for 31 images, the test split of mnist has 30"):
        prepare(replace(data, validation=10, test=31))


@pytest.mark.parametrize("dataset, folder", [("mnist", "MNIST/raw"), ("cifar10", "cifar-10-batches-py")])
def test_missing_files_are_named_and_not_downloaded_where_a_root_is_given(tmp_path, dataset, folder):
    with pytest.raises(InputError, match=f"expected in {tmp_path} the folder {folder}.* it is missing or no file"):
        prepare(Data(dataset, str(tmp_path), None, 10, 10, 10, 0))
    assert list(tmp_path.iterdir()) == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0")


TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@pytest.mark.parametrize(
    "name, damage, sentence",
    [
        (TRAIN, cut, f"{TRAIN} to hold the 60 x 4 x 4 bytes that it says it has, it holds 953$"),
        (TEST_LABELS, lengthened, f"{TEST_LABELS} to hold the 30 bytes that it says it has, it holds 31$"),
        (TEST, lambda path: path.write_bytes(b""), f"{TEST} to be an IDX file of bytes in 3 dimensions, it starts with the bytes of none"),
        (TEST, lambda path: path.write_bytes(path.read_bytes()[:9]), f"{TEST} to hold .* it holds 0$"),
        (TRAIN, lambda path: path.write_bytes(b"\x1f\x8b\x08"), f"{TRAIN} to be an IDX file .* starts with the bytes 1f 8b 08"),
        (
            TRAIN,
            lambda path: write_idx(path, np.zeros((60, 16))),
            f"{TRAIN} to be .* in 3 dimensions, .* 00 00 08 02",
        ),
        (TRAIN_LABELS, lambda path: write_idx(path, np.zeros((60, 1))), f"{TRAIN_LABELS} to be .* in 1 dimension, .* 00 00 08 02"),
        (TEST, lambda path: write_idx(path, np.zeros((30, 4, 5))), "one size, in .* those of train are 4x4, of t10k 5x4"),
        (TEST, lambda path: write_idx(path, np.zeros((0, 4, 4))), f"{TEST} to hold the 0 x 4 x 4 bytes .* it holds 0"),
        (TRAIN_LABELS, lambda path: write_idx(path, np.arange(59) % 10), f"{TRAIN} has 60 images but {TRAIN_LABELS} has 59 labels"),
        (TEST_LABELS, lambda path: write_idx(path, np.arange(31) % 10), f"{TEST} has 30 images but {TEST_LABELS} has 31 labels"),
        (TRAIN_LABELS, lambda path: write_idx(path, 1 + np.arange(60) % 26), "labels 0 to K - 1 .* got 26 from 1 to 26"),
        (TRAIN_LABELS, lambda path: write_idx(path, np.arange(60) % 10 * 2), "labels 0 to K - 1 .* got 10 from 0 to 18"),
        (TRAIN_LABELS, lambda path: write_idx(path, np.zeros(60)), "at least two classes, .* got 1 from 0 to 0"),
        (TEST_LABELS, lambda path: write_idx(path, np.full(30, 11)), f"{TEST_LABELS} has the label .11., which no training image has"),
        (TEST, Path.unlink, f"expected in .* the folder MNIST/raw with the unpacked files .*; {TEST} is missing or no file"),
    ],
)
def test_files_of_mnist_that_are_damaged_or_do_not_match_are_refused_by_name(mnist_root, name, damage, sentence):
    damage(mnist_root / "MNIST/raw" / name)
    with pytest.raises(InputError, match=sentence):
        prepare(Data("mnist", str(mnist_root), None, 40, 20, 10, 0))


@pytest.mark.parametrize("classes", [2, 12])
@pytest.mark.parametrize("shape", [(4, 4), (3, 6)])
def test_the_files_of_mnist_say_how_many_classes_and_pixels_there_are(tmp_path, classes, shape):
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"MNIST/raw/{part}-images-idx3-ubyte", np.arange(48)[:, None, None] * np.ones((1, *shape)))
        write_idx(tmp_path / f"MNIST/raw/{part}-labels-idx1-ubyte", np.arange(48) % classes)
    data = Data("mnist", str(tmp_path), None, 24, 12, 24, 0)
    prepared = prepare(data)
    assert prepared.classes == tuple(map(str, range(classes)))
    for images, labels, rows in prepared.splits.values():
        assert images.shape[1:] == (1, *shape) and (images[:, 0, 2, 3] == rows % 48).all() and (labels == rows % 48 % classes).all()
    assert available(data) == Available(classes, {("train", "validation"): 48, ("test",): 48})


def test_a_failed_download_says_what_to_put_where(tmp_path, monkeypatch):
    import torchvision.datasets

    def unreachable(self) -> None:
        raise OSError("no route to host")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", unreachable)
    with pytest.raises(InputError, match="expected in data/raw the folder cifar-10-batches-py.*could not be downloaded: no route to host"):
        prepare(Data("cifar10", None, None, 10, 10, 10, 0))


@pytest.fixture
def cifar_root(tmp_path, monkeypatch) -> Path:
    """Batches of 20 images, the last for the test; their pixel (1, 2) has the value of the row, plus 100 in green and 200 in blue."""
    import torchvision.datasets

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = np.arange(120).reshape(6, 20)
    pixels = np.zeros((6, 20, 3, 32, 32), np.uint8)
    pixels[..., 1, 2] = rows[..., None] + np.array([0, 100, 200])
    contents: list[dict] = [{"data": some.reshape(20, -1), "labels": (of % 2).tolist()} for some, of in zip(pixels, rows)]
    for name, content in zip(FILES, [*contents, {"label_names": ["cat", "dog"]}]):
        (folder / name).write_bytes(pickle.dumps(content))
    sums = [(name, hashlib.md5((folder / name).read_bytes()).hexdigest()) for name in FILES]
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "train_list", sums[:5])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "test_list", sums[5:6])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "meta", {"filename": FILES[6], "key": "label_names", "md5": sums[6][1]})
    return tmp_path


def test_cifar_images_have_their_channels_first(cifar_root):
    prepared = prepare(Data("cifar10", str(cifar_root), None, 50, 30, 10, 0))
    assert prepared.classes == ("cat", "dog")
    for name, (images, labels, rows) in prepared.splits.items():
        assert images.shape[1:] == (3, 32, 32)
        assert images[:, :, 1, 2].tolist() == [[row, row + 100, (row + 200) % 256] for row in rows.tolist()]
        assert labels.tolist() == (rows % 2).tolist()
        assert ((rows >= 100) == (name == "test")).all()


@pytest.mark.parametrize("name", [FILES[1], FILES[5], FILES[6]])
@pytest.mark.parametrize("damage", [cut, lengthened, Path.unlink])
def test_files_of_cifar_that_are_not_the_published_ones_are_refused_by_name(cifar_root, name, damage):
    damage(cifar_root / "cifar-10-batches-py" / name)
    with pytest.raises(InputError, match=f"{name} is damaged: its MD5 sum is|; {name} is missing or no file"):
        prepare(Data("cifar10", str(cifar_root), None, 50, 30, 10, 0))


def test_what_is_available_is_what_the_sources_have(digits, mnist_root, cifar_root):
    assert available(DATA) == Available(len(digits.classes), {image_file.SPLITS: len(digits.labels)})
    mnist, cifar = (replace(DATA, dataset=name, root=str(root)) for name, root in (("mnist", mnist_root), ("cifar10", cifar_root)))
    assert available(mnist) == Available(10, {("train", "validation"): 60, ("test",): 30})
    assert available(cifar) == Available(10, {("train", "validation"): 50000, ("test",): 10000})


@pytest.mark.parametrize("dataset", ["mnist", "cifar10", "imagefolder"])
def test_of_files_that_are_not_there_nothing_is_said(tmp_path, dataset):
    assert available(replace(DATA, dataset=dataset, root=str(tmp_path / "absent"))) is None


def test_importing_datasets_is_quick_because_it_imports_nothing_large():
    code = "import sys, lib.images.datasets; print(*{name.partition('.')[0] for name in sys.modules})"
    imported = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in imported and not {"scipy", "torch", "torchvision", "PIL", "h5py", "mlxtend"} & set(imported)
