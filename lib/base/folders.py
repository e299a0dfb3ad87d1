"""Folders that are either complete or absent."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.base import errors


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
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
def writing(folder: Path) -> Iterator[Path]:
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
