"""What every command shares: it explains itself by its module's docstring, reports bad input as one sentence, says in which environment
its result was made, ends with the `dvc` that runs it, and can be timed.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

from lib.base import environment, lifetime
from lib.base.errors import InputError

lifetime.begin()  # before the command's module imports torch and the like


def command(doc: str | None) -> Callable[[Callable[..., None]], click.Command]:
    """A click command whose help is `doc`; an `InputError` becomes "Error: <sentence>" and exit status 1."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def guarded(*args: Any, records: Path | None = None, **kwargs: Any) -> None:
            try:
                with _timed(), environment.recorded(kwargs.get("out"), records):
                    function(*args, **kwargs)
            except InputError as error:
                raise click.ClickException(str(error)) from error

        return click.command(help=doc, context_settings={"show_default": True})(guarded)

    return decorate


def source(name: str, help: str, **settings: Any) -> Callable:
    """A required option naming an existing file or folder to read."""
    return click.option(name, type=click.Path(exists=True, path_type=Path), required=True, help=help, **settings)


def result(help: str = "Where the result goes; it appears there only when complete.") -> Callable:
    """The required option --out, and --records, which the command itself never sees."""
    out = click.option("--out", type=click.Path(path_type=Path), required=True, help=help)
    where = "Folder for a record of the environment (versions, device, commit); a record that is there already is kept true without it."
    records = click.option("--records", type=click.Path(path_type=Path), show_default=False, help=where)
    return lambda function: out(records(function))


@contextmanager
def _timed() -> Iterator[None]:
    """Where STAGE_TIMES names a file, add a line to it (Linux): the stage, seconds from process start to here, seconds of work.

    A command that runs others in its process counts once.
    """
    log = os.environ.pop("STAGE_TIMES", None)
    if log is None:
        yield
        return
    entered = time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # when the process started, after boot
    startup = entered - ticks / os.sysconf("SC_CLK_TCK")
    try:
        yield
    finally:
        os.environ["STAGE_TIMES"] = log
    work = time.clock_gettime(time.CLOCK_BOOTTIME) - entered
    line = {"stage": os.environ.get("DVC_STAGE", "?"), "startup": startup, "work": work}
    with open(log, "a") as file:
        file.write(json.dumps(line) + "\n")
