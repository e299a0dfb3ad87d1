"""Gather what was measured of all variants of a study into one table, a line per variant and seed."""

from pathlib import Path

from lib.base.command import command, result, source

import click

from lib.base import files
from lib.studies import study_table, variant


@command(__doc__)
@source("--study", "YAML file of the study.")
@source("--measures", "Folder with one file per variant.")
@result("CSV file.")
def main(study: Path, measures: Path, out: Path) -> None:
    plan, variants = variant.read(study)
    frame = study_table.frame(measures, plan, variants)
    with files.writing(out) as part:
        frame.to_csv(part, index=False, lineterminator="\n", float_format="%.6g")
    click.echo(f"{out}: {len(variants)} variants, seeds {', '.join(map(str, plan.seeds))}")


if __name__ == "__main__":
    main()
