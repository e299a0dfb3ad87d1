"""Train a student with Interpretation Regularization: its gradients should resemble target interpretations (Eq. 9 of the paper).

ROW names an entry of section `ir` in params.yaml: lambda_d for the direction and lambda_m for the magnitude of the gradients.
"""

from functools import partial
from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import params
from lib.objectives import interpretation
from lib.training import launch, recipe


@command(__doc__)
@click.argument("row")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--targets", "Target interpretations of its train split.")
@result("Folder for weights, model description and training history.", folder=True)
def main(row: str, seed: int, images: Path, targets: Path, out: Path) -> None:
    settings = params.section(interpretation.Settings, "ir", row)
    recipe.train(partial(interpretation.loss, settings=settings), "student", seed, images, out, targets, epochs=settings.epochs)


if __name__ == "__main__":
    launch.run(main)
