"""Check the whole of params.yaml, what its sections say of each other and what the data allow: everything wrong at once, a sentence each.

What is written is always the same, so that nothing behind this stage reruns because of it.
"""

from contextlib import nullcontext
from pathlib import Path

from lib.base.command import command

import click

from lib.base import files
from lib.base.errors import InputError
from lib.settings import stand_ins

# Where this is all that the process does, packages that take seconds to load stay out of it.
loading = stand_ins.in_place if __name__ == "__main__" else nullcontext


@command(__doc__)
@click.option("--out", type=click.Path(path_type=Path), help="File that says so, for DVC.")
@click.option("--study", type=click.Path(exists=True, path_type=Path), help="A study's params.yaml, whose changes are tried as well.")
def main(out: Path | None, study: Path | None) -> None:
    problems = found(study)
    if problems:
        raise InputError(*problems)
    if out is not None:
        files.write(out, "params.yaml was checked\n")


def found(study: Path | None) -> list[str]:
    """Everything that is wrong; a module that asks more of a stand-in than it can give is loaded with the packages themselves."""
    try:
        with loading():
            problems = _in_itself(study)
    except Exception as error:
        if loading is nullcontext or isinstance(error, InputError):
            raise
        problems = _in_itself(study)
    return problems or _of_data()


def _in_itself(study: Path | None) -> list[str]:
    from lib.settings import check

    return check.of_parameters() or (check.of_study(study) if study else [])


def _of_data() -> list[str]:
    from lib.settings import check

    return check.of_data()


if __name__ == "__main__":
    main()
