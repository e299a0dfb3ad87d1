"""Train a teacher: a network whose input gradients become target interpretations.

ROW names an entry of section `teachers` in params.yaml. With `epsilon: null` the teacher sees clean images (standard training, NR);
otherwise PGD examples take their place (adversarial training, R). The two are also the rows "Standard" and "AT" of the tables.
"""

from functools import partial
from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import params
from lib.objectives import adversarial
from lib.training import launch, recipe


@command(__doc__)
@click.argument("row")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@result("Folder for weights, model description and training history.", folder=True)
def main(row: str, seed: int, images: Path, out: Path) -> None:
    settings = params.section(adversarial.Settings, "teachers", row)
    recipe.train(partial(adversarial.loss, settings=settings), "teacher", seed, images, out, epochs=settings.epochs)


if __name__ == "__main__":
    launch.run(main)
