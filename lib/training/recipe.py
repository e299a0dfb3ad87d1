"""What every training stage does around its objective: read, build, fit, write."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lib.base import digests, image_file, params
from lib.base.errors import InputError, require
from lib.network import architecture, batches, checkpoint, processes, runtime
from lib.targets import target_file
from lib.training import loop
from lib.training.augment import thresholded
from lib.training.objective import Objective
from lib.training.resume import Store, fingerprint
from lib.training.shuffling import Finish


def train(
    objective: Objective,
    role: str,
    seed: int,
    images: Path,
    out: Path,
    targets: Path | None = None,
    *,
    epochs: int | None = None,
    batch_divisor: int = 1,
    inputs: Sequence[Path] = (),
) -> None:
    """Train one network of section `model` with `objective` by section `training`, and write it to the folder `out`.

    A training that was killed goes on after its last finished epoch (lib/training/resume.py). Of several processes
    (lib/network/processes.py) the first writes, and the others end here.

    Args:
        role: "teacher" or "student"; they start from different weights (lib/network/runtime.py).
        targets: file of target interpretations of the train split, for objectives that need them.
        epochs: in place of those of section `training`.
        batch_divisor: what batch size and learning rate are divided by.
        inputs: folders of further models that the objective reads.

    Raises:
        InputError: unusable settings or files, or a loss that became non-finite; nothing is written then.
    """
    plan, settings = divided(planned(epochs), batch_divisor), params.section(architecture.Model, "model")
    train_split, validation_split = image_file.read(images, "train"), image_file.read(images, "validation")
    # Only a selection that says it leaks opens the test split.
    test_split = image_file.read(images, "test") if plan.selection == "leaking_test" else None
    require(plan.batch_size <= len(train_split), f"batch_size {plan.batch_size} is larger than the {len(train_split)} training images")
    header, maps = (None, None) if targets is None else target_file.read(targets, train_split)
    device = runtime.start(seed, role)
    shape = (train_split.images.shape[1], train_split.images.shape[2], train_split.images.shape[3])
    model = architecture.build(settings, shape, train_split.classes).to(device)
    splits = [split for split in (train_split, validation_split, test_split) if split is not None]
    read = {"images": [split.digest for split in splits], "inputs": list(map(checkpoint.digest, inputs))}
    read |= {} if targets is None else {"targets": [digests.of_file(targets)]}
    store = Store(out, fingerprint(objective, plan=plan, model=settings, role=role, seed=seed, device=device.type, **read))
    data, validation = batches.on_device(train_split, device, maps), batches.on_device(validation_split, device)
    test = None if test_split is None else batches.on_device(test_split, device)
    goal = (model, data, validation, objective, plan, runtime.derived_seed(seed, role))
    try:
        history = loop.fit(*goal, test=test, finish=finishing(header), store=store)
        checkpoint.require_finite(model, f"the training of {out}, of which nothing was written")
    except InputError:
        store.remove()  # it would fail again at the same step
        raise
    processes.leave()
    checkpoint.write(out, model, settings, shape, train_split.classes, history)
    store.remove()


def planned(epochs: int | None) -> loop.Plan:
    """Section `training`, with a row's own number of epochs where it has one."""
    plan = params.section(loop.Plan, "training")
    return plan if epochs is None else replace(plan, epochs=epochs)


def divided(plan: loop.Plan, divisor: int) -> loop.Plan:
    """`plan` with batch size and learning rate divided by `divisor`."""
    fits = divisor >= 1 and plan.batch_size % divisor == 0
    require(fits, f"batch_divisor must be a divisor of batch_size {plan.batch_size}, got {divisor}")
    return replace(plan, batch_size=plan.batch_size // divisor, learning_rate=plan.learning_rate / divisor)


def finishing(header: target_file.Header | None) -> Finish | None:
    """The threshold that each batch's targets still need, where their file says `when: after` (augmentation)."""
    settings = {} if header is None else header.provenance.get("threshold", {})
    if settings.get("when") != "after":
        return None
    return partial(thresholded, phi=settings["phi"], ddof=settings["ddof"])
