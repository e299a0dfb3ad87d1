"""What every training stage does around its objective: read, build, fit, write."""

from pathlib import Path

from lib import target_file
from lib.base import image_file, params
from lib.base.errors import require
from lib.network import architecture, batches, checkpoint, runtime
from lib.training import loop
from lib.training.loop import Objective


def train(objective: Objective, role: str, seed: int, images: Path, out: Path, targets: Path | None = None) -> None:
    """Train one network of section `model` with `objective` by section `training`, and write it to the folder `out`.

    Args:
        role: "teacher" or "student"; they start from different weights (lib/network/runtime.py).
        targets: file of target interpretations of the train split, for objectives that need them.

    Raises:
        InputError: unusable settings or files, or a loss that became non-finite; nothing is written then.
    """
    plan, settings = params.section(loop.Plan, "training"), params.section(architecture.Model, "model")
    train_split, validation_split = image_file.read(images, "train"), image_file.read(images, "validation")
    require(plan.batch_size <= len(train_split), f"batch_size {plan.batch_size} is larger than the {len(train_split)} training images")
    maps = None if targets is None else target_file.read(targets, train_split)[1]
    device = runtime.start(seed, role)
    shape = (train_split.images.shape[1], train_split.images.shape[2], train_split.images.shape[3])
    model = architecture.build(settings, shape, train_split.classes).to(device)
    data, validation = batches.on_device(train_split, device, maps), batches.on_device(validation_split, device)
    history = loop.fit(model, data, validation, objective, plan, runtime.derived_seed(seed, role))
    checkpoint.write(out, model, settings, shape, train_split.classes, history)
