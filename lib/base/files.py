"""Files that are either complete or absent."""

import os
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


def require_place(path: Path) -> None:
    """Raise `InputError` unless `path` can be made, whatever lies there now: asked before work whose result it would be."""
    above = next(folder for folder in Path(os.path.abspath(path)).parents if os.path.lexists(folder))
    require(above.is_dir(), f"expected a folder at {above} to make {path} in, found a file")
    require(os.access(above, os.W_OK | os.X_OK), f"expected a folder at {above} to make {path} in, found one that is read-only")
    with suppress(FileNotFoundError, NotADirectoryError):
        path.with_name(f"{path.name}.part").lstat()
