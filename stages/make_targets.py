"""Make target interpretations without a teacher: from the train images and their labels alone, streamed to HDF5.

SOURCE names a file in lib/targets/from_images (image, class_mean, other_class, same_class, edges, or your own) and its entry in section
`sources` of params.yaml. SEED is the replication, for sources that draw at random. The result is used like a file made by threshold.
"""

from dataclasses import asdict
from pathlib import Path

from lib.base.command import command, result, source

import click
import numpy as np

from lib.base import image_file, params
from lib.base.choices import choice
from lib.targets import target_file


@command(__doc__)
@click.argument("name", metavar="SOURCE")
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@click.option("--chunk", type=click.IntRange(min=1), default=1000, help="Maps in memory at a time.")
@result("HDF5 file of target interpretations.")
def main(name: str, seed: int, images: Path, chunk: int, out: Path) -> None:
    chosen = choice("lib.targets.from_images", name, "target source")
    settings = params.section(chosen.Settings, "sources", name)
    train = image_file.read(images, "train")
    pixels = np.divide(train.images, 255, dtype=np.float32)
    starts = range(0, len(train), chunk)
    parts = (chosen.maps(pixels, train.labels, range(len(train))[first : first + chunk], settings, seed) for first in starts)
    header = target_file.Header(train.dataset, train.digest, name, {"source": {"name": name, "seed": seed, **asdict(settings)}})
    target_file.write(out, header, pixels.shape, parts)


if __name__ == "__main__":
    main()
