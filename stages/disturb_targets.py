"""Disturb target interpretations in one respect and keep others: structured nulls beside the permutation of pixels.

NULL names a file in lib/targets/controls (blocks, phase, sign, blur, or your own) and its entry in section `nulls` of params.yaml. SEED is
the replication, for nulls that draw at random. The result is called as the targets were, followed by the name of the null.
"""

from dataclasses import asdict
from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import params
from lib.base.choices import choice
from lib.base.errors import require
from lib.targets import target_file


@command(__doc__)
@click.argument("null", metavar="NULL")
@click.argument("seed", type=click.IntRange(min=0))
@source("--targets", "Target interpretations made by threshold, permute-targets or make-targets.")
@click.option("--chunk", type=click.IntRange(min=1), default=1000, help="Maps in memory at a time.")
@result("HDF5 file of disturbed target interpretations.")
def main(null: str, seed: int, targets: Path, chunk: int, out: Path) -> None:
    chosen = choice("lib.targets.controls", null, "null")
    settings = params.section(chosen.Settings, "nulls", null)
    with target_file.opened(targets) as (header, values):
        before = header.provenance.get("null", {}).get("name")
        require(before is None, f"{targets} holds targets that the null {before!r} has disturbed already")
        parts = (chosen.changed(part, rows, settings, seed) for rows, part in target_file.chunks(values, chunk))
        described = header.after("null", {"name": null, "seed": seed, **asdict(settings)}, f"{header.name}_{null}")
        target_file.write(out, described, values.shape, parts)


if __name__ == "__main__":
    main()
