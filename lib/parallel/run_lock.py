"""One run at a time in a folder: a second one is told of the first."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.base.errors import InputError


@contextmanager
def only_run(path: Path) -> Iterator[None]:
    """Inside, this process is the only one that is inside with the same `path`; raises `InputError` if another is.

    A process that was killed has left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            who = file.read().strip() or "another process"
            raise InputError(f"{who} is at work in {path.resolve().parents[3]}; wait until it is done, or stop it") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
