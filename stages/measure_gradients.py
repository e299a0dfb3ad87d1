"""Measure the input gradients of every model of one seed, image by image, in eval mode.

Norms of label and non-label rows of the input-logits Jacobian (Figure 4), cosine with the model's own targets (Figure 3c) and with
one reference target set for all.
"""

from pathlib import Path

from lib.base.command import command, result, source

import click
import numpy as np

from lib.base import image_file, params
from lib.base.errors import require
from lib.gradients import alignment, gradient_file
from lib.network import batches, checkpoint, runtime
from lib.network.progress import progress
from lib.targets import target_file, transforms


@command(__doc__)
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--models", "Folder with one model folder per row.")
@source("--targets", "Folder with one file per target set.")
@result("HDF5 file of measurements.")
def main(seed: int, images: Path, models: Path, targets: Path, out: Path) -> None:
    plan = params.section(alignment.Plan, "gradients")
    rows = params.names("rows")
    checkpoint.all_of(models, rows)
    device = runtime.start(seed, "analysis")
    train = image_file.read(images, "train")
    require(plan.images is None or plan.images <= len(train), f"gradients.images is {plan.images}, the train split has {len(train)}")
    data = batches.on_device(train, device).take(slice(0, plan.images))
    sets = {name: _finished(targets / f"{name}.h5", train, len(data)) for name in {*params.value("ir"), plan.reference}}
    measured = {
        row: alignment.gradients(checkpoint.read(models / row, device), data, sets[plan.reference], sets.get(row), plan)
        for row in progress(rows, "measuring gradients", unit="model")
    }
    gradient_file.write(out, seed, plan.reference, train.digest, np.arange(len(data)), measured)


def _finished(path: Path, train: image_file.Split, count: int) -> np.ndarray:
    header, maps = target_file.read(path, train)
    return transforms.finished(header.provenance, maps[:count])


if __name__ == "__main__":
    main()
