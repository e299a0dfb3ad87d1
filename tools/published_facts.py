"""Where published numbers come from: commit, dates and machine, without anything that names a place."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from lib.base.environment import cpu, system
from lib.base.errors import require
from lib.base.git import git
from lib.network import runtime

# Results, what DVC notes about them, and which studies it looks at, are no part of what makes them.
CODE = (".", ":(exclude)results", ":(exclude)report", ":(exclude).dvcignore", ":(exclude,glob)**/dvc.lock")


def about(
    kind: str,
    name: str,
    command: str,
    dataset: str,
    preset: str,
    seeds: Sequence[int],
    missing: list[str],
    left_out: list[str],
    files: Sequence[Path],
) -> dict:
    """What about.json holds, of the Git repository and machine at hand; `files` are the results, whose dates are given."""
    written = sorted(path.stat().st_mtime for path in files)
    return {
        "kind": kind,
        "name": name,
        "command": command,
        "dataset": dataset,
        "preset": preset,
        "seeds": list(seeds),
        "complete": not missing,
        "missing": missing,
        "left_out": left_out,
        **commit(),
        "measured": [datetime.fromtimestamp(int(time), UTC).isoformat() for time in (written[0], written[-1])],
        "environment": environment(),
    }


def commit() -> dict[str, str | bool]:
    """The last commit that changed code or parameters, its date, and whether there are edits beside it."""
    found = git("log", "-1", "--format=%H %cI", "--", *CODE).split()
    require(len(found) == 2, "results can be published from a Git repository with a commit only")
    return {"commit": found[0], "committed": found[1], "edited": bool(git("status", "--porcelain", "--", *CODE))}


def environment() -> dict[str, str | int]:
    """The machine and the versions that numbers depend on."""
    device = runtime.device()
    name = f"cuda ({torch.cuda.get_device_name()})" if device.type == "cuda" else device.type
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "torchvision", "numpy", "scipy", "pyautoattack")},
        "platform": system(),
        "cpu": cpu(),
        "cores": os.cpu_count() or 0,
        "torch_threads": torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else 1,  # of a stage: lib/network/runtime.py
        "device": name,
    }
