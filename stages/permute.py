"""Permute target interpretations: a fraction of each map's pixels change places among themselves (Sec. 4.4 of the paper).

LEVEL names an entry of section `permute.fractions` in params.yaml. Each map keeps its values, so their mean and deviation.
"""

from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import params
from lib.targets import target_file, transforms


@command(__doc__)
@click.argument("level")
@click.argument("seed", type=click.IntRange(min=0))
@source("--targets", "Target interpretations made by threshold.")
@click.option("--chunk", type=click.IntRange(min=1), default=1000, help="Maps in memory at a time.")
@result("HDF5 file of permuted target interpretations.")
def main(level: str, seed: int, targets: Path, chunk: int, out: Path) -> None:
    write(level, seed, targets, out, chunk)


def write(level: str, seed: int, targets: Path, out: Path, chunk: int) -> None:
    """Write the targets of one file, permuted to a level of section `permute`, to `out`."""
    fraction, noise_seed, rule = (params.value("permute", *keys) for keys in (("fractions", level), ("seed",), ("rule",)))
    settings = transforms.Permutation(fraction, noise_seed, seed, rule)
    with target_file.opened(targets) as (header, values):
        parts = (transforms.permute(part, rows, settings) for rows, part in target_file.chunks(values, chunk))
        target_file.write(out, header.after("permute", vars(settings), f"{header.name}_{level}"), values.shape, parts)


if __name__ == "__main__":
    main()
