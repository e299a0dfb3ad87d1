"""Folders whose files are what was written.

`SHA256SUMS` is the list that `sha256sum` writes and `sha256sum -c SHA256SUMS` compares.
"""

from pathlib import Path

from lib.base import digests
from lib.base.errors import require

SUMS = "SHA256SUMS"


def seal(folder: Path) -> None:
    """Write the digests of all files that lie in `folder`, which has no folders inside."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    (folder / SUMS).write_text("".join(f"{digests.of_file(path)}  {path.name}\n" for path in files), encoding="utf-8")


def unchanged(path: Path, what: str) -> Path:
    """`path` itself, a file called `what` in sentences, if it is there and is what its folder was sealed with; else `InputError`."""
    sums = path.with_name(SUMS)
    require(path.is_file(), f"expected {what} at {path}, found nothing there")
    require(sums.is_file(), f"expected digests of what lies in {path.parent} at {sums}, found nothing there; make the folder anew")
    known = [line.split() for line in sums.read_text(encoding="utf-8", errors="replace").splitlines()]
    same = [digests.of_file(path), path.name] in known
    require(same, f"{path} was changed after it was written, or {SUMS} was: its SHA-256 is not the one that stands there")
    return path
