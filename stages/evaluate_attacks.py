"""Find the robust radius of every test image under one trained model, in both norms, and what the paper's attack and AutoAttack say.

ROW names an entry of section `rows` in params.yaml, which says in which threat models the paper's attack is run; the attacks stand in
section `attacks`. Several machines can attack one part of the images each (`--part`); `python -m tools.outcomes merge` joins them to the
same file.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib.base.command import command, result, source

import click
import torch

from lib.attacks import outcomes
from lib.attacks.work import Evaluation
from lib.base import image_file, params
from lib.evaluation import outcome_file, parts
from lib.evaluation.threats import threats
from lib.network import checkpoint, runtime


@command(__doc__)
@click.argument("row")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--model", "Folder of the trained model.")
@click.option("--part", type=(click.IntRange(min=1), click.IntRange(min=1)), default=(1, 1), metavar="I K", help="Only part I of K.")
@result("HDF5 file of robust radii.")
def main(row: str, seed: int, images: Path, model: Path, part: tuple[int, int], out: Path) -> None:
    settings, plan = params.section(outcomes.Settings, "attacks"), params.section(Evaluation, "evaluation")
    attacked = threats(params.value("rows", row, "threats"))
    device = runtime.start(seed, "analysis")
    test = image_file.read(images, "test")
    network = checkpoint.read(model, device)
    common: dict[str, Any] = {"weights": checkpoint.digest(model), "threats": [asdict(one) for one in attacked]}
    common |= {"evaluation": asdict(plan), "device": device.type, "torch": torch.__version__}
    asked = outcomes.evaluation(row, seed, settings, attacked, plan)
    found, place = outcomes.part(network, test, asked, device, part, common)
    if part[1] == 1:
        outcome_file.write(out, found)
    else:
        parts.write(out, found, place)


if __name__ == "__main__":
    main()
