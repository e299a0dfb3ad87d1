"""Write a network that has not been trained: a teacher that knows nothing, for saliency maps of an architecture alone.

SEED is the replication. The weights are neither those that teachers start from nor those that students start from. The history has
one line, epoch 0, with what the network makes of the validation images.
"""

from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import image_file, params
from lib.network import architecture, batches, checkpoint, runtime
from lib.training import loop


@command(__doc__)
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@result("Folder for weights, model description and history.", folder=True)
def main(seed: int, images: Path, out: Path) -> None:
    settings = params.section(architecture.Model, "model")
    validation = image_file.read(images, "validation")
    channels, height, width = validation.images.shape[1:]
    device = runtime.start(seed, "untrained")
    model = architecture.build(settings, (channels, height, width), validation.classes).to(device)
    measured = loop.evaluate(model, batches.on_device(validation, device))
    checkpoint.write(out, model, settings, (channels, height, width), validation.classes, [{"epoch": 0, **measured, "selected": 1}])


if __name__ == "__main__":
    main()
