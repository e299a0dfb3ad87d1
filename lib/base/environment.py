"""In which environment a result was made: a small JSON record beside the results, so that nothing of it is in their own bytes.

The record of models/0/R is results/environments/models/0/R.json. It holds no time, user or host, and torch is asked about its device
only where the command has loaded it.
"""

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lib.base import files, json_text, params
from lib.base.errors import InputError, require
from lib.base.git import git

FOLDER = Path("results/environments")
LOCK = Path("requirements.lock")
# What decides a result beside what DVC notes by value: params.yaml, dvc.lock and report change with every run.
CODE = ("lib", "stages", "dvc.yaml")


@dataclass(frozen=True)
class Environment:
    """One record. None: not known, or nothing that the command used.

    stage: the instance, as DVC names it; None for a command that was run by hand.
    torch, torchvision, h5py, numpy: the versions that are installed.
    platform, device: system and architecture; the GPU that torch computed on, else "cpu (<what the processor calls itself>)".
    cuda: the CUDA version that torch was built with, if it computed on a GPU.
    threads: those of torch, if it computed on the CPU.
    commit, modified: the last commit that changed `CODE` when the command began, and whether there were edits or new files beside it.
    lock_sha256: of requirements.lock.
    """

    stage: str | None
    torch: str | None
    torchvision: str | None
    h5py: str | None
    numpy: str | None
    python: str
    platform: str
    cuda: str | None
    device: str
    threads: int | None
    commit: str | None
    modified: bool | None
    lock_sha256: str | None


@contextmanager
def recorded(out: Path | None, folder: Path | None) -> Iterator[None]:
    """Inside, a command makes `out`; when it ends well its record is written below `folder`.

    Without a folder only a record that is there already is written anew: it would otherwise speak of what `out` was before.
    """
    target = _due(out, folder)
    if target is None:
        yield
        return
    files.require_place(target)
    code = _code()  # as it is now, when it has been read: a long training may outlast an edit
    yield
    record = Environment(stage=os.environ.get("DVC_STAGE"), **_versions(), **_machine(), **code)
    files.write(target, json.dumps(asdict(record), indent=2, sort_keys=True) + "\n")


def place(path: Path, folder: Path = FOLDER) -> Path:
    """Where the record of the result at `path` lies; raises `InputError` if `path` is outside of the current folder.

    >>> place(Path("models/0/R"))
    PosixPath('results/environments/models/0/R.json')
    """
    full, here = Path(os.path.abspath(path)), Path.cwd()
    require(full.is_relative_to(here), f"a result with a record must lie below the current folder {here}, got {path}")
    return folder / f"{full.relative_to(here)}.json"


def read(path: Path) -> Environment:
    """The record at `path`; raises `InputError` where it cannot be read as one."""
    return params.parse(Environment, json_text.parsed(path.read_bytes(), str(path)), str(path))


def cpu() -> str:
    """What the processor calls itself (Linux), else its architecture."""
    listed = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*:\s*(.+)$", listed.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if listed.is_file()
        else None
    )
    return found.group(1).strip() if found else platform.machine()


def system() -> str:
    """Operating system and architecture."""
    return f"{platform.system()} {platform.machine()}"


def _due(out: Path | None, folder: Path | None) -> Path | None:
    """Where a record is to be written, if at all."""
    if out is None:
        return None
    if folder is not None:
        return place(out, folder)
    is_inside = Path(os.path.abspath(out)).is_relative_to(Path.cwd())
    return place(out) if is_inside and place(out).is_file() else None


def _versions() -> dict[str, Any]:
    return {name: _version(name) for name in ("torch", "torchvision", "h5py", "numpy")} | {"python": platform.python_version()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    """Where the command has computed: on the GPU exactly if torch has begun to use one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        threads = None if torch is None else torch.get_num_threads()
        return {"platform": system(), "cuda": None, "device": f"cpu ({cpu()})", "threads": threads}
    asked = os.environ.get("DEVICE", "cuda")
    name = torch.cuda.get_device_name(asked if asked.startswith("cuda") else None)
    return {"platform": system(), "cuda": torch.version.cuda, "device": name, "threads": None}


def _code() -> dict[str, Any]:
    """What is known of the code; why there is no commit is said on standard error."""
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.is_file() else None
    try:
        commit, edits = git("log", "-1", "--format=%H", "--", *CODE), git("status", "--porcelain", "--", *CODE)
    except InputError as error:
        print(f"The record of the environment has no commit: {error}", file=sys.stderr)
        return {"commit": None, "modified": None, "lock_sha256": lock}
    return {"commit": commit or None, "modified": bool(edits) if commit else None, "lock_sha256": lock}
