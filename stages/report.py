"""Make every table, figure and sentence of the report from the measured outcomes, beside the numbers that the paper printed.

The files read must be exactly those that params.yaml asks for: a missing one is refused, and so is one that is left over.
"""

import json
import os
import shutil
from pathlib import Path

from lib.base import image_file
from lib.base.command import command, result, source
from lib.base.image_file import Split
from lib.report import figures, galleries, page, series, table_formats, tables
from lib.report.figures import Picture
from lib.report.results import Evidence, read
from lib.report.rows import seeds


@command(__doc__)
@source("--images", "Image file of the dataset.")
@source("--targets", "Folder of the target interpretations, one folder per seed.")
@source("--results", "Folder of the attacks' outcomes.")
@source("--gradients", "Folder of the gradient measurements.")
@result("Folder of the report; files of other names in it are left alone.")
def main(images: Path, targets: Path, results: Path, gradients: Path, out: Path) -> None:
    train = image_file.read(images, "train")
    evidence = read(results, gradients, image_file.read(images, "test"))
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        write(evidence, train, targets, part)
        move(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write(evidence: Evidence, train: Split, targets: Path, folder: Path) -> None:
    """Write all files of the report into `folder`."""
    evidence.accuracies.to_csv(folder / "results.csv", index=False, lineterminator="\n")
    series.curves(evidence).to_csv(folder / "curves.csv", index=False, lineterminator="\n")
    series.permutation(evidence).to_csv(folder / "permutation.csv", index=False, lineterminator="\n")
    (folder / "summary.json").write_text(json.dumps(series.summary(evidence), indent=2) + "\n")
    table = tables.build(evidence)
    tables.to_frame(table).to_csv(folder / "table1.csv", index=False, lineterminator="\n")
    (folder / "table1.md").write_text(table_formats.to_markdown(table), encoding="utf-8")
    (folder / "table1.tex").write_text(table_formats.to_latex(table), encoding="utf-8")
    pictures = draw(evidence, train, targets / str(seeds()[0]), folder / "figures")
    text = page.render(evidence, len(train), table, pictures, folder / "figures")
    (folder / "index.html").write_text(text, encoding="utf-8")


def draw(evidence: Evidence, train: Split, targets: Path, folder: Path) -> list[Picture]:
    """Draw every figure that the rows at hand allow."""
    drawn = [
        galleries.target_figure(train, targets, folder),
        galleries.permuted_figure(train, targets, folder),
        figures.permutation_figure(evidence, folder),
        figures.norm_figure(evidence, folder),
        figures.curve_figure(evidence, folder),
        galleries.gradient_figure(evidence, train, folder),
    ]
    return [picture for picture in drawn if picture is not None]


def move(part: Path, out: Path) -> None:
    """Put everything in `part` into `out`, in place of what has the same name there."""
    out.mkdir(parents=True, exist_ok=True)
    for entry in sorted(part.iterdir()):
        if entry.is_dir():
            shutil.rmtree(out / entry.name, ignore_errors=True)
        os.replace(entry, out / entry.name)


if __name__ == "__main__":
    main()
