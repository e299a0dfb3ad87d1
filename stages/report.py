"""Make every table, figure and sentence of the report from the measured outcomes, beside the numbers that the paper printed.

The files read must be exactly those that params.yaml asks for: a missing one is refused, and so is one that is left over.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from lib.base.command import command, result, source

import click
import pandas as pd
from markupsafe import Markup

from lib.base import files, image_file, params
from lib.base.image_file import Split
from lib.gradients import gradient_file
from lib.parallel import lineage
from lib.report import (
    black_box,
    claims,
    contrasts,
    curve_figures,
    effect_table,
    effects,
    environments,
    figure_list,
    figures,
    further,
    galleries,
    gate,
    network_figures,
    networks,
    origins,
    page,
    picker,
    published_folder,
    series,
    sortable,
    studies,
    table_formats,
    tables,
    terminal,
    training,
    vega,
    worst_case,
)
from lib.report.charts import forest
from lib.report.charts.looks import looks
from lib.report.claims import Claim
from lib.report.contrasts import Compared
from lib.report.effects import Change
from lib.report.environments import Records
from lib.report.figures import Picture
from lib.report.gate import Gate
from lib.report.origins import Notice
from lib.report.published_folder import Published
from lib.report.results import Evidence, read
from lib.report.rows import seeds
from lib.report.tables import Table


@dataclass(frozen=True)
class Places:
    """Folders that only single parts of the report read: `maps` before the threshold may be None."""

    targets: Path
    gradients: Path
    maps: Path | None


@dataclass(frozen=True)
class Findings:
    """What is worked out once and shown in several places; `contrasts` of this run and of what was published, `accuracies` of this run."""

    table: Table
    gate: Gate
    contrasts: list[Compared]
    accuracies: list[Compared]
    claims: list[Claim]
    published: dict[str, Published]
    effects: dict[str, list[Change]]
    records: Records
    origin: Notice
    networks: pd.DataFrame
    outdated: str
    histories: pd.DataFrame
    courses: pd.DataFrame

    @staticmethod
    def of(evidence: Evidence, published: dict[str, Published], records: Records, histories: pd.DataFrame) -> "Findings":
        """All findings of the evidence, of what has been published, and of how the networks were trained."""
        courses = training.courses(histories)
        unfinished = training.unfinished(courses)
        radii, accuracies = contrasts.contrasts(evidence, unfinished), contrasts.accuracies(evidence, unfinished)
        elsewhere = [line for one in published.values() for line in contrasts.of_published(one)]
        return Findings(
            tables.build(evidence),
            gate.gate(evidence),
            radii + elsewhere,
            accuracies,
            claims.claims(evidence, radii, accuracies, published.get("beyond")),
            published,
            studies.effects_of(published),
            records,
            origins.notice(evidence, records),
            networks.networks(evidence),
            outdated(records),
            histories,
            courses,
        )


def outdated(records: Records) -> str:
    """What is to be said of results that were not made anew after a change; only a report that is asked for by itself has such."""
    read = {stage: entry for stage, entry in lineage.recorded().items() if any(out["path"] in records for out in entry.get("outs", ()))}
    return lineage.said(lineage.outdated(read, {params.PATH.name: params.document()}))


TABLES = ("black_box", "worst_case", "claims", "contrasts", "accuracy_contrasts", "effects", "environments")  # stand on the page as tables


@command(__doc__)
@source("--images", "Image file of the dataset.")
@source("--targets", "Folder of the target interpretations, one folder per seed.")
@source("--results", "Folder of the attacks' outcomes.")
@source("--transfer", "Folder of the transfer attacks' outcomes.")
@source("--gradients", "Folder of the gradient measurements.")
@click.option("--maps", type=click.Path(exists=True, path_type=Path), help="Folder of the maps before the threshold, for the gallery.")
@click.option("--models", type=click.Path(exists=True, path_type=Path), help="Folder of the models, for the histories of their training.")
@click.option("--published", type=click.Path(exists=True, path_type=Path), help="Folder of published studies and larger runs.")
@click.option("--environments", "made_in", type=click.Path(path_type=Path), help="Folder of the records of environments.")
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
    made_in: Path | None,
    out: Path,
) -> None:
    train = image_file.read(images, "train")
    evidence = read(results, transfer, gradients, image_file.read(images, "test"))
    for seed in evidence.seeds:
        gradient_file.require_images(gradients / f"{seed}.h5", train)
    found = Findings.of(evidence, published_folder.read(published), environments.read(made_in, train.dataset), training.frame(models))
    with files.filling_folder(out) as part:
        write(evidence, found, train, Places(targets, gradients, maps), part)
    click.echo(said(found))


def write(evidence: Evidence, found: Findings, train: Split, places: Places, folder: Path) -> None:
    """Write all files of the report into `folder`."""
    black = black_box.build(evidence)
    for name, frame in (frames(evidence, found, black) | {"training": found.histories, "trained_out": found.courses}).items():
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        if name in TABLES:
            (folder / "tables").mkdir(exist_ok=True)
            (folder / "tables" / f"{name}.tex").write_text(table_formats.frame_to_latex(frame), encoding="utf-8")
    summary = series.summary(evidence) | {"contrasts": contrasts.summary(found.contrasts)}
    for name, entries in {"summary": summary, "gate": gate.to_json(found.gate)}.items():
        (folder / f"{name}.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    mixed = " ".join(filter(None, [found.origin.text, found.origin.missing])) if found.origin.level in ("mixed", "commit") else ""
    (folder / "table1.md").write_text(table_formats.to_markdown(found.table, mixed), encoding="utf-8")
    (folder / "table1.tex").write_text(table_formats.to_latex(found.table, mixed), encoding="utf-8")
    (folder / "studies.md").write_text(effect_table.document(found.published, found.effects), encoding="utf-8")
    text = page.render(evidence, len(train), judged(found, black), parts(evidence, found, train, places, folder / "figures"))
    (folder / "index.html").write_text(text, encoding="utf-8")


def judged(found: Findings, black: black_box.Table) -> page.Judged:
    """What the page puts into words."""
    return page.Judged(found.table, found.gate, black, found.claims, found.contrasts)


def parts(evidence: Evidence, found: Findings, train: Split, places: Places, folder: Path) -> page.Parts:
    """Everything on the page that is a picture, a chart, a table or a section of its own; the pictures go into `folder`."""
    first, rows = str(seeds()[0]), looks(evidence)
    targets, maps = places.targets / first, None if places.maps is None else places.maps / first
    charts = figure_list.panels(evidence, found.networks, networks.over_images(places.gradients, evidence.seeds), rows)
    return page.Parts(
        answer=answer(found.contrasts, folder) + training.note(found.courses),
        table=table_formats.to_html(found.table),
        figures=figure_list.section(draw(evidence, found, train, targets, folder), charts, folder),
        gallery=picker.section(evidence, train, targets, maps),
        further=further.section(found.published, found.effects, folder),
        origin=origins.below_table(found.origin, found.outdated),
        environments=origins.section(found.records),
        style=vega.style(rows),
        scripts=sortable.script() + vega.script(rows),
    )


def answer(compared: list[Compared], folder: Path) -> Markup:
    """The picture of this run's contrasts; nothing where the rows allow none."""
    points = forest.frame([line for line in compared if line.experiment == contrasts.THIS])
    if points.empty:
        return Markup("")
    return figure_list.section([forest.picture(points, folder)], {forest.NAME: forest.panel(points)}, folder)


def frames(evidence: Evidence, found: Findings, black: black_box.Table) -> dict[str, pd.DataFrame]:
    """Every result that is one data frame, by the name of its file."""
    return {
        "results": evidence.accuracies.assign(environment=environments.of_accuracies(evidence, found.records)),
        "curves": series.curves(evidence),
        "auc": series.areas(evidence),
        "permutation": series.permutation(evidence),
        "black_box": black_box.to_frame(black),
        "worst_case": worst_case.to_frame(evidence),
        "table1": tables.to_frame(found.table),
        "claims": claims.to_frame(found.claims),
        "contrasts": contrasts.to_frame(found.contrasts),
        "accuracy_contrasts": contrasts.accuracy_frame(found.accuracies),
        "effects": effects.to_frame(found.effects),
        "environments": environments.to_frame(found.records),
        "networks": found.networks,
    }


def said(found: Findings) -> str:
    """What is printed at the end."""
    parts = [terminal.table_text(found.table), terminal.differences_text(found.table), terminal.gate_text(found.gate)]
    parts += [terminal.claims_text(found.claims)]
    parts += [terminal.contrasts_text(found.contrasts)]
    parts += [terminal.wrapped(f"{found.origin.text} {found.origin.missing}".strip()), terminal.wrapped(found.outdated)]
    return "\n\n".join(part for part in parts if part)


def draw(evidence: Evidence, found: Findings, train: Split, targets: Path, folder: Path) -> list[Picture]:
    """Draw every figure that the rows at hand allow."""
    drawn = [
        galleries.target_figure(train, targets, folder),
        galleries.permuted_figure(train, targets, folder),
        figures.permutation_figure(evidence, folder),
        figures.norm_figure(evidence, folder),
        curve_figures.curve_figure(evidence, folder),
        curve_figures.security_figure(evidence, folder),
        network_figures.networks_figure(found.networks, folder),
        galleries.gradient_figure(evidence, train, folder),
    ]
    return [picture for picture in drawn if picture is not None]


if __name__ == "__main__":
    main()
