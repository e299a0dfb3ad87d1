"""The image files in folders, and a tally of what else lies there; no file is opened."""

import os
from collections import defaultdict
from pathlib import Path

from lib.base.errors import InputError, require

READ = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".ppm", ".pgm", ".pbm", ".pnm", ".bmp", ".tif", ".tiff", ".webp", ".gif"))
_PHOTOS = (".heic", ".heif", ".dng", ".cr2", ".nef", ".arw", ".raw", ".jxl", ".jp2", ".avif")
UNREAD = frozenset(
    (*_PHOTOS, ".svg", ".eps", ".psd", ".exr", ".hdr", ".dcm", ".tga", ".pcx", ".dib", ".ico")
)  # refused, since they are meant as images
SYSTEM = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db", "desktop.ini"))
HIDDEN, STRAY, INNER = "skipped hidden or system files and folders", "skipped images outside of class folders", "images in inner folders"
NAMED = 3


class Tally(defaultdict[str, list[str]]):
    """Paths by what was done with them, for instance "skipped files of type .txt"."""

    def __init__(self) -> None:
        super().__init__(list)

    def sentences(self, root: Path) -> list[str]:
        """One for each kind: how many, and the first paths relative to `root`.

        >>> tally = Tally()
        >>> tally[HIDDEN] += ["photos/.DS_Store"]
        >>> tally.sentences(Path("photos"))
        ["skipped hidden or system files and folders: 1 ('.DS_Store')"]
        """
        return [f"{kind}: {len(paths)} ({some([os.path.relpath(path, root) for path in sorted(paths)])})" for kind, paths in self.items()]


def some(names: list[str]) -> str:
    """The first names, quoted, and how many more there are.

    >>> some(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more"
    """
    return ", ".join(map(repr, names[:NAMED])) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def entries(folder: Path, tally: Tally) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in `folder`, in alphabetical order, links followed; what is hidden is tallied.

    Raises `InputError` if it cannot be listed, or holds a link that leads nowhere.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.startswith(".") or entry.name.casefold() in SYSTEM:
                tally[HIDDEN].append(entry.path)
            elif entry.is_dir():
                folders.append(entry.name)
            elif entry.is_file():
                files.append(entry.name)
            else:
                require(not entry.is_symlink(), f"{entry.path} is a link to something that is not there")
                tally["skipped, neither files nor folders"].append(entry.path)
    except OSError as error:
        raise InputError(f"{error.filename or folder} cannot be read: {error.strerror}") from error
    return folders, files


def class_folders(folder: Path, tally: Tally) -> list[str]:
    """The names of the folders in `folder`; the files beside them are tallied."""
    folders, files = entries(folder, tally)
    for name in files:
        kind = _suffix(name)
        tally[STRAY if kind in READ | UNREAD else _skipped(kind)].append(str(folder / name))
    return folders


def images(folder: Path, tally: Tally) -> list[str]:
    """Paths of the image files of one class, inner folders included: folder by folder, in alphabetical order.

    Raises `InputError` if there is none, for a type of picture that is not read, and for a folder that is met twice, through a link.
    """
    mine = Tally()
    below = sorted(_below(folder, mine, {}))
    files = [f"{place}{os.sep}{name}" for place, names in below for name in names]
    held = ", ".join(f"{len(paths)} {kind}" for kind, paths in mine.items())
    require(bool(files), f"the class folder {folder} has no images{f'; in it were {held}' if held else ''}")
    inner = [os.path.join(place, name) for place, names in below for name in names if place != str(folder)]
    if inner:
        mine[f"{INNER}, which count as of the class folder around them"] += inner
    for kind, paths in mine.items():
        tally[kind] += paths
    return files


def _below(folder: Path, tally: Tally, seen: dict[str, Path]) -> list[tuple[str, list[str]]]:
    """`folder` and the folders below it, each with the names of its images in alphabetical order."""
    real = os.path.realpath(folder)
    require(real not in seen, f"{folder} is a link to {seen.get(real)}, whose images would count twice")
    seen[real] = folder
    folders, files = entries(folder, tally)
    kinds = {name: _suffix(name) for name in files}
    for name in [name for name, kind in kinds.items() if kind not in READ]:
        kind = kinds.pop(name)
        require(kind not in UNREAD, f"{folder / name} is a picture of a type that is not read, {kind}; convert it, to PNG for instance")
        tally[_skipped(kind)].append(str(folder / name))
    return [(str(folder), list(kinds)), *(part for name in folders for part in _below(folder / name, tally, seen))]


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _skipped(kind: str) -> str:
    return f"skipped files of type {kind}" if kind else "skipped files without a type in their name"
