"""What a person is meant to read: bad input, and what a machine refuses. Everything else is a bug and keeps its traceback."""

import errno
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

# What people and machines cause: no room, no right, no memory, a file for a folder, a name too long, a broken disk or network. Not here:
# what only code causes, such as a name that it made up (ENOENT), a file that it closed (EBADF), an argument that nothing takes (EINVAL).
CAUSED = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "ENOMEM", "EMFILE", "ENFILE", "EMLINK"),
        *("ENOTDIR", "EISDIR", "EEXIST", "ENOTEMPTY", "ENAMETOOLONG", "ELOOP", "EBUSY", "ETXTBSY", "EIO", "ENXIO", "ENODEV", "ESTALE"),
        *("ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", "EADDRINUSE"),
    )
}
# DVC keeps notes in SQLite, which has names of its own.
_SQLITE = {"FULL": errno.ENOSPC, "IOERR": errno.EIO, "READONLY": errno.EROFS, "CANTOPEN": errno.EACCES}
# How libraries put the number into words: HDF5, safetensors (two forms), Python's own, torch.
_NUMBER = re.compile(r"(?:\berrno = |\bcode: |\bos error |\[Errno |\bError code )(\d+)")

Result = TypeVar("Result")
_noted: ContextVar[list[str] | None] = ContextVar("noted", default=None)


class InputError(ValueError):
    """Something given to the project is not usable; each sentence says what was expected, and what came.

    Commands print it after "Error: " and exit with 1.

    >>> str(InputError("sigma must be positive, got -1.0", "steps must be positive, got 0"))
    'sigma must be positive, got -1.0\\nsteps must be positive, got 0'
    """

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


def require(condition: bool, sentence: str) -> None:
    """Raise `InputError(sentence)` unless `condition` holds; within `noting` only note the sentence.

    >>> require(0.15 > 0, "sigma must be positive, got 0.15")
    """
    if condition:
        return
    noted = _noted.get()
    if noted is None:
        raise InputError(sentence)
    noted.append(sentence)


@contextmanager
def noting() -> Iterator[list[str]]:
    """Inside, `require` notes what it would refuse and goes on, so that everything wrong is said at once; gives the list of sentences.

    Code behind a requirement that did not hold may fail in any way: whoever asks catches that.
    """
    noted: list[str] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def attempt(function: Callable[..., Result], *arguments: object) -> Result | None:
    """What the function gives; within `noting`, None where it refuses, with its sentences noted.

    >>> with noting() as noted:
    ...     attempt(require, False, "steps must be positive, got 0")
    >>> noted
    ['steps must be positive, got 0']
    """
    try:
        return function(*arguments)
    except InputError as error:
        noted = _noted.get()
        if noted is None:
            raise
        noted.extend(map(str, error.args))
        return None


def sentence(error: BaseException) -> str | None:
    """One sentence about what a person or a machine has caused; None for a bug, whose traceback is wanted.

    Caused are bad input, another program that fails, memory that is not there, and an `OSError` of the kinds `CAUSED`, also where a
    library says it in words of its own.

    >>> sentence(OSError(errno.ENOSPC, "No space left on device", "a.h5"))
    'expected to use a.h5, but this machine says: no space left on device'
    >>> sentence(FileNotFoundError(errno.ENOENT, "No such file or directory", "a.h5"))
    """
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, subprocess.CalledProcessError):  # a program that has said itself what is wrong
        return f"`{' '.join(map(str, error.cmd))}` ended with exit status {error.returncode}"
    number = refusal(error)
    if number is None:
        return None
    where = getattr(error, "filename2", None) or getattr(error, "filename", None)
    told = f"expected to use {os.fsdecode(where)}, but this machine says" if isinstance(where, (str, bytes)) else "this machine says"
    more = f" ({' '.join(str(error).split())[:200]})" if number == errno.ENOMEM and str(error) else ""
    return f"{told}: {os.strerror(number).lower()}{more}"


def refusal(error: BaseException) -> int | None:
    """The number (errno) of what the machine refuses; None if `error` is of another kind."""
    if isinstance(error, InputError):
        return None
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter of CUDA, by torch
        return errno.ENOMEM
    if (kept := getattr(error, "sqlite_errorname", None)) is not None:
        return _SQLITE.get(kept.split("_")[1])
    known = error.errno if isinstance(error, OSError) else None
    numbers = [known] if known is not None else map(int, _NUMBER.findall(str(error)))
    return next((number for number in numbers if number in CAUSED), None)


@contextmanager
def at(path: Path) -> Iterator[None]:
    """Inside, what the machine refuses is said of `path` where the error itself names no place."""
    try:
        yield
    except Exception as error:
        number = refusal(error)
        if number in (None, errno.ENOMEM) or getattr(error, "filename", None) is not None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
