"""Files and folders that are either complete or absent."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.base import errors
from lib.base.errors import require


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """The name of a new file to write; it takes the place of `path` when the block ends without an exception, else nothing of it stays.

    It is on the disk before it takes its name: network storage may tell only then that there is no room.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with errors.at(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """Put `text`, in UTF-8, into the place of the file `path`."""
    with writing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def filling_folder(folder: Path) -> Iterator[Path]:
    """A new, empty folder to write into; what it holds goes into `folder` at the end, in place of what has the same name there."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with errors.at(folder):
            part.mkdir(parents=True)
            yield part
            folder.mkdir(exist_ok=True)
            for entry in sorted(part.iterdir()):
                if (folder / entry.name).is_dir():
                    shutil.rmtree(folder / entry.name, ignore_errors=True)
                os.replace(entry, folder / entry.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """A new, empty folder to write into; it takes the place of `folder` only when the block ends without an exception."""
    part, old = (folder.with_name(f"{folder.name}.{state}") for state in ("part", "old.part"))
    for rest in (part, old):  # of a process that was killed
        shutil.rmtree(rest, ignore_errors=True)
    try:
        with errors.at(folder):
            part.mkdir(parents=True)
            yield part
            if folder.is_dir():
                os.replace(folder, old)
            os.replace(part, folder)
    finally:
        if old.is_dir() and not folder.exists():
            os.replace(old, folder)
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)


def require_place(path: Path) -> None:
    """Raise `InputError` unless `path` can be made, whatever lies there now: asked before work whose result it would be."""
    above = next(folder for folder in Path(os.path.abspath(path)).parents if os.path.lexists(folder))
    require(above.is_dir(), f"expected a folder at {above} to make {path} in, found a file")
    require(os.access(above, os.W_OK | os.X_OK), f"expected a folder at {above} to make {path} in, found one that is read-only")
    with suppress(FileNotFoundError, NotADirectoryError):
        path.with_name(f"{path.name}.part").lstat()
