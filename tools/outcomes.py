"""Join the parts of one evaluation, which several machines have attacked (`python -m stages.evaluate_attacks … --part I K`)."""

from pathlib import Path

import click

from lib.base.command import Group, command, result
from lib.evaluation import parts


@click.group(cls=Group, help=__doc__)
def main() -> None:
    """The command below."""


@command("Join all parts of one evaluation, given in any order; the result has the bytes that one evaluation gives.")
@click.argument("files", metavar="PART...", nargs=-1, required=True, type=click.Path(path_type=Path))
@result("HDF5 file of robust radii.")
def merge(files: tuple[Path, ...], out: Path) -> None:
    found = parts.merge(files, out)
    click.echo(f"{out}: {found.row}, seed {found.seed}; {int(found.clean.sum())} of {len(found.rows)} images attacked")


main.add_command(merge)


if __name__ == "__main__":
    main()
