"""One's own folders of images become a dataset, through the library and through the command; unusable ones are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lib.base import image_file
from lib.base.errors import InputError
from lib.datasets import Data, imagefolder, prepare
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


def test_class_folders_are_one_pool(tmp_path):
    classes, splits = prepare(folder_data(class_folders(tmp_path)))
    assert classes == 2
    values = {name: images[:, 0, 0, 0].astype(int) for name, (images, _, _) in splits.items()}
    assert splits["train"][0].shape == (6, 1, 6, 6)
    assert sorted(np.concatenate(list(values.values()))) == [*range(6), *range(100, 106)]
    for name, (_, labels, rows) in splits.items():
        assert labels.tolist() == (values[name] // 100).tolist()
        assert (rows == values[name] % 100 + 6 * labels).all()


def test_folders_named_train_and_test_are_two_pools(tmp_path):
    class_folders(tmp_path / "train")
    class_folders(tmp_path / "test", first=50)
    _, splits = prepare(folder_data(tmp_path))
    for name, (images, _, rows) in splits.items():
        assert ((images[:, 0, 0, 0] % 100 >= 50) == (name == "test")).all()
        assert ((rows >= 12) == (name == "test")).all()


def test_train_and_test_folders_must_have_the_same_classes(tmp_path):
    class_folders(tmp_path / "train")
    class_folders(tmp_path / "test")
    picture(tmp_path / "test" / "eel" / "0.png", 1)
    with pytest.raises(InputError, match="must have the same classes as .*train, got .*'eel'"):
        prepare(folder_data(tmp_path))


def test_only_the_chosen_images_are_decoded(tmp_path):
    class_folders(tmp_path)
    chosen = prepare(folder_data(tmp_path, train=2, validation=2, test=2))[1]
    rows = np.concatenate([rows for _, _, rows in chosen.values()])
    for row in set(range(12)) - set(rows.tolist()):
        (tmp_path / CLASSES[row // 6] / f"{row % 6}.png").write_bytes(b"no image")
    again = prepare(folder_data(tmp_path, train=2, validation=2, test=2))[1]
    assert all(np.array_equal(again[name][0], chosen[name][0]) for name in chosen)


def test_one_colour_image_makes_all_have_three_channels(tmp_path):
    class_folders(tmp_path)
    picture(tmp_path / "cat" / "0.png", 7, mode="RGB")
    images = imagefolder(folder_data(tmp_path)).read(np.array([0, 11]))
    assert images[:, :, 0, 0].tolist() == [[7, 7, 8], [105, 105, 105]]


def test_different_sizes_are_refused_unless_resized(tmp_path):
    class_folders(tmp_path)
    picture(tmp_path / "cat" / "3.png", 3, size=(8, 6))
    with pytest.raises(InputError, match="one size, but .* is 6x6 pixels, .*/cat/3.png is 8x6; set data.image_size"):
        prepare(folder_data(tmp_path))
    assert prepare(folder_data(tmp_path, image_size=4))[1]["train"][0].shape == (6, 1, 4, 4)


def test_resizing_takes_the_centred_square(tmp_path):
    class_folders(tmp_path)
    wide = np.zeros((4, 16), np.uint8)
    wide[:, 2:14] = 200  # wider than the square, because the bicubic filter looks a little beyond its edge
    Image.fromarray(wide).save(tmp_path / "cat" / "0.png")
    assert (imagefolder(folder_data(tmp_path, image_size=2)).read(np.array([0])) == 200).all()


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_images_of_more_than_eight_bits_are_refused(tmp_path, mode):
    class_folders(tmp_path)
    (tmp_path / "cat" / "0.png").unlink()
    Image.new(mode, (6, 6)).save(tmp_path / "cat" / "0.tif")
    with pytest.raises(InputError, match=f"8 bits per channel, .*0.tif has the mode {mode}"):
        prepare(folder_data(tmp_path))


def test_a_file_that_is_no_image_is_named(tmp_path):
    class_folders(tmp_path)
    (tmp_path / "dog" / "2.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="dog/2.png is not a readable image"):
        prepare(folder_data(tmp_path))


def test_folders_without_classes_or_images_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected a folder of class folders at .*absent, found none"):
        prepare(folder_data(tmp_path / "absent"))
    with pytest.raises(InputError, match="expected folders of images named after their classes"):
        prepare(folder_data(tmp_path))
    picture(tmp_path / "only" / "0.png", 1)
    with pytest.raises(InputError, match="at least two class folders in .*, found only 'only'"):
        prepare(folder_data(tmp_path))


def run(folder: Path, monkeypatch, train: int):
    monkeypatch.chdir(folder)
    text = f"data: {{dataset: imagefolder, root: {folder / 'own'}, image_size: null, train: {train}, validation: 2, test: 4, seed: 0}}"
    (folder / "params.yaml").write_text(text)
    return CliRunner().invoke(main, ["--out", "written/images.h5"])


def test_the_command_writes_a_file_that_can_be_read_back(tmp_path, monkeypatch):
    class_folders(tmp_path / "own")
    outcome = run(tmp_path, monkeypatch, train=6)
    assert outcome.exit_code == 0, outcome.output
    written = image_file.read(Path("written/images.h5"), "test")
    expected = prepare(folder_data(tmp_path / "own"))[1]["test"]
    assert np.array_equal(written.images, expected[0]) and np.array_equal(written.source_rows, expected[2])
    assert "imagefolder, 2 classes, images 1x6x6; train 6 (" in outcome.output and written.digest[:12] in outcome.output


def test_the_command_refuses_in_one_sentence_and_writes_nothing(tmp_path, monkeypatch):
    class_folders(tmp_path / "own")
    outcome = run(tmp_path, monkeypatch, train=7)
    assert outcome.exit_code == 1
    assert outcome.output == "Error: data.train + data.validation + data.test ask for 13 images, imagefolder has 12\n"
    assert not Path("written").exists()
