"""Train one variant of a study for all its seeds, by the pipeline's own commands under changed parameters, and measure it.

VARIANT names an entry of section `variants` in the study's file. Steps that its change does not touch (teachers, maps, targets) are
taken from what prepare-studies left.
"""

from functools import partial
from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.studies import measure_file, seeds, trial, variant


@command(__doc__)
@click.argument("name", metavar="VARIANT")
@source("--study", "YAML file of the study.")
@source("--images", "Image file made by prepare-data.")
@source("--base", "Folder of prepare-studies, one folder per seed.")
@result("HDF5 file of measures.")
def main(name: str, study: Path, images: Path, base: Path, out: Path) -> None:
    plan, variants = variant.read(study)
    one = partial(trial.of_seed, images=images, base=base, variant=variant.chosen(variants, name, study), study=plan)
    measure_file.write(out, name, seeds.of_each(one, plan.seeds))


if __name__ == "__main__":
    main()
