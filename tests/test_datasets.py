"""Splits are disjoint, stratified and seeded; official test images stay test images; what is missing is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base import image_file
from lib.base.errors import InputError
from lib.datasets import SOURCES, Data, Source, choose_rows, class_shares, interleave, mnist5k, prepare, split_rows

DATA = Data("mnist5k", None, None, train=60, validation=20, test=40, seed=0)
class_sizes = st.lists(st.integers(1, 40), min_size=2, max_size=8)


@pytest.fixture(scope="module")
def digits() -> Source:
    return mnist5k(DATA)


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
    classes, splits = prepare(DATA)
    assert classes == 10
    for name, (images, labels, rows) in splits.items():
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
        ({"dataset": "imagefolder", "root": "x", "image_size": 0}, "image_size must be null or positive, got 0"),
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
    _, splits = prepare(Data("mnist", str(mnist_root), None, train=40, validation=20, test=10, seed=1))
    for name, (images, labels, rows) in splits.items():
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
    with pytest.raises(InputError, match=f"expected in {tmp_path} the folder {folder}.* it is missing or damaged"):
        prepare(Data(dataset, str(tmp_path), None, 10, 10, 10, 0))
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_refused(mnist_root):
    path = mnist_root / "MNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="it is missing or damaged"):
        prepare(Data("mnist", str(mnist_root), None, 40, 20, 10, 0))


def test_a_failed_download_says_what_to_put_where(tmp_path, monkeypatch):
    import torchvision.datasets

    def unreachable(self) -> None:
        raise OSError("no route to host")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", unreachable)
    with pytest.raises(InputError, match="expected in data/raw the folder cifar-10-batches-py.*could not be downloaded: no route to host"):
        prepare(Data("cifar10", None, None, 10, 10, 10, 0))


def test_cifar_images_have_their_channels_first(monkeypatch):
    import torchvision.datasets

    class Tiny:
        def __init__(self, root: Path, train: bool, download: bool) -> None:
            self.classes = ["cat", "dog"]
            start = 0 if train else 50
            self.data = np.zeros((20, 4, 5, 3), np.uint8)
            self.data[:, 1, 2, :] = start + np.arange(20)[:, None] + np.array([0, 100, 200])
            self.targets = [row % 2 for row in range(20)]

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Tiny)
    classes, splits = prepare(Data("cifar10", "somewhere", None, 8, 6, 10, 0))
    assert classes == 2
    for start, name in ((0, "train"), (0, "validation"), (30, "test")):
        images, labels, rows = splits[name]
        assert images.shape[1:] == (3, 4, 5)
        first = (rows + start) % 256
        assert images[:, :, 1, 2].tolist() == [[row, row + 100, (row + 200) % 256] for row in first]
        assert labels.tolist() == (rows % 2).tolist()
