"""The one exception that a person, not a programmer, is meant to read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Result = TypeVar("Result")
_noted: ContextVar[list[str] | None] = ContextVar("noted", default=None)


class InputError(ValueError):
    """Something given to the project is not usable; each sentence says what was expected, and what came.

    Commands print it after "Error: " and exit with 1. Anything else that is raised is a defect and keeps its traceback.

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
