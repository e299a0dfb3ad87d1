"""Train one variant of a study for all its seeds, by the pipeline's own commands under changed parameters, and measure it.

VARIANT names an entry of section `variants` in the study's file. Steps that its change does not touch (teachers, maps, targets) are
taken from what prepare-studies left.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from lib.base.command import command, result, source
from lib.studies import measure_file, trial, variant
from lib.studies.chain import Chain


@command(__doc__)
@click.argument("name", metavar="VARIANT")
@source("--study", "YAML file of the study.")
@source("--images", "Image file made by prepare-data.")
@source("--base", "Folder of prepare-studies, one folder per seed.")
@result("HDF5 file of measures.")
def main(name: str, study: Path, images: Path, base: Path, out: Path) -> None:
    plan, variants = variant.read(study)
    chosen = variant.chosen(variants, name, study)
    found = {}
    for seed in plan.seeds:
        with TemporaryDirectory() as folder:
            found[seed] = trial.trial(Chain(seed, images, Path(folder), base / str(seed)), chosen, plan)
    measure_file.write(out, name, found)


if __name__ == "__main__":
    main()
