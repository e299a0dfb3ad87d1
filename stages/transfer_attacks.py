"""Show every row of one seed the adversarial images of others, among them its teacher's: the black-box side of the evaluation.

The rows of section `transfer.sources` in params.yaml are attacked; all other rows are asked what they make of the result. Writes one file
of robust radii per row.
"""

from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.attacks import transfer
from lib.attacks.work import Evaluation, first_images
from lib.base import files, image_file, params
from lib.base.errors import require
from lib.evaluation import outcome_file
from lib.network import checkpoint, runtime


@command(__doc__)
@click.argument("seed", type=click.IntRange(min=0))
@source("--images", "Image file made by prepare-data.")
@source("--models", "Folder of the trained models of this seed, one folder per row.")
@result("Folder with one HDF5 file of robust radii per row.", folder=True)
def main(seed: int, images: Path, models: Path, out: Path) -> None:
    settings, plan = params.section(transfer.Settings, "transfer"), params.section(Evaluation, "evaluation")
    rows = params.names("rows")
    unknown = sorted(set(settings.sources) - set(rows))
    require(not unknown, f"params.yaml: transfer.sources must be rows, {', '.join(unknown)} are not")
    checkpoint.all_of(models, rows)
    device = runtime.start(seed, "analysis")
    test = image_file.read(images, "test")
    data = first_images(test, settings.images, device)
    sources = {row: checkpoint.read(models / row, device) for row in settings.sources}
    made = transfer.crafted(sources, data, settings, plan.batch_size)
    with files.writing_folder(out) as part:
        for row in rows:
            found = transfer.outcomes(checkpoint.read(models / row, device), row, seed, test, data, made, settings, plan.batch_size)
            outcome_file.write(part / f"{row}.h5", found)


if __name__ == "__main__":
    main()
