"""Attack one trained model with one suite and keep the outcome of every image; accuracies are derived from them.

ROW names an entry of section `rows` in params.yaml, which says in which threat models it is attacked. SUITE names a file in
lib/suites (pgd, autoattack, probes, all three together, or your own) and its entry in section `attacks`. Several machines can attack one
part of the images each (`--part`); `python -m tools.outcomes merge` joins them to the same file.
"""

from dataclasses import asdict
from pathlib import Path

from lib.base.command import command, result, source

import click
import torch

from lib.base import image_file, params
from lib.evaluation import outcome_file, outcomes, parts
from lib.evaluation.threats import threats
from lib.evaluation.work import Evaluation
from lib.network import checkpoint, runtime


@command(__doc__)
@click.argument("suite")
@click.argument("row")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--model", "Folder of the trained model.")
@click.option("--part", type=(click.IntRange(min=1), click.IntRange(min=1)), default=(1, 1), metavar="I K", help="Only part I of K.")
@result("HDF5 file of outcomes.")
def main(suite: str, row: str, seed: int, images: Path, model: Path, part: tuple[int, int], out: Path) -> None:
    settings = params.section(outcomes.suite(suite).Settings, "attacks", suite)
    plan, attacked = params.section(Evaluation, "evaluation"), threats(params.value("rows", row, "threats"))
    asked = outcomes.Asked(row, seed, suite, settings, attacked, plan)
    device = runtime.start(seed, "analysis")
    test = image_file.read(images, "test")
    network = checkpoint.read(model, device)
    common = {"weights": checkpoint.digest(model), "settings": asdict(settings), "threats": [asdict(one) for one in attacked]}
    common |= {"evaluation": asdict(plan), "device": device.type, "torch": torch.__version__}
    found, place = outcomes.part(network, test, asked, device, part, common)
    if part[1] == 1:
        outcome_file.write(out, found)
    else:
        parts.write(out, found, place)


if __name__ == "__main__":
    main()
