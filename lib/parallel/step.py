"""One stage in one workspace, in a process of its own: `python -m lib.parallel.step`, given a JSON object on standard input.

The only way in which DVC runs beside itself is to reproduce single stages, each waiting for the repository's lock.
"""

import fcntl
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.base import lifetime

lifetime.begin()  # before DVC is imported
from dvc.cli import main as dvc  # noqa: E402

from lib.parallel import busy, lockfile  # noqa: E402


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


def main() -> None:
    """Read what is asked, wait for other processes with the same stage, and end with DVC's exit status."""
    busy.overlook_the_dead()
    given = json.load(sys.stdin)
    lockfile.STATE.mkdir(parents=True, exist_ok=True)
    # Two runs that came to the same stage take turns: the second finds it done.
    with open(lockfile.STATE / f"{given['stage'].replace(os.sep, '_')}.lock", "w", encoding="utf-8") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        status = reproduce(given["stage"], given["reads"], given["entries"], given["force"])
        if status == 0 and given["record"] is not None:
            Path(given["record"]).write_text(json.dumps(lockfile.entries(Path.cwd(), [given["stage"]])), encoding="utf-8")
        sys.exit(status)


if __name__ == "__main__":
    main()
