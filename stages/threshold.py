"""Turn saliency maps into target interpretations: zero everything inside mean ± phi·std of its own map (Sec. 3.1 of the paper).

With `threshold.when: after` the maps stay as they are, and training thresholds each batch after its random crop and flip.
"""

from pathlib import Path

from lib.base.command import command, result, source

import click

from lib import refine, target_file
from lib.base import params


@command(__doc__)
@source("--maps", "Maps made by extract-saliency.")
@click.option("--chunk", type=click.IntRange(min=1), default=1000, help="Maps in memory at a time.")
@result("HDF5 file of target interpretations.")
def main(maps: Path, chunk: int, out: Path) -> None:
    settings = params.section(refine.Threshold, "threshold")
    with target_file.opened(maps) as (header, values):
        phi = settings.phi_of(header.name)
        parts = (refine.thresholded(part, phi, settings) for _, part in target_file.chunks(values, chunk))
        step = {"phi": phi, "ddof": settings.ddof, "when": settings.when}
        target_file.write(out, header.after("threshold", step), values.shape, parts)


if __name__ == "__main__":
    main()
