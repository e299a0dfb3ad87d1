"""How far the parameters' gradient of each objective moves when it is computed in bfloat16.

For a network as initialised and after some epochs of standard training in float32, without dropout and from the same random starts and
vectors: relative error and cosine of the gradient against float32, with only the network in bfloat16 (what training does), and with the
whole objective within autocast.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.step_cost import objectives
from lib.base import image_file, params
from lib.base.command import command, source
from lib.network import architecture, batches, runtime
from lib.network.batches import Batch
from lib.network.model_state import frozen, mode
from lib.objectives import adversarial
from lib.training import loop
from lib.training.augment import thresholded
from lib.training.objective import Objective
from lib.training.steps import Gradients, split

WIDE = {"conv_bias": False, "initialisation": "he", "final_momentum": 0.1}


def gradient(model: nn.Module, objective: Objective, batch: Batch, precision: str) -> Tensor:
    """The gradient as one vector; the model's buffers end as they were."""
    buffers = [buffer.clone() for buffer in model.buffers()]
    step = Gradients(model, objective, torch.Generator(batch.images.device).manual_seed(0), model.zero_grad, precision=precision, parts=1)
    step(batch)
    for buffer, saved in zip(model.buffers(), buffers):
        buffer.copy_(saved)
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def within_autocast(objective: Objective) -> Objective:
    """The objective with everything in it under autocast: losses, norms, cosines and inner gradients."""

    def lowered(model: nn.Module, batch: Batch, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.autocast(batch.images.device.type, torch.bfloat16, cache_enabled=False):
            return objective(model, batch, noise)

    return lowered


def on_fixed_examples(model: nn.Module, settings: adversarial.Settings, batch: Batch) -> Batch:
    """The batch with adversarial examples found in float32 in place of its images."""
    with frozen(model), mode(model, training=settings.mode == "train"):
        found = adversarial.examples(model, batch, torch.Generator(batch.images.device).manual_seed(0), settings)
    return replace(batch, images=found)


def compared(found: Tensor, exact: Tensor) -> tuple[float, float]:
    """Relative error and cosine."""
    return float((found - exact).norm() / exact.norm()), float(torch.cosine_similarity(found, exact, dim=0))


def lines(model: nn.Module, data: list[Batch], state: str) -> Iterator[str]:
    """A line of the table for each objective: medians over the batches in `data`."""
    given = objectives()
    cases = {name: (objective, data) for name, objective in given.items()}
    settings = given["AT"].keywords["settings"]  # type: ignore[attr-defined]
    cases["AT, same examples"] = (given["standard"], [on_fixed_examples(model, settings, batch) for batch in data])
    for name, (objective, batches_of) in cases.items():
        ways = {"float32": within_autocast(objective), "bfloat16": objective}
        found = [
            [compared(gradient(model, ways[way], batch, way), gradient(model, objective, batch, "float32")) for batch in batches_of]
            for way in ways
        ]
        everything, network = np.median(found, axis=1)
        yield f"| {state} | {name} | {network[0]:.4f} | {network[1]:.5f} | {everything[0]:.4f} | {everything[1]:.5f} |"


def without_dropout(model: nn.Module) -> nn.Module:
    """`model`, with every dropout layer set to drop nothing."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def batches_with_targets(data: Batch, size: int, count: int) -> list[Batch]:
    """The first `count` batches, with thresholded noise as targets."""
    first = data.take(slice(0, size * count))
    noise = torch.randn(first.images.shape, generator=torch.Generator().manual_seed(0)).to(first.images.device)
    return split(replace(first, targets=thresholded(noise, 1.0, 1)), count)


def trained(model: nn.Module, train: Batch, validation: Batch, plan: loop.Plan) -> Iterable[str]:
    """Fit the model on clean images."""
    loop.fit(model, train, validation, objectives()["standard"], plan, 0)
    return lines(without_dropout(model).train(), batches_with_targets(train, plan.batch_size, 8), f"after {plan.epochs} epochs")


@command(__doc__)
@source("--images", "Image file made by prepare-data.")
@click.option("--wide", is_flag=True, help="WRN-10-1 in place of the network of params.yaml.")
@click.option("--epochs", type=click.IntRange(min=1), default=4)
def main(images: Path, wide: bool, epochs: int) -> None:
    settings = params.section(architecture.Model, "model")
    if wide:
        settings = replace(settings, architecture="wide_resnet", width=1.0, depth=10, **WIDE)  # type: ignore[arg-type]
    plan = replace(params.section(loop.Plan, "training"), epochs=epochs, selection="last", precision="float32", accumulate=1)
    split_of, device = partial(image_file.read, images), runtime.start(0, "analysis")
    train, validation = (batches.on_device(split_of(name), device) for name in ("train", "validation"))
    shape = train.images.shape[1:]
    model = architecture.build(settings, (shape[0], shape[1], shape[2]), split_of("train").classes).to(device)
    click.echo("| network | objective | error | cosine | error, all in autocast | cosine, all in autocast |\n|---|---|---:|---:|---:|---:|")
    chances = [(module, module.p) for module in model.modules() if isinstance(module, nn.Dropout)]
    for line in lines(without_dropout(model).train(), batches_with_targets(train, plan.batch_size, 8), "initial"):
        click.echo(line)
    for module, chance in chances:
        module.p = chance
    for line in trained(model, train, validation, plan):
        click.echo(line)


if __name__ == "__main__":
    main()
