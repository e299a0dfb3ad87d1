"""Extract a teacher's saliency maps: gradients of the true class's logit for every train image, signed, streamed to HDF5.

METHOD names a file in lib/saliency (simple, smoothgrad, or your own) and its entry in section `saliency.methods` of params.yaml.
TEACHER is what the teacher is called in the names of target sets, for instance R. Memory holds the images of one shard. A killed
extraction goes on after its last finished shard. Several machines can extract one part each (`--part`); `python -m tools.targets merge`
joins them to the same file.
"""

from dataclasses import asdict
from functools import partial
from pathlib import Path

from lib.base.command import command, result, source

import click
import h5py
import torch

from lib.base import image_file, params
from lib.network import checkpoint, runtime
from lib.targets import target_file
from lib.targets.extraction import saliency_maps, shards, teachers


@command(__doc__)
@click.argument("teacher")
@click.argument("method")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--model", "Folder of the trained teacher.")
@click.option("--shard", type=click.IntRange(min=1), default=5000, help="Images in memory, and in each resumable shard.")
@click.option("--part", type=(click.IntRange(min=1), click.IntRange(min=1)), default=(1, 1), metavar="I K", help="Only part I of K.")
@result("HDF5 file of maps.")
def main(teacher: str, method: str, seed: int, images: Path, model: Path, shard: int, part: tuple[int, int], out: Path) -> None:
    chosen = saliency_maps.method(method)
    settings = params.section(chosen.Settings, "saliency", "methods", method)
    accuracy = params.section(teachers.Accuracy, "saliency", "accuracy")
    noise_seed, size = params.value("saliency", "seed"), saliency_maps.pass_size()
    device = runtime.start(seed, "analysis")
    network = checkpoint.read(model, device)
    found = teachers.measured(network, image_file.read(images, "validation"), accuracy, size, seed)
    provenance = {
        "preset": params.value("preset"),
        "teacher": {"name": teacher, "seed": seed, "weights_sha256": checkpoint.digest(model), "accuracy": found},
        "saliency": {"method": method, "seed": noise_seed, "batch_size": size, **asdict(settings)},
    }
    with image_file.opened(images, "train") as train:
        header = target_file.Header(train.dataset, train.digest, f"{teacher}_{method}", provenance)
        rows, at_once = shards.part(len(train), size, *part), shards.whole_passes(shard, size)
        make = partial(saliency_maps.of_rows, network, train, device, chosen, settings, noise_seed, size)
        versions = {"torch": torch.__version__, "h5py": h5py.__version__}
        shards.write(out, header, train.images.shape, rows, at_once, make, device=device.type, **versions)


if __name__ == "__main__":
    main()
