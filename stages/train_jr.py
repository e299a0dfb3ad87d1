"""Train a network with Jacobian regularization: cross-entropy plus a penalty on its input-logits Jacobian (Eq. 13 of the paper).

ROW names an entry of section `jr` in params.yaml: lambda_j, the form of the penalty, and how many random projections estimate it.
"""

from functools import partial
from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import params
from lib.objectives import jacobian
from lib.training import launch, recipe


@command(__doc__)
@click.argument("row")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@result("Folder for weights, model description and training history.", folder=True)
def main(row: str, seed: int, images: Path, out: Path) -> None:
    settings = params.section(jacobian.Settings, "jr", row)
    objective = partial(jacobian.loss, settings=settings)
    recipe.train(objective, "student", seed, images, out, epochs=settings.epochs, batch_divisor=settings.batch_divisor)


if __name__ == "__main__":
    launch.run(main)
