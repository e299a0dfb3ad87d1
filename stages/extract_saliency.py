"""Extract a teacher's saliency maps: gradients of the true class's logit for every train image, signed, streamed to HDF5.

METHOD names a file in lib/saliency (simple, smoothgrad, or your own) and its entry in section `saliency.methods` of params.yaml.
TEACHER is what the teacher is called in the names of target sets, for instance R. Memory holds one chunk at a time; the chunk size
changes speed and nothing else.
"""

from dataclasses import asdict
from pathlib import Path

import click

from lib import extraction, target_file
from lib.base import image_file, params
from lib.base.command import command, result, source
from lib.network import batches, checkpoint, runtime


@command(__doc__)
@click.argument("teacher")
@click.argument("method")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--model", "Folder of the trained teacher.")
@click.option("--chunk", type=click.IntRange(min=1), default=100, help="Images per pass.")
@result("HDF5 file of maps.")
def main(teacher: str, method: str, seed: int, images: Path, model: Path, chunk: int, out: Path) -> None:
    chosen = extraction.method(method)
    settings = params.section(chosen.Settings, "saliency", "methods", method)
    noise_seed = params.value("saliency", "seed")
    device = runtime.start(seed, "analysis")
    train = image_file.read(images, "train")
    network = checkpoint.read(model, device)
    provenance = {
        "teacher": {"name": teacher, "seed": seed, "weights_sha256": checkpoint.digest(model)},
        "saliency": {"method": method, "seed": noise_seed, **asdict(settings)},
    }
    header = target_file.Header(train.dataset, train.digest, f"{teacher}_{method}", provenance)
    maps = extraction.chunks(network, batches.on_device(train, device), chosen, settings, noise_seed, chunk)
    target_file.write(out, header, train.images.shape, maps)


if __name__ == "__main__":
    main()
