"""Train a student to answer as a teacher does: cross-entropy plus the divergence of the student's softened answers from the teacher's.

ROW names an entry of section `distillation` in params.yaml: lambda_k and the temperature, and lambda_d and lambda_m of Interpretation
Regularization, which may be added. Targets are needed where lambda_d is above 0.
"""

from functools import partial
from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import params
from lib.network import checkpoint, runtime
from lib.objectives import distillation
from lib.training import launch, recipe


@command(__doc__)
@click.argument("row")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--teacher", "Folder of the trained teacher.")
@click.option("--targets", type=click.Path(exists=True, path_type=Path), help="Target interpretations of the train split.")
@result("Folder for weights, model description and training history.", folder=True)
def main(row: str, seed: int, images: Path, teacher: Path, targets: Path | None, out: Path) -> None:
    settings = params.section(distillation.Settings, "distillation", row)
    known = checkpoint.read(teacher, runtime.device()).requires_grad_(False)
    objective = partial(distillation.loss, settings=settings, teacher=known)
    recipe.train(objective, "student", seed, images, out, targets, epochs=settings.epochs, inputs=(teacher,))


if __name__ == "__main__":
    launch.run(main)
