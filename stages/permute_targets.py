"""Make all target interpretations of one seed: its saliency maps after the threshold (Sec. 3.1 of the paper), and permuted sets (Sec. 4.4).

Beside <teacher>_<method>.h5 for every teacher and method of section `saliency` stands <source>_<level>.h5 for every level of section
`permute`. A set whose settings and maps are what they were has the bytes that it had: what is made from it alone does not run again.
"""

from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import files, params
from stages import permute, threshold


@command(__doc__)
@click.argument("seed", type=click.IntRange(min=0))
@source("--maps", "Folder of the seed's maps, made by extract-saliency.")
@click.option("--chunk", type=click.IntRange(min=1), default=1000, help="Maps in memory at a time.")
@result("Folder with one HDF5 file per target set.", folder=True)
def main(seed: int, maps: Path, chunk: int, out: Path) -> None:
    permuted = params.value("permute", "source")
    with files.writing_folder(out) as part:
        for teacher in params.value("saliency", "teachers"):
            for method in params.names("saliency", "methods"):
                threshold.write(maps / f"{teacher}_{method}.h5", part / f"{teacher}_{method}.h5", chunk)
        for level in params.names("permute", "fractions"):
            permute.write(level, seed, part / f"{permuted}.h5", part / f"{permuted}_{level}.h5", chunk)


if __name__ == "__main__":
    main()
