"""Look at target files, check them, compare them, join their parts, and make them from maps of your own."""

import json
import sys
from pathlib import Path
from textwrap import fill
from typing import get_args

import click

from lib.base.command import Group, command, result, source
from lib.base.errors import InputError
from lib.sharing.inspection import checks, difference, facts, imported
from lib.sharing.inspection.checks import Check, Means
from lib.sharing.inspection.provenance import printable
from lib.targets import target_file
from lib.targets.extraction import shards

FILE = click.Path(path_type=Path)
WIDTH = 110
GIVEN = click.Path(exists=True, path_type=Path)


@click.group(cls=Group, help=__doc__)
def main() -> None:
    """The commands below."""


@command("What is this: provenance, shape, statistics and digests of a target set or a shard, and on request a picture.")
@click.argument("file", type=FILE)
@click.option("--gallery", type=FILE, help="Draw the first maps, of different classes if the images are given, into this PNG.")
@click.option("--images", type=GIVEN, help="Image file that the maps were made from.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def inspect(file: Path, gallery: Path | None, images: Path | None, as_json: bool) -> None:
    found = facts.read(file)
    if gallery is not None:
        from lib.sharing.inspection import gallery as pictures  # Altair takes a second to import

        pictures.draw(file, gallery, images)
    elif images is not None:
        raise InputError("--images is for the picture, name its place with --gallery; `verify` compares a file with its images")
    click.echo(json.dumps(facts.to_json(found), indent=1, sort_keys=True) if as_json else facts.in_words(found))


@command("Check target sets or shards: format, digests, values, and, with --images and --model, whether they are what they say.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("--images", type=GIVEN, help="Image file that they were made from.")
@click.option("--model", type=GIVEN, help="Folder of the teacher that they were made from.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=Means.rows, help="Maps to make again at least, drawn at random in whole passes."
)
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=Means.tolerance, help="How far these may be off, relative to their norm."
)
def verify(files: tuple[Path, ...], images: Path | None, model: Path | None, rows: int, tolerance: float) -> None:
    means, failures = Means(images, model, rows, tolerance), []
    for file in files:
        found = checks.checks(file, means)
        click.echo(_in_words(file, found))
        failed = [check.name for check in found if check.verdict == "failed"]
        failures += [f"{file} ({', '.join(failed)})"] if failed else []
    if failures:
        raise InputError(f"{len(failures)} of {len(files)} files failed a check: {'; '.join(failures)}")


@command("Compare two target sets or shards: bytes, provenance, and map by map. Exit status 0: the same maps; 1: others.")
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option("--tolerance", type=click.FloatRange(min=0), help="Maps are the same if none is further off than this, relative to its norm.")
def diff(a: Path, b: Path, tolerance: float | None) -> None:
    found = difference.difference(a, b)
    click.echo(difference.in_words(found, tolerance))
    if not found.within(tolerance):
        sys.exit(1)


@command("Join shards of one target set, given in any order; the result has the bytes that one extraction gives.")
@click.argument("parts", metavar="SHARD...", nargs=-1, required=True, type=FILE)
@result("Target file.")
def merge(parts: tuple[Path, ...], out: Path) -> None:
    digest = shards.merge(parts, out)
    with target_file.opened(out, shard=True) as (_, maps):
        click.echo(f"{out}: {len(maps)} maps, {facts.extent(maps.place, maps.shape)}; content {digest}")


@command("Make a target set from your own maps: FILE is .npy, .npz or .h5, float16, 32 or 64, (N, C, H, W) or (N, H, W).")
@click.argument("file", type=FILE)
@source("--images", "Image file; map i will belong to its train image i.")
@click.option("--name", required=True, help="What the target set is to be called.")
@click.option("--dataset", help="Which array of an .npz (needed if there are several), or the path of the dataset inside an HDF5 file.")
@click.option(
    "--order",
    type=click.Choice(get_args(imported.Order)),
    default="split",
    help="split: row i of FILE is train image i; source: row i is image i of the dataset that the images come from.",
)
@click.option("--note", default="", help="A sentence for the provenance.")
@result("Target file.")
def import_(file: Path, images: Path, name: str, dataset: str | None, order: imported.Order, note: str, out: Path) -> None:
    found = imported.imported(file, images, name, out, dataset, order, note)
    click.echo(f"{out}: {found.maps} maps, {found.zero} of them all zero; content {found.digest}")


def _in_words(file: Path, found: list[Check]) -> str:
    """One line for every check of a file, and what cannot be known of it."""
    lines = [f"  {check.verdict:<12} {check.name:<9} {printable(check.note)}" for check in found]
    unknown = checks.unknowns(found, checks.header_of(file))
    sentences = [fill(printable(one), WIDTH, initial_indent="  - ", subsequent_indent="    ") for one in unknown]
    return "\n".join([printable(str(file)), *lines, "  What cannot be known:", *sentences])


for name, one in {"inspect": inspect, "verify": verify, "diff": diff, "merge": merge, "import": import_}.items():
    main.add_command(one, name)


if __name__ == "__main__":
    main()
