"""One's own folders of images become a dataset, through the library and through the command; unusable ones are refused."""

import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lib.base import image_file
from lib.base.errors import InputError
from lib.images import pictures
from lib.images.datasets import Data, Prepared, available, prepare
from lib.images.imagefolder import imagefolder
from lib.sharing.foreign_models import images
from stages.prepare_data import main

CLASSES = ("cat", "dog")


def picture(path: Path, value: int, size: tuple[int, int] = (6, 6), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, value, value + 1)).save(path)


def class_folders(root: Path, count: int = 6, first: int = 0, **settings) -> Path:
    """`count` images per class; the images of class k have the values 100·k + first, 100·k + first + 1, …"""
    for label, name in enumerate(CLASSES):
        for index in range(count):
            picture(root / name / f"{index}.png", 100 * label + first + index, **settings)
    return root


def folder_data(root: Path, **changes) -> Data:
    return replace(Data("imagefolder", str(root), None, train=6, validation=2, test=4, seed=0), **changes)


def values(prepared: Prepared, split: str) -> np.ndarray:
    return prepared.splits[split][0][:, 0, 0, 0].astype(int)


def read(root: Path, *rows: int) -> np.ndarray:
    return imagefolder(root, None).read(np.array(rows))


def test_class_folders_are_one_pool(tmp_path):
    prepared = prepare(folder_data(class_folders(tmp_path)))
    assert prepared.classes == CLASSES
    assert prepared.splits["train"][0].shape == (6, 1, 6, 6)
    assert sorted(np.concatenate([values(prepared, split) for split in image_file.SPLITS])) == [*range(6), *range(100, 106)]
    for name, (_, labels, rows) in prepared.splits.items():
        assert labels.tolist() == (values(prepared, name) // 100).tolist()
        assert (rows == values(prepared, name) % 100 + 6 * labels).all()


@pytest.mark.parametrize(
    "folders",
    [
        {"train": "train", "test": "test"},
        {"train": "Train", "test": "TEST"},
        {"train": "training_set", "test": "test_set"},
        {"train": "digits-train", "test": "digits-test"},
        {"train": "TrainImages", "test": "testing"},
        {"train": "train", "validation": "val"},
        {"train": "train2017", "validation": "val2017"},
        {"train": "train", "validation": "valid", "test": "test"},
        {"train": "Training", "validation": "Validation", "test": "Testing"},
    ],
)
def test_folders_named_after_splits_are_what_their_names_say(tmp_path, folders):
    """The images of train have values from 0, of validation from 20, of test from 40; what has no folder comes from train."""
    firsts = {"train": 0, "validation": 20, "test": 40}
    for split, name in folders.items():
        class_folders(tmp_path / name, count=12, first=firsts[split])
    data = folder_data(tmp_path)
    prepared = prepare(data)
    assert prepared.classes == CLASSES
    for split in image_file.SPLITS:
        assert set(values(prepared, split) % 100 // 20) == {firsts[split if split in folders else "train"] // 20}
    assert not set(values(prepared, "train")) & (set(values(prepared, "validation")) | set(values(prepared, "test")))
    shared = tuple(split for split in image_file.SPLITS if split == "train" or split not in folders)
    assert available(data).pools == {shared: 24} | {(split,): 24 for split in folders if split != "train"}
    assert all(f"the folder of {split} is {name!r}" in prepared.remarks for split, name in folders.items())


@pytest.mark.parametrize("names", [("bus", "train"), ("train", "plane", "boat"), ("test_tube", "beaker"), ("valid", "invalid")])
def test_a_class_may_be_called_like_a_split(tmp_path, names):
    for name in names:
        picture(tmp_path / name / "0.png", 1)
    assert imagefolder(tmp_path, None).classes == tuple(sorted(names))


@pytest.mark.parametrize(
    "names",
    [
        ("train", "training", "test"),
        ("train", "eval"),
        ("val", "test"),
        ("train", "test_a"),
        ("train", "test_a", "test_b"),
        ("train", "test", "train_masks", "test_masks"),
        ("cat_train", "cat_test", "dog_train", "dog_test"),
    ],
)
def test_folders_that_may_be_several_splits_are_refused(tmp_path, names):
    for name in names:
        class_folders(tmp_path / name, count=1)
    with pytest.raises(InputError, match=f"{tmp_path} has the folders '.*'; call one of them train, at most one validation"):
        imagefolder(tmp_path, None)


def test_splits_inside_of_classes_are_refused(tmp_path):
    for name in CLASSES:
        class_folders(tmp_path / name / "train")
        class_folders(tmp_path / name / "test")
    with pytest.raises(InputError, match="class folder .*/cat has the folders 'train', 'test'; put the class folders into"):
        imagefolder(tmp_path, None)


@pytest.mark.parametrize("name, difference", [("eel", "also 'eel'"), (None, "without 'dog'"), ("Dog", "without 'dog' and also 'Dog'")])
def test_splits_must_have_the_same_classes(tmp_path, name, difference):
    class_folders(tmp_path / "train")
    class_folders(tmp_path / "test")
    if name != "eel":
        (tmp_path / "test/dog").rename(tmp_path / "dog")
    if name:
        picture(tmp_path / "test" / name / "0.png", 1)
    with pytest.raises(InputError, match=f"test must have the same classes as .*train, got it {difference}$"):
        prepare(folder_data(tmp_path))


def test_only_the_chosen_images_are_decoded(tmp_path):
    class_folders(tmp_path)
    data = folder_data(tmp_path, train=2, validation=2, test=2)
    chosen = prepare(data)
    rows = np.concatenate([rows for _, _, rows in chosen.splits.values()])
    for row in set(range(12)) - set(rows.tolist()):
        (tmp_path / CLASSES[row // 6] / f"{row % 6}.png").write_bytes(b"no image")
    again = prepare(data)
    assert all(np.array_equal(again.splits[name][0], chosen.splits[name][0]) for name in chosen.splits)


def litter(root: Path) -> list[str]:
    """Put among the class folders of `root` what systems and people leave there; what is said about each."""
    picture(root / ".ipynb_checkpoints" / "0-checkpoint.png", 77)
    picture(root / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png", 77)
    picture(root / "__MACOSX" / "cat" / "0.png", 77)
    picture(root / "stray.png", 77)
    picture(root / "dog" / "inner" / "deep.png", 111)
    (root / "dog" / "twin.png").symlink_to(root / "dog" / "inner" / "deep.png")
    for name in ("cat/._0.png", ".DS_Store", "cat/Thumbs.db", "cat/a.txt", "dog/b.TXT", "labels.csv", "dog/0001"):
        (root / name).write_bytes(b"no image")
    os.mkfifo(root / "dog" / "pipe.png")
    return [
        "skipped hidden or system files and folders: 6 ('.DS_Store', '.ipynb_checkpoints', '__MACOSX' and 3 more)",
        "skipped files of type .txt: 2 ('cat/a.txt', 'dog/b.TXT')",
        "skipped files of type .csv: 1 ('labels.csv')",
        "skipped files without a type in their name: 1 ('dog/0001')",
        "skipped images outside of class folders: 1 ('stray.png')",
        "skipped, neither files nor folders: 1 ('dog/pipe.png')",
        "images in inner folders, which count as of the class folder around them: 1 ('dog/inner/deep.png')",
        "pictures of test that are in train too: 1",
    ]


def test_what_lies_among_the_images_is_skipped_and_said(tmp_path):
    said = litter(class_folders(tmp_path))
    prepared = prepare(folder_data(tmp_path, train=8, seed=3))
    seen = np.concatenate([values(prepared, split) for split in image_file.SPLITS])
    assert sorted(seen) == [*range(6), *range(100, 106), 111, 111]
    assert set(prepared.remarks) >= set(said)


def test_folders_beside_splits_are_said(tmp_path):
    for name in ("train", "val", "unlabelled"):
        class_folders(tmp_path / name)
    assert "skipped folders beside train and val: 1 ('unlabelled')" in imagefolder(tmp_path, None).remarks


def test_one_colour_image_makes_all_have_three_channels(tmp_path):
    class_folders(tmp_path)
    picture(tmp_path / "cat" / "0.png", 7, mode="RGB")
    source = imagefolder(tmp_path, None)
    assert source.read(np.array([0, 11]))[:, :, 0, 0].tolist() == [[7, 7, 8], [105, 105, 105]]
    assert source.remarks == ["grey images among colour ones have three equal channels: 1"]


def test_different_sizes_are_refused_unless_resized(tmp_path):
    class_folders(tmp_path)
    picture(tmp_path / "cat" / "3.png", 3, size=(8, 6))
    with pytest.raises(InputError, match="one size, but .* is 6x6 pixels, .*/cat/3.png is 8x6; set data.image_size"):
        prepare(folder_data(tmp_path))
    assert prepare(folder_data(tmp_path, image_size=4)).splits["train"][0].shape == (6, 1, 4, 4)


def test_images_that_do_not_fit_into_memory_are_refused_after_the_first(tmp_path, monkeypatch):
    class_folders(tmp_path, size=(30, 20))
    (tmp_path / "cat/1.png").write_bytes(b"no image")
    monkeypatch.setattr(pictures, "memory", lambda: 2 * 12 * 600)
    with pytest.raises(InputError, match="12 images of 30x20 pixels take 0 GiB of memory, this machine has less; set data.image_size"):
        read(tmp_path, *range(12))


def test_resizing_takes_the_centred_square(tmp_path):
    class_folders(tmp_path)
    wide = np.zeros((4, 16), np.uint8)
    wide[:, 2:14] = 200  # wider than the square, because the bicubic filter looks a little beyond its edge
    Image.fromarray(wide).save(tmp_path / "cat" / "0.png")
    assert (imagefolder(tmp_path, 2).read(np.array([0])) == 200).all()


PIXELS = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3) * 2
COLOUR, GREY = Image.fromarray(PIXELS), Image.fromarray(PIXELS[..., 0])
SHAPE = Image.fromarray(np.eye(6, 5, dtype=np.uint8) * 255)


def with_alpha(image: Image.Image, alpha: Image.Image | int) -> Image.Image:
    whole = image.copy()
    whole.putalpha(alpha)
    return whole


@pytest.mark.parametrize(
    "name, image, settings",
    [
        ("a.png", COLOUR, {}),
        ("a.PNG", COLOUR.quantize(256), {}),
        ("a.bmp", COLOUR, {}),
        ("a.ppm", COLOUR, {}),
        ("a.tiff", COLOUR, {"compression": "tiff_lzw"}),
        ("a.webp", COLOUR, {"lossless": True}),
        ("a.gif", COLOUR.quantize(256), {}),
        ("opaque.png", with_alpha(COLOUR, 255), {}),
        ("opaque.webp", with_alpha(COLOUR, 255), {"lossless": True}),
        ("unused.gif", COLOUR.quantize(64), {"transparency": 200}),
        ("unused.png", COLOUR, {"transparency": (1, 2, 3)}),
        ("a.png", GREY, {}),
        ("opaque.png", with_alpha(GREY, 255), {}),
        ("unused.png", GREY, {"transparency": 1}),
        ("a.tif", GREY, {}),
        ("one_bit.png", SHAPE.convert("1"), {}),
        ("one_bit.pbm", SHAPE.convert("1"), {}),
        ("named_wrongly.jpg", COLOUR, {"format": "PNG"}),
    ],
)
def test_what_a_file_says_without_doubt_is_read_to_the_pixel(tmp_path, name, image, settings):
    class_folders(tmp_path, count=1)
    image.save(tmp_path / "cat" / name, **settings)
    (tmp_path / "cat/0.png").unlink()
    expected = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    assert np.array_equal(read(tmp_path, 0)[0], expected[None] if expected.ndim == 2 else expected.transpose(2, 0, 1))


def png(path: Path, size: tuple[int, int], depth: int, content: bytes) -> None:
    """A PNG of RGB as Pillow does not write it: with channels of 16 bits, or larger than its content."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b""))


def frames(path: Path) -> None:
    COLOUR.save(path, save_all=True, append_images=[COLOUR.rotate(180)])


def truncated(path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-900])


UNUSABLE = {
    "ink.png": (lambda path: with_alpha(Image.new("RGB", SHAPE.size), SHAPE).save(path), "has transparent pixels"),
    "grey_ink.png": (lambda path: with_alpha(Image.new("L", SHAPE.size), SHAPE).save(path), "has transparent pixels"),
    "ink.webp": (lambda path: with_alpha(COLOUR, SHAPE).save(path), "has transparent pixels"),
    "ink.tif": (lambda path: with_alpha(COLOUR, SHAPE).save(path), "has transparent pixels"),
    "palette.png": (lambda path: COLOUR.quantize(64).save(path, transparency=3), "has transparent pixels"),
    "palette.gif": (lambda path: COLOUR.quantize(64).save(path, transparency=3), "has transparent pixels"),
    "key.png": (lambda path: COLOUR.save(path, transparency=tuple(map(int, PIXELS[0, 0]))), "has transparent pixels"),
    "moving.gif": (frames, "has 2 frames"),
    "moving.png": (frames, "has 2 frames"),
    "pages.tif": (frames, "has 2 frames"),
    "deep.tif": (lambda path: Image.new("I;16", (6, 5)).save(path), "has the mode I;16"),
    "deep.png": (lambda path: Image.new("I;16", (6, 5)).save(path), "has the mode I;16"),
    "float.tif": (lambda path: Image.new("F", (6, 5)).save(path), "has the mode F"),
    "deep_colour.png": (lambda path: png(path, (2, 1), 16, bytes(13)), "has the mode RGB of 16 bits"),
    "deep.ppm": (lambda path: path.write_bytes(b"P6 1 1 65535\n" + bytes(6)), "has the mode RGB of 16 bits"),
    "lab.tif": (lambda path: Image.new("LAB", (6, 5)).save(path), "has the mode LAB"),
    "empty.png": (lambda path: path.write_bytes(b""), "is not a readable image"),
    "text.png": (lambda path: path.write_bytes(b"no image"), "is not a readable image"),
    "page.jpg": (lambda path: path.write_bytes(b"<html></html>"), "is not a readable image"),
    "cut.png": (truncated, "is not a readable image"),
    "cut.jpg": (truncated, "is not a readable image"),
    "huge.png": (lambda path: png(path, (20000, 20000), 8, b""), "is not a readable image: .*400000000 pixels"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_does_not_hold_one_plain_picture_is_refused_by_name(tmp_path, name):
    class_folders(tmp_path, count=1)
    make, sentence = UNUSABLE[name]
    (tmp_path / "cat/0.png").unlink()
    make(tmp_path / "cat" / name)
    with pytest.raises(InputError, match=f"cat/{name} {sentence}"):
        read(tmp_path, 0)


@pytest.mark.parametrize("name, kind", [("a.jpg", "MPO"), ("a.jpg", "JPEG"), ("a.tif", "TIFF"), ("a.webp", "WEBP"), ("a.png", "PNG")])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_images_are_turned_as_their_cameras_say(tmp_path, name, kind, orientation):
    """Four grey blocks of 16x16 pixels, which JPEG keeps, stored turned; the orientation says how to turn them back."""
    upright = Image.fromarray(np.kron(np.array([[10, 60, 110], [160, 210, 250]], np.uint8), np.ones((16, 16), np.uint8)))
    angle = {1: 0, 3: 180, 6: 90, 8: 270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    more = {"save_all": True, "append_images": [upright]} if kind == "MPO" else {"lossless": True} if kind == "WEBP" else {}
    class_folders(tmp_path, count=1)
    (tmp_path / "cat/0.png").unlink()
    upright.rotate(angle, expand=True).save(tmp_path / "cat" / name, kind, exif=exif, **more)
    image = read(tmp_path, 0)[0, 0].astype(int)
    assert image.shape == (32, 48) and np.abs(image - np.asarray(upright)).max() <= 2


def test_colours_that_are_not_red_green_and_blue_are_converted_and_said(tmp_path):
    class_folders(tmp_path, count=1)
    COLOUR.convert("CMYK").save(tmp_path / "cat" / "ink.tif")
    (tmp_path / "cat/0.png").unlink()
    source = imagefolder(tmp_path, None)
    assert np.array_equal(source.read(np.array([0]))[0], PIXELS.transpose(2, 0, 1))
    assert source.remarks == ["images converted from CMYK to RGB, without regard to colour profiles: 1"]


@pytest.mark.parametrize(
    "prepare_folder, sentence",
    [
        (lambda root: None, "expected a folder of class folders at .*photos, found none"),
        (lambda root: root.write_text(""), "expected a folder of class folders at .*photos, found none"),
        (lambda root: root.mkdir(), "expected folders of images named after their classes in .*photos, found no folder"),
        (lambda root: picture(root / "cat.0.png", 1), "expected folders of images named after their classes"),
        (lambda root: picture(root / "only" / "0.png", 1), "at least two class folders in .*photos, found only 'only'$"),
        (lambda root: class_folders(root / "photos"), "found only 'photos'; in it are the folders 'cat', 'dog': if these are the classes"),
        (lambda root: class_folders(root / "train"), "found only 'train'; in it are the folders 'cat', 'dog'"),
        (lambda root: (class_folders(root) / "eel").mkdir(), "class folder .*/eel has no images$"),
        (
            lambda root: picture(class_folders(root) / "eel/.trash/0.png", 1),
            "class folder .*/eel has no images; in it were 1 skipped hid",
        ),
        (lambda root: picture(class_folders(root) / "eel/0.ICO", 1), "eel/0.ICO is a picture of a type that is not read, .ico"),
        (lambda root: (class_folders(root) / "cat/0.HEIC").write_bytes(b"x"), "cat/0.HEIC is a picture of a type that is not read, .heic"),
        (lambda root: (class_folders(root) / "cat/9.png").symlink_to("gone"), "cat/9.png is a link to something that is not there"),
        (lambda root: (class_folders(root) / "cat/loop.png").symlink_to("loop.png"), "cat/loop.png"),
        (
            lambda root: (class_folders(root) / "cat/again").symlink_to(root / "cat"),
            "cat/again is a link to .*/cat, whose images would",
        ),
    ],
)
def test_folders_whose_meaning_is_not_clear_are_refused(tmp_path, prepare_folder, sentence):
    prepare_folder(tmp_path / "photos")
    with pytest.raises(InputError, match=sentence):
        imagefolder(tmp_path / "photos", None)


def test_a_picture_in_two_splits_or_two_classes_is_said(tmp_path):
    class_folders(tmp_path / "train")
    class_folders(tmp_path / "test", first=50)
    picture(tmp_path / "test/cat/0.png", 3)
    picture(tmp_path / "test/dog/0.png", 3)
    remarks = prepare(folder_data(tmp_path, train=10, validation=2, test=12)).remarks
    assert {"pictures of test that are in train too: 1", "pictures that are in more than one class: 1"} <= set(remarks)
    assert not any("validation that are" in remark for remark in remarks)


def test_an_evaluation_reads_the_official_test_images_and_says_what_it_skipped(tmp_path, capsys):
    for name, first in (("train", 0), ("Test", 50)):
        class_folders(tmp_path / name, first=first)
    (tmp_path / "Test/cat/a.txt").touch()
    assert (images.read(tmp_path).images[:, 0, 0, 0] % 100 >= 50).all()
    assert "skipped files of type .txt: 1 ('Test/cat/a.txt')" in capsys.readouterr().err
    (tmp_path / "Test").rename(tmp_path / "val")
    with pytest.raises(InputError, match="expected a folder test beside train in .*, got 'train', 'validation'; name the folder to"):
        images.read(tmp_path)
    assert len(images.read(tmp_path / "val")) == 12


def run(folder: Path, monkeypatch, train: int):
    monkeypatch.chdir(folder)
    text = f"data: {{dataset: imagefolder, root: {folder / 'own'}, image_size: null, train: {train}, validation: 2, test: 4, seed: 0}}"
    (folder / "params.yaml").write_text(text)
    return CliRunner().invoke(main, ["--out", "written/images.h5"])


def test_the_command_writes_a_file_that_can_be_read_back_and_says_what_it_understood(tmp_path, monkeypatch):
    class_folders(tmp_path / "own")
    outcome = run(tmp_path, monkeypatch, train=6)
    assert outcome.exit_code == 0, outcome.output
    written = image_file.read(Path("written/images.h5"), "test")
    expected = prepare(folder_data(tmp_path / "own")).splits["test"]
    assert np.array_equal(written.images, expected[0]) and np.array_equal(written.source_rows, expected[2])
    first, *others = outcome.output.splitlines()
    assert "imagefolder, 2 classes, images 1x6x6; train 6 (" in first and written.digest[:12] in first
    counts = ["images per class in train/validation/test:", "  0: 'cat' 3/1/2", "  1: 'dog' 3/1/2"]
    assert others == ["train, validation, test from 12 images", *counts]


@pytest.mark.parametrize("classes", [2, 10, 25])
@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("size", [(6, 6), (5, 7)])
def test_any_shape_and_number_of_classes_goes_from_folder_to_file(tmp_path, monkeypatch, classes, channels, mode, size):
    for label in range(classes):
        for index in range(8):
            picture(tmp_path / "own" / f"{label:02}" / f"{index}.png", 10 * label + index, size, mode)
    outcome = run(tmp_path, monkeypatch, train=4 * classes)
    assert outcome.exit_code == 0, outcome.output
    split = image_file.read(Path("written/images.h5"), "train")
    assert split.images.shape == (4 * classes, channels, *size[::-1]) and split.classes == classes
    assert (split.images[:, 0, 0, 0] // 10 == split.labels).all() and np.bincount(split.labels).tolist() == [4] * classes
    assert (f"  {classes - 1}: '{classes - 1:02}' 4/" in outcome.output) == (classes <= 20)
    assert ("images per class: train 4 to 4, validation 0 to 1, test 0 to 1" in outcome.output) == (classes > 20)


def test_the_command_refuses_in_one_sentence_and_writes_nothing(tmp_path, monkeypatch):
    class_folders(tmp_path / "own")
    outcome = run(tmp_path, monkeypatch, train=7)
    assert outcome.exit_code == 1
    assert outcome.output == "Error: data.train + data.validation + data.test ask for 13 images, imagefolder has 12\n"
    assert not Path("written").exists()
