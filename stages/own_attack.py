"""Find the robust radius of every test image under one trained model by an attack of your own.

NAME names a file in lib/own_attacks and its entry in section `own_attacks` of params.yaml; ROW an entry of section `rows`. All attacks
together give an image the shortest radius that any of them found.
"""

from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.attacks import outcomes, own
from lib.attacks.work import Evaluation
from lib.base import image_file, params
from lib.evaluation import outcome_file
from lib.network import checkpoint, runtime


@command(__doc__)
@click.argument("name")
@click.argument("row")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--model", "Folder of the trained model.")
@result("HDF5 file of robust radii.")
def main(name: str, row: str, seed: int, images: Path, model: Path, out: Path) -> None:
    settings = params.section(own.suite(name).Settings, "own_attacks", name)
    plan = params.section(Evaluation, "evaluation")
    device = runtime.start(seed, "analysis")
    test = image_file.read(images, "test")
    network = checkpoint.read(model, device)
    outcome_file.write(out, outcomes.outcomes(network, test, own.asked(row, seed, name, settings, plan), device))


if __name__ == "__main__":
    main()
