"""One stage in one workspace, in a process of its own (a fork of lib/parallel/forks.py).

The only way in which DVC runs beside itself is to reproduce single stages, each waiting for the repository's lock.
"""

import fcntl
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.cli import main as dvc

from lib.parallel import dvc_patches, lockfile


def reproduce(stage: str, reads: Sequence[str] | None, entries: lockfile.Entries, force: bool) -> int:
    """Run `stage` unless it is up to date or in the run cache, in the current folder; DVC's exit status.

    Args:
        reads: stages whose results are pulled first, after which this one's are pushed; None: everything is here.
        entries: what the lock file of this folder must know of them.

    What DVC records of the stage stands aside (lib/parallel/lockfile.py), except with a remote, for which `dvc push` reads it.
    """
    only = ["--wait-for-lock"]
    options = ["--force"] if force else []
    if reads is None:
        lockfile.note_aside()
        return dvc([*only, "repro", "--single-item", *options, stage])
    lockfile.merge(Path.cwd(), entries)
    calls = [["pull", *reads]] if reads else []
    calls += [["repro", "--single-item", "--pull", *options, stage], ["push", "--run-cache", stage]]
    return next((status for status in (dvc([*only, *call]) for call in calls) if status), 0)


def main(asked: dict[str, Any]) -> None:
    """Do what is asked, after other processes with the same stage, and exit with DVC's status; what is said goes to the end of a log.

    Args:
        asked: stage, reads, entries and force, as `reproduce` takes them; log; record: where dvc.lock's entry goes, if it is needed.
    """
    _say_in(Path(asked["log"]))
    dvc_patches.overlook_the_dead()
    lockfile.STATE.mkdir(parents=True, exist_ok=True)
    # Two runs that came to the same stage take turns: the second finds it done.
    with open(lockfile.STATE / f"{asked['stage'].replace(os.sep, '_')}.lock", "w", encoding="utf-8") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        status = reproduce(asked["stage"], asked["reads"], asked["entries"], asked["force"])
        if status == 0 and asked["record"] is not None:
            Path(asked["record"]).write_text(json.dumps(lockfile.entries(Path.cwd(), [asked["stage"]])), encoding="utf-8")
        sys.exit(status)


def _say_in(log: Path) -> None:
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
