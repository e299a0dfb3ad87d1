"""Where the files of a published dataset lie, and their download by torchvision where no folder is named."""

import os
from pathlib import Path

from lib.base.errors import InputError, require

DOWNLOADS = Path("data/raw")
FAILED = (OSError, RuntimeError, ValueError, AssertionError)  # what torchvision raises for unreachable and damaged files


def there(root: Path | None, inside: str, files: tuple[str, ...]) -> Path | None:
    """The folder `inside` of `root` (None: data/raw) if all its `files` are there."""
    folder = (DOWNLOADS if root is None else root) / inside
    return folder if all(os.path.isfile(folder / name) for name in files) else None


def folder(dataset: str, root: Path | None, inside: str, files: tuple[str, ...]) -> Path:
    """The folder with the `files` of torchvision's `dataset`, downloaded only where no `root` is given.

    Raises `InputError` if they are missing from `root`, or cannot be downloaded.
    """
    place = DOWNLOADS if root is None else root
    expected = f"expected in {place} the folder {inside} with the unpacked files {', '.join(files)}"
    if root is None and there(root, inside, files) is None:
        _download(dataset, expected)
    missing = [name for name in files if not os.path.isfile(place / inside / name)]
    require(not missing, f"{expected}; {', '.join(missing) if len(missing) < len(files) else 'it'} is missing or no file")
    return place / inside


def _download(dataset: str, expected: str) -> None:
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, dataset)(DOWNLOADS, download=True)
    except FAILED as error:
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise InputError(f"{expected}; it is not there and could not be downloaded: {reason[0]}") from error
