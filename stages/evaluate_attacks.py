"""Attack one trained model with one suite and keep the outcome of every image; accuracies are derived from them.

ROW names an entry of section `rows` in params.yaml, which says in which threat models it is attacked. SUITE names a file in
lib/suites (pgd, autoattack, probes, all three together, or your own) and its entry in section `attacks`.
"""

from pathlib import Path

import click

from lib.base import image_file, params
from lib.base.command import command, result, source
from lib.evaluation import outcome_file, outcomes
from lib.evaluation.threats import threats
from lib.evaluation.work import Evaluation
from lib.network import checkpoint, runtime


@command(__doc__)
@click.argument("suite")
@click.argument("row")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--model", "Folder of the trained model.")
@result("HDF5 file of outcomes.")
def main(suite: str, row: str, seed: int, images: Path, model: Path, out: Path) -> None:
    settings = params.section(outcomes.suite(suite).Settings, "attacks", suite)
    plan = params.section(Evaluation, "evaluation")
    attacked = threats(params.value("rows", row, "threats"))
    device = runtime.start(seed, "analysis")
    test = image_file.read(images, "test")
    network = checkpoint.read(model, device)
    outcome_file.write(out, outcomes.outcomes(network, test, row, seed, suite, settings, attacked, plan, device))


if __name__ == "__main__":
    main()
