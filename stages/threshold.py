"""Turn saliency maps into target interpretations: zero everything inside mean ± phi·std of its own map (Sec. 3.1 of the paper).

With `threshold.when: after` the maps stay as they are, and training thresholds each batch after its random crop and flip.
"""

from collections.abc import Iterator
from pathlib import Path

from lib.base.command import command, result, source

import click
import numpy as np

from lib.base import params
from lib.base.errors import require
from lib.targets import target_file, transforms


@command(__doc__)
@source("--maps", "Maps made by extract-saliency.")
@click.option("--chunk", type=click.IntRange(min=1), default=1000, help="Maps in memory at a time.")
@result("HDF5 file of target interpretations.")
def main(maps: Path, chunk: int, out: Path) -> None:
    write(maps, out, chunk)


def write(maps: Path, out: Path, chunk: int) -> None:
    """Write the targets made of the file `maps` to `out`, by section `threshold`; `InputError` where nothing is left of them."""
    settings = params.section(transforms.Threshold, "threshold")
    with target_file.opened(maps) as (header, values):
        phi = settings.phi_of(header.name)
        parts = _thresholded(values, phi, settings, chunk, header.name)
        step = {"phi": phi, "ddof": settings.ddof, "when": settings.when}
        target_file.write(out, header.after("threshold", step), values.shape, parts)


def _thresholded(
    values: target_file.Maps, phi: float | None, settings: transforms.Threshold, chunk: int, name: str
) -> Iterator[np.ndarray]:
    """The maps as their file holds them; `InputError` at their end if all that a student will see of them is zero."""
    something = phi is None
    for _, part in target_file.chunks(values, chunk):
        yield transforms.thresholded(part, phi, settings)
        something = something or phi is None or bool(transforms.threshold(part, phi, settings.ddof).any())
    require(something, f"threshold: phi must be one that leaves some value of some map, {phi:g} leaves nothing of {name}")


if __name__ == "__main__":
    main()
