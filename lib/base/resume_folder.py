"""Where killed work is kept until it goes on: in `.resume` of the current folder, outside of what DVC knows."""

from pathlib import Path

FOLDER = Path(".resume")


def place(out: Path, suffix: str) -> Path:
    """Where the state of the work on the result `out` lies.

    >>> print(place(Path("models/0/NR"), ".safetensors"))
    .resume/models/0/NR.safetensors
    """
    full, here = out.resolve(), Path.cwd().resolve()
    inside = full.relative_to(here if full.is_relative_to(here) else full.anchor)
    return FOLDER / inside.with_name(inside.name + suffix)


def remove_empty(path: Path) -> None:
    """Remove those of the folders above `path` that nothing lies in any more."""
    for folder in path.parents:
        if folder == Path(".") or not folder.is_dir() or any(folder.iterdir()):
            break
        folder.rmdir()
