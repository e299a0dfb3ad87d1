"""Make every table, figure and page of the report from the measured outcomes, beside the numbers that the paper printed.

The files read must be exactly those that params.yaml asks for: a missing one is refused, and so is one that is left over.
"""

import json
from pathlib import Path
from textwrap import fill

from lib.base.command import command, result, source

import click

from lib.base import files, image_file
from lib.gradients import gradient_file
from lib.report import comparisons, frames, gate, page, provenance, published_folder, series, studies, table, terminal, training
from lib.report.aligned import WIDTH
from lib.report.charts import all as charts
from lib.report.charts import images as pictures
from lib.report.charts import render
from lib.report.results import read


@command(__doc__)
@source("--images", "Image file of the dataset.")
@source("--targets", "Folder of the target interpretations, one folder per seed.")
@source("--results", "Folder of the attacks' outcomes.")
@source("--transfer", "Folder of the transfer attacks' outcomes.")
@source("--gradients", "Folder of the gradient measurements.")
@click.option("--maps", type=click.Path(exists=True, path_type=Path), help="Folder of the maps before the threshold, for the gallery.")
@click.option("--models", type=click.Path(exists=True, path_type=Path), help="Folder of the models, for the histories of their training.")
@click.option("--published", type=click.Path(exists=True, path_type=Path), help="Folder of published studies and larger runs.")
@click.option("--environments", type=click.Path(path_type=Path), help="Folder of the records of environments.")
@result("Folder of the report; files of other names in it are left alone.", folder=True)
def main(
    images: Path,
    targets: Path,
    results: Path,
    transfer: Path,
    gradients: Path,
    maps: Path | None,
    models: Path | None,
    published: Path | None,
    environments: Path | None,
    out: Path,
) -> None:
    train = image_file.read(images, "train")
    evidence = read(results, transfer, gradients, image_file.read(images, "test"))
    for seed in evidence.seeds:
        gradient_file.require_images(gradients / f"{seed}.h5", train)
    others, records = published_folder.read(published), provenance.read(environments, train.dataset)
    histories = training.frame(models)
    compared = comparisons.of_run(evidence, training.unfinished(training.courses(histories)))
    compared += [line for part in others.values() for line in comparisons.of_published(part)]

    found = frames.frames(evidence, compared, others, records, histories)
    judged, origin, first = gate.gate(evidence), provenance.origin(evidence, records), str(evidence.seeds[0])
    tiles = pictures.tiles(evidence, train, targets / first, maps and maps / first)
    figures = charts.figures(evidence, found, tiles, gradients, others)
    facts = page.facts(evidence, train, judged, records, origin, found["trained_out"], others)
    facts["glance"] = pictures.glance(evidence, tiles)
    caption, number = page.caption(evidence, origin), table.number_of(found["table1"])
    html = {name: render.html(figure) for name, figure in figures.items()}
    texts = {f"{name}.csv": frame.to_csv(index=False, lineterminator="\n") for name, frame in found.items() if name not in frames.INSIDE}
    texts |= {f"tables/{name}.tex": table.frame_latex(found[name]) for name in frames.LATEX}
    texts |= {
        "summary.json": as_json(series.summary(evidence) | {"contrasts": comparisons.summary(compared)}),
        "gate.json": as_json(gate.to_json(judged)),
        "table1.md": table.markdown(found["table1"], f"**Table {number}.** {caption} *Paper*: the published value."),
        "table1.tex": table.latex(found["table1"], caption),
        "studies.md": studies.document(others, compared),
        "index.html": page.render(found, html, page.tables(evidence, found, compared, others), facts, render.head()),
    }
    with files.filling_folder(out) as folder:
        (folder / "tables").mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for figure in figures.values():
            render.write(figure, folder / "figures")
    printed = [table.text(found["table1"]), terminal.gate_text(judged), terminal.claims_text(found["claims"])]
    printed += [terminal.comparisons_text(compared), fill(provenance.said(origin), WIDTH), fill(str(facts["late"]), WIDTH)]
    click.echo("\n\n".join(filter(None, printed)))


def as_json(entries: dict) -> str:
    """The text of a JSON file."""
    return json.dumps(entries, indent=2) + "\n"


if __name__ == "__main__":
    main()
