"""Ray that a driver started for itself ends with it: when a driver is killed, Ray's workers go on for seconds, its agents for ever."""

import os
import re
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from lib.base import lifetime

SECONDS_BETWEEN_LOOKS = 0.1


def end_with_this() -> None:
    """From now on, the end of this process is that of the Ray session that it starts (Linux)."""
    if hasattr(os, "pidfd_open"):
        own = os.pidfd_open(os.getpid())
        lifetime.companion(["-m", "lib.parallel.session", str(own), str(os.getpid())], [own])


def members(driver: int) -> list[int]:
    """The processes of the Ray session that process `driver` started: they keep files of its folder open, whose name ends with `driver`."""
    own = re.compile(rf"/session_[^/]*_{driver}/")
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if any(map(own.search, _open_files(folder)))]


def _open_files(process: Path) -> list[str]:
    """Empty for a process of another user, or that has ended."""
    try:
        return [os.readlink(place) for place in (process / "fd").iterdir()]
    except OSError:
        return []


def _wait_and_end(descriptor: int, driver: int) -> None:
    select.select([descriptor], [], [])
    while found := members(driver):
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(SECONDS_BETWEEN_LOOKS)


if __name__ == "__main__":
    _wait_and_end(*map(int, sys.argv[1:]))
