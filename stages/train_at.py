"""Train a network adversarially: PGD examples in place of the images (Sec. 3.2 of the paper).

ROW names an entry of section `at` in params.yaml, which holds the radius and the settings of the attack.
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
    settings = params.section(adversarial.Settings, "at", row)
    recipe.train(partial(adversarial.loss, settings=settings), "student", seed, images, out, epochs=settings.epochs)


if __name__ == "__main__":
    launch.run(main)
