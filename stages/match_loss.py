"""Find the strength at which a method's validation loss is that of IR(R,SmG), by bisection, for every seed; train and measure there.

VARIANT names an entry of section `variants` in the study's file; its `scale` lists the parameters that the strength multiplies.
"""

from functools import partial
from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import params
from lib.studies import matched, measure_file, seeds, variant
from lib.studies.matching import Search


@command(__doc__)
@click.argument("name", metavar="VARIANT")
@source("--study", "YAML file of the study, with a section `search`.")
@source("--images", "Image file made by prepare-data.")
@source("--base", "Folder of prepare-studies, one folder per seed.")
@result("HDF5 file of measures.")
def main(name: str, study: Path, images: Path, base: Path, out: Path) -> None:
    plan, variants = variant.read(study)
    search = params.parse(Search, params.parsed(study.resolve()).get("search"), f"{study}: search")
    chosen = variant.chosen(variants, name, study)
    one = partial(matched.of_seed, images=images, base=base, variant=chosen, study=plan, search=search)
    measure_file.write(out, name, seeds.of_each(one, plan.seeds))


if __name__ == "__main__":
    main()
