"""Make what the variants of all studies share under one seed: teachers, maps, targets and the student of IR(R,SmG), by preset `strict`.

Files and folders are named by digests of what they depend on; a variant looks for its own steps there first.
"""

from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import files, params
from lib.studies import trial
from lib.studies.chain import Chain


@command(__doc__)
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@result("Folder of the steps.", folder=True)
def main(seed: int, images: Path, out: Path) -> None:
    with files.writing_folder(out) as part:
        trial.prepare(Chain(seed, images, part), params.value("saliency", "teachers"), params.names("saliency", "methods"))


if __name__ == "__main__":
    main()
