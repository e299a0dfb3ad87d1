"""Put several revisions of the project side by side: the report of each on one page, with differences and intervals, and one table.

REVISIONS are what Git or DVC has a name for: commits, branches, tags, experiments, and `workspace`; the first is what the others are
compared with. Without any: HEAD and workspace. Results come from Git and from DVC's cache or remote; the workspace is not touched.
"""

import tempfile
from pathlib import Path

import click

from lib.base import files
from lib.base.command import command
from lib.base.errors import require
from lib.compare import frames, page
from lib.compare.revision import WORKSPACE, Revision, read
from lib.evaluation.outcome_file import Outcomes
from lib.sharing import remote_store

DEFAULT = ("HEAD", WORKSPACE)
PAGE, TABLE, RADII = "index.html", "comparison.csv", "radii.csv"


@command(__doc__)
@click.argument("revisions", nargs=-1)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("comparison"), help=f"Folder for {PAGE}, {TABLE} and {RADII}."
)
def main(revisions: tuple[str, ...], out: Path) -> None:
    names = revisions or DEFAULT
    require(len(names) > 1, f"expected at least two revisions to compare, got {names[0]}")
    require(len(set(names)) == len(names), f"expected different revisions, got {', '.join(names)}")
    found = gathered(names)
    compared = frames.frames(found)
    files.write(out / PAGE, page.render(found, compared))
    for name, frame in {TABLE: frames.accuracies(compared["changes"]), RADII: frames.mean_radii(compared["changes"])}.items():
        files.write(out / name, frame.to_csv(index=False, lineterminator="\n"))
    click.echo(f"{page.text(found, compared)}\nThe comparison is {out / PAGE}.")


def gathered(names: tuple[str, ...]) -> list[Revision]:
    """What each revision found."""
    known: dict[str, Outcomes] = {}
    with remote_store.project(Path()) as repo, tempfile.TemporaryDirectory() as scratch:
        return [read(repo, name, Path(scratch), known) for name in names]


if __name__ == "__main__":
    main()
