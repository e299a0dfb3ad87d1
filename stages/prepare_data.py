"""Divide a dataset into train, validation and test and write it as one HDF5 file.

Reads the section `data` of params.yaml: the dataset, its folder, how many images each split gets and the seed that chooses them.
Every class keeps its share in every split. The order of rows is fixed here: row i of a target file belongs to train image i.
Prints what it understood, skipped and converted.
"""

from pathlib import Path

from lib.base.command import command, result

import click

from lib.base import image_file, params
from lib.images import datasets


@command(__doc__)
@result()
def main(out: Path) -> None:
    data = params.section(datasets.Data, "data")
    prepared = datasets.prepare(data)
    classes = len(prepared.classes)
    image_file.write(out, data.dataset, classes, prepared.splits)
    splits = {name: image_file.read(out, name) for name in image_file.SPLITS}
    sizes = ", ".join(f"{name} {len(split)} ({split.digest[:12]})" for name, split in splits.items())
    shape = "x".join(map(str, splits["train"].images.shape[1:]))
    click.echo(f"{out}: {data.dataset}, {classes} classes, images {shape}; {sizes}")
    for remark in prepared.remarks:
        click.echo(remark)


if __name__ == "__main__":
    main()
