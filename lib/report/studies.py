"""The sections of the page on the studies: the audit, what lies beyond the paper, and matched validation loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from lib.base.errors import require
from lib.report import grid_figures, regression, study_figures, study_sentences
from lib.report.effects import Change, Effect, changes, measures, outcome
from lib.report.published_folder import Published, provenance
from lib.report.regression import PREDICTORS, Regression
from lib.report.templates import inlined, rendered

HIDDEN = "paper"  # not in the tables of the groups
DIGITS = {"linf": 3, "l2": 2, "robust": 1, "paper": 1, "clean": 1, "norm": 2, "cosine": 2}


@dataclass(frozen=True)
class Cell:
    """One measure of one variant: its mean over the seeds as it is printed, and the effect against the base, if there is one."""

    level: str
    effect: Effect | None


@dataclass(frozen=True)
class Line:
    """One variant in a group's table."""

    label: str
    base: str
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Group:
    """Variants that belong together, after those that they are compared with."""

    name: str
    lines: list[Line]


@dataclass(frozen=True)
class Matched:
    """A method at matched validation loss: strengths, losses and their targets by seed, trainings, and in how many seeds it fits."""

    line: Line
    scale: str
    strengths: list[float]
    losses: list[float]
    wanted: list[float]
    trials: int
    fits: int


def effects_of(published: dict[str, Published]) -> dict[str, list[Change]]:
    """All effects of every published study."""
    return {name: changes(one.table, one.radii) for name, one in published.items() if one.about.kind == "study"}


def audit_section(study: Published, found: list[Change], folder: Path) -> Markup:
    """The table of all switches, the largest effect on the study's outcome first, and its figure."""
    ordered = study_sentences.ranked(found)
    picture = study_figures.forest_figure(ordered, folder)
    known = measures(study.table)
    return rendered(
        "audit.html.j2",
        changes=ordered,
        measures={name: measure.title for name, measure in known.items()},
        outcome=outcome(known),
        picture=picture,
        data=inlined(picture, folder),
        **facts(study),
    )


def beyond_section(study: Published, found: list[Change], folder: Path) -> Markup:
    """The grid, the regression and one table per group."""
    cells = grid_figures.cells(study.table, study.document["variants"])
    pictures = [grid_figures.grid_figure(cells, folder)] if len(cells) else []
    fits = regressions(study.table)
    if fits:
        pictures.append(study_figures.scatter_figure(regression.points(study.table), fits["all"], folder))
    return rendered(
        "beyond.html.j2",
        pictures=[(picture, inlined(picture, folder)) for picture in pictures],
        fits=fits,
        predictors=PREDICTORS,
        groups=groups(study.table, found),
        measures=shown(study.table),
        **facts(study),
    )


def matched_section(study: Published, found: list[Change]) -> Markup:
    """What strengths were found, and what the methods are worth at equal validation loss."""
    return rendered(
        "matched.html.j2",
        lines=list(matched(study, found).values()),
        measures=shown(study.table),
        tolerance=study.document["search"]["tolerance"],
        **facts(study),
    )


def shown(table: pd.DataFrame) -> dict[str, str]:
    """The measures in the columns of a group's table, with their titles."""
    return {name: measure.title for name, measure in measures(table).items() if name != HIDDEN}


def regressions(table: pd.DataFrame) -> dict[str, Regression]:
    """The fit to the means over seeds, "all", and to each seed alone; nothing where the variants do not determine one."""
    points = {"all": regression.points(table)}
    points |= {f"seed {seed}": regression.points(lines) for seed, lines in table.groupby("seed")}
    return {name: regression.of_points(one) for name, one in points.items()} if all(map(regression.determined, points.values())) else {}


def groups(table: pd.DataFrame, found: Sequence[Change]) -> list[Group]:
    """Every group but the grid, in the table's order."""
    labels = dict(zip(table["variant"], table["label"]))
    by_name = {change.variant: change for change in found}
    result = []
    for name in dict.fromkeys(change.group for change in found if change.group != grid_figures.GROUP):
        mine = [change for change in found if change.group == name]
        bases = dict.fromkeys(change.base for change in mine)
        own = [change.variant for change in mine]
        lines = [line(table, base, None, labels) for base in bases if base not in own]
        lines += [line(table, variant, by_name[variant], labels) for variant in own]
        result.append(Group(name, lines))
    return result


def line(table: pd.DataFrame, variant: str, change: Change | None, labels: dict[str, str]) -> Line:
    """One variant: means over its seeds, and its effects; without a `change` it stands there for others to be compared with."""
    means = table[table["variant"] == variant].mean(numeric_only=True)
    cells = {}
    for name, measure in measures(table).items():
        level = f"{measure.factor * means[measure.column]:.{DIGITS[name]}f}"
        cells[name] = Cell(level.replace("-", "−"), change.effects[name] if change else None)
    return Line(labels[variant], labels[change.base] if change else "", cells)


def matched(study: Published, found: Sequence[Change]) -> dict[str, Matched]:
    """Every variant with what its search found."""
    needed = {"strength", "trials", "wanted_loss", "matched"}
    require(needed <= set(study.table.columns), f"the table of the study matched must have the columns {', '.join(sorted(needed))}")
    labels = dict(zip(study.table["variant"], study.table["label"]))
    by_name = {change.variant: change for change in found}
    result = {}
    for name, lines in study.table.groupby("variant", sort=False):
        scale = study.document["variants"][name].get("scale", [])
        result[str(name)] = Matched(
            line(study.table, str(name), by_name.get(str(name)), labels),
            ", ".join(key.rpartition(".")[2] for key in scale),
            lines["strength"].tolist(),
            lines["validation_loss"].tolist(),
            lines["wanted_loss"].tolist(),
            int(lines["trials"].sum()),
            int((lines["matched"] > 0).sum()),
        )
    return result


def facts(study: Published) -> dict[str, object]:
    """What every section says of how its study was measured."""
    attacked = study.table.iloc[0]
    return {
        "name": study.about.name,
        "provenance": provenance(study.about),
        "reading": study_sentences.reading(study.table),
        "notes": study.notes,
        "seeds": int(study.table["seed"].nunique()),
        "images": int(attacked["n_attacked"]),
        "clean_images": int(attacked["n_clean"]),
    }
