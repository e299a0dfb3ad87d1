"""A stage ends with the `dvc` that started it: SIGKILL of `dvc` alone would leave it writing beside its successor."""

import os
import select
import signal
import threading
from pathlib import Path

# DVC starts a stage through $SHELL, which may stay between the two and outlive `dvc`.
SHELLS = {"sh", "ash", "dash", "bash", "zsh", "ksh", "fish"}


def end_with_dvc() -> None:
    """Kill this process as soon as the `dvc` that runs it has ended (Linux); a process that no `dvc` runs is left alone."""
    if "DVC_STAGE" in os.environ and hasattr(os, "pidfd_open"):
        end_with(_runner(os.getppid()))


def end_with(pid: int) -> None:
    """Kill this process as soon as process `pid` has ended.

    PR_SET_PDEATHSIG would do for a parent, not for whoever started that.
    """
    try:
        other = os.pidfd_open(pid)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=_wait_and_end, args=(other,), daemon=True, name="lifetime").start()


def _wait_and_end(other: int) -> None:
    select.select([other], [], [])
    os.kill(os.getpid(), signal.SIGKILL)


def _runner(pid: int) -> int:
    """The nearest of `pid`, its parent, … that is no shell."""
    while pid > 1 and (known := _name_and_parent(pid)) is not None and known[0] in SHELLS:
        pid = known[1]
    return pid


def _name_and_parent(pid: int) -> tuple[str, int] | None:
    """None if there is no such process any more."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name = told[told.index("(") + 1 : told.rindex(")")]
    return name, int(told[told.rindex(")") + 2 :].split()[1])
