"""What every command shares: it explains itself by its module's docstring, and what a person or a machine causes ends in one sentence.

A stage and most tools also say in which environment their result was made, end with the `dvc` that runs them, and can be timed.
"""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

from lib.base import environment, errors, files, lifetime


class Command(click.Command):
    """What `errors.sentence` has a sentence for becomes "Error: <sentence>" and exit status 1; a bug keeps its traceback.

    Of what is printed, characters that the terminal or file has no sign for are written as \\u221e.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            sentence = errors.sentence(error)
            if sentence is None:
                raise
            raise click.ClickException(sentence) from error


class Group(Command, click.Group):
    """A group of commands, all of them with one entrance."""


lifetime.begin()  # before the command's module imports torch and the like


def command(doc: str | None) -> Callable[[Callable[..., None]], click.Command]:
    """A click command whose help is `doc`; that its result has a place is asked before it works."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def guarded(*args: Any, records: Path | None = None, **kwargs: Any) -> None:
            out = kwargs.get("out")
            if out is not None:
                files.require_place(out)
            with _timed(), environment.recorded(out, records):
                function(*args, **kwargs)

        return click.command(cls=Command, help=doc, context_settings={"show_default": True})(guarded)

    return decorate


def source(name: str, help: str, **settings: Any) -> Callable:
    """A required option naming an existing file or folder to read."""
    return click.option(name, type=click.Path(exists=True, path_type=Path), required=True, help=help, **settings)


def result(help: str = "Where the result goes; it appears there only when complete.", folder: bool = False) -> Callable:
    """The required option --out, a file or a folder, and --records, which the command itself never sees."""
    out = click.option("--out", type=click.Path(path_type=Path, file_okay=not folder, dir_okay=folder), required=True, help=help)
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
    ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])  # when the process started, after boot
    startup = entered - ticks / os.sysconf("SC_CLK_TCK")
    try:
        yield
    finally:
        os.environ["STAGE_TIMES"] = log
    work = time.clock_gettime(time.CLOCK_BOOTTIME) - entered
    line = {"stage": os.environ.get("DVC_STAGE", "?"), "startup": startup, "work": work}
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
