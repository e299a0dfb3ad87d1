"""Somebody's own images: folders named after the classes, or folders of these for official splits."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base.errors import InputError, require
from lib.images import layout, pictures
from lib.images.listing import Tally, class_folders, images, some
from lib.images.source import Available, Source, offered


@dataclass(frozen=True)
class Listing:
    """Image files that are not yet opened: `paths` and `labels` by row, and how many each official split has, if there are any."""

    classes: list[str]
    paths: list[str]
    labels: np.ndarray
    official: dict[str, int]
    remarks: list[str]


def imagefolder(root: Path, size: int | None) -> Source:
    """The images below `root`: in class folders, or in class folders of train, validation and test, whatever their spelling.

    Classes and their files are in alphabetical order. Hidden files and those of other types are skipped, as `remarks` say.

    Args:
        size: the largest centred square of each image, resized to `size` x `size`; None: as they are.

    Raises:
        InputError: what the folders mean is not clear, a class has no images, or a picture is of a type that is not read.
    """
    listing = listed(root)
    remarks = list(listing.remarks)

    def read(rows: np.ndarray) -> np.ndarray:
        decoded, converted = pictures.read([Path(listing.paths[row]) for row in rows], size)
        remarks.extend(converted)
        return decoded

    return Source(tuple(listing.classes), listing.labels, listing.official, read, remarks)


def available(root: Path) -> Available | None:
    """The classes and images below `root`, by the names of files alone; None where there is no such folder."""
    if not os.path.isdir(root):
        return None
    listing = listed(root)
    return offered(len(listing.classes), listing.official, len(listing.paths))


def listed(root: Path) -> Listing:
    """The class folders and image files below `root`; raises `InputError` like `imagefolder`."""
    require(os.path.isdir(root), f"expected a folder of class folders at {root}, found none")
    tally = Tally()
    folders = class_folders(root, tally)
    splits = layout.splits(folders, str(root))
    if splits:
        others = sorted(set(folders) - set(splits.values()))
        tally.update({f"skipped folders beside {' and '.join(splits.values())}": [str(root / name) for name in others]} if others else {})
    parts = [root / folder for folder in splits.values()] or [root]
    classes = [class_folders(part, tally) for part in parts] if splits else [folders]
    _check_classes(parts, classes)
    paths = [[_of_class(part / name, tally) for name in classes[0]] for part in parts]
    labels = [np.full(len(files), label) for part in paths for label, files in enumerate(part)]
    official = {split: sum(map(len, part)) for split, part in zip(splits, paths)}
    rows = [path for part in paths for files in part for path in files]
    named = [f"the folder of {split} is {folder!r}" for split, folder in splits.items()]
    return Listing(classes[0], rows, np.concatenate(labels).astype(np.int64), official, named + tally.sentences(root))


def _check_classes(parts: list[Path], classes: list[list[str]]) -> None:
    """Raise `InputError` unless all parts have the same classes, two at least."""
    train, names = parts[0], classes[0]
    require(bool(names), f"expected folders of images named after their classes in {train}, found no folder")
    if len(names) == 1:
        inner = class_folders(train / names[0], Tally())
        advice = f"; in it are the folders {some(inner)}: if these are the classes or splits, move them up or name their folder"
        raise InputError(f"expected at least two class folders in {train}, found only {names[0]!r}{advice if inner else ''}")
    for part, others in zip(parts[1:], classes[1:]):
        lacking, more = sorted(set(names) - set(others)), sorted(set(others) - set(names))
        told = [f"{word} {some(which)}" for word, which in (("without", lacking), ("also", more)) if which]
        require(not told, f"{part} must have the same classes as {train}, got it {' and '.join(told)}")


def _of_class(folder: Path, tally: Tally) -> list[str]:
    """Paths of the images of one class; raises `InputError` if its inner folders are official splits."""
    paths = images(folder, tally)
    below = [path.removeprefix(f"{folder}{os.sep}") for path in paths]
    inner = {path.partition(os.sep)[0] for path in below if os.sep in path}
    splits = list(layout.splits(sorted(inner), str(folder)).values())
    advice = "put the class folders into folders of splits, or all images of a class together"
    require(not splits, f"the class folder {folder} has the folders {some(splits)}; {advice}")
    return paths
