"""Files that DVC calls busy because a process reads or writes them, or has until it was killed."""

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TextIO, TypeVar

import psutil
from dvc import rwlock
from dvc.lock import LockError

from lib.base.errors import InputError

SECONDS = 60.0
Found = TypeVar("Found")


def overlook_the_dead() -> None:
    """From now on DVC, in this process, takes nobody for busy who was killed, and reads on where one left its notes half written.

    By itself it takes a process for alive until its parent has noticed its end: in a container there is often nobody who does.
    """
    rwlock.psutil = SimpleNamespace(pid_exists=lives)
    rwlock.json = SimpleNamespace(**vars(json) | {"load": _notes})


def _notes(file: TextIO) -> dict:
    """What DVC notes of who is at work; it reads under a lock, so that nobody is writing a part of it now."""
    try:
        return json.load(file)
    except ValueError:
        return {}


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def patiently(find: Callable[[], Found], seconds: float = SECONDS) -> Found:
    """What `find` gives, tried again while files are busy: steps of a driver that was just killed take a moment to end.

    Raises:
        InputError: they still are after `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return find()
        except LockError as error:
            if time.monotonic() > end:
                raise InputError(f"gave up after {seconds:.0f} s: {' '.join(str(error).split())}") from error
            time.sleep(0.5)
