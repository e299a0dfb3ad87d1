"""Code that is not ours: what it raises becomes one sentence, what it imports is its own, what it sets for the process is set back."""

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lib.base.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
OURS = ("lib", "stages", "tools")


@contextmanager
def blamed(what: str, placed: bool = False) -> Iterator[None]:
    """Whatever is raised inside, an exit too, becomes an `InputError`: `what` went wrong, why, and if `placed` in which line of it."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{what}: {reason(error)}{_place(error) if placed else ''}") from error


def reason(error: BaseException) -> str:
    """An exception in one line.

    >>> reason(ValueError("no weights\\nin three lines"))
    'ValueError: no weights'
    """
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0][:300]}"


def _place(error: BaseException) -> str:
    """The innermost line that belongs to neither Python, a package, nor this project's own part in the call."""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [
        f" ({file.name}, line {line})"
        for file, line in frames
        if file.is_file() and "site-packages" not in file.parts and file.parent != Path(__file__).parent and not _is_library(file)
    ]
    return own[-1] if own else ""


def _is_library(file: Path) -> bool:
    return file.is_relative_to(Path(os.__file__).parent)


@contextmanager
def imports() -> Iterator[None]:
    """Inside, imports look in the current folder first, and where that or another folder on the path has a lib/, stages/ or tools/ of its
    own, that is seen instead of ours.

    What was imported keeps what it imported. Afterwards these three names are ours again, also for what a model imports when it is called.
    """
    folder = Path.cwd()
    places = {folder, *(Path(entry).resolve() for entry in sys.path if "site-packages" not in entry)} - {ROOT}
    rivals = [name for name in OURS if any((place / name).is_dir() or (place / f"{name}.py").is_file() for place in places)]
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in rivals}
    hidden = [entry for entry in sys.path if rivals and Path(entry).resolve() == ROOT]
    sys.path[:] = [entry for entry in sys.path if entry not in hidden]
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in rivals]:
            del sys.modules[name]
        sys.modules.update(ours)
        sys.path.extend(hidden)


@contextmanager
def settings_kept() -> Iterator[None]:
    """Hand back the current folder and torch's defaults as they were: results must not depend on what an import leaves behind."""
    folder, dtype, device = Path.cwd(), torch.get_default_dtype(), torch.get_default_device()
    threads, graph = torch.get_num_threads(), torch.is_grad_enabled()
    try:
        yield
    finally:
        os.chdir(folder)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(graph)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_default_device() != device:
            torch.set_default_device(None)
