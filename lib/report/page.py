"""The report as one self-contained HTML page: it loads nothing, so that it can be mailed or opened years later.

Its Content-Security-Policy forbids every request; its charts and sorting are scripts inside it, and without them the pictures remain.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lib.base import params
from lib.report import black_box, claim_table, gate, short_answer, survival
from lib.report.claims import Claim
from lib.report.columns import SEMANTICS, Column
from lib.report.contrasts import Contrast
from lib.report.findings import answer, standings
from lib.report.results import Evidence
from lib.report.series import headline_columns
from lib.report.statistics import wilson
from lib.report.tables import Table

TEMPLATE = Path(__file__).with_name("page.html.j2")
# Sections by their ids, for the list at the top.
PLACES = {"glance": "At a glance", "table": "Every technique, every attack", "believed": "The gate", "claimed": "The paper’s claims"}
PLACES |= {
    "figures": "Figures",
    "pictures": "What the maps look like",
    "further": "Studies and larger runs",
    "measured": "How it was measured",
}
ALL = "worst"  # the bar of all attacks together
# Train images, width and epochs of the paper (Sec. 4.2 and 4.3).
PAPER = {"mnist5k": (60_000, 1, 100), "mnist": (60_000, 1, 100), "cifar10": (50_000, 10, 200)}


@dataclass(frozen=True)
class Bar:
    """One accuracy of the overview: a fraction with its 95 % interval over test images."""

    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Judged:
    """What was worked out from the evidence and is put into words here."""

    table: Table
    survives: survival.Survival | None
    gate: gate.Gate
    black: black_box.Table
    claims: list[Claim]
    contrasts: list[Contrast]


@dataclass(frozen=True)
class Parts:
    """Parts of the page that were made elsewhere. `further`: studies and larger runs. `origin`: what is said below the table of where its
    rows were made, and all `environments`. `style` belongs into the head, `scripts` behind everything.
    """

    table: Markup
    figures: Markup
    gallery: Markup
    further: Markup
    origin: Markup
    environments: Markup
    style: Markup
    scripts: Markup


def render(evidence: Evidence, train_images: int, judged: Judged, parts: Parts) -> str:
    """The page as text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda fraction: f"{100 * fraction:.1f}"
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    smaller, columns = smaller_than_paper(evidence.dataset, train_images), headline_columns(evidence)
    measured = {name: SEMANTICS.get(name, name) for name in columns}
    sure = judged.survives, evidence.images, len(evidence.seeds), judged.gate, judged.claims
    return template.render(
        dataset=evidence.dataset,
        threat=next(iter(columns.values())).threat,
        short=short_answer.sentences(judged.survives) if judged.survives else [],
        doubts=short_answer.doubts(*sure),
        survives=survival.paragraph(judged.survives) if judged.survives else "",
        answer=answer(evidence),
        places=PLACES.items(),
        overview=overview(evidence),
        scale=_scale(evidence, train_images),
        replica=smaller,
        table=judged.table,
        black=judged.black,
        gate=gate.to_html(judged.gate),
        attacks=_attacks(),
        measured=measured,
        bars=measured | {ALL: "all attacks together, image by image"},
        claims=claim_table.to_html(judged.claims, judged.contrasts, evidence),
        parts=parts,
    )


def smaller_than_paper(dataset: str, train_images: int) -> list[str]:
    """In what this run is smaller than the paper's experiment, in words; empty where it is not."""
    if dataset not in PAPER:
        return ["the dataset is none of the paper’s"]
    images, wide, epochs = PAPER[dataset]
    width, trained = params.value("model", "width"), params.value("training", "epochs")
    found = [f"{train_images:,} train images instead of {images:,}"] * (train_images < images)
    found += [f"width {width:g} instead of {wide}"] * (width < wide)
    return found + [f"{trained} epochs instead of {epochs}"] * (trained < epochs)


def overview(evidence: Evidence) -> list[tuple[str, str, list[Bar]]]:
    """Per family of techniques its name, its best row and that row's accuracy under each semantics and under all attacks together."""
    found, worst = [], survival.worst_scores(evidence)
    for standing in standings(evidence).values():
        shares = standing.accuracies | {ALL: float(worst[standing.row].mean())}
        counts = {name: _tried(evidence, standing.technique, column) for name, column in headline_columns(evidence).items()}
        bars = [Bar(name, value, *wilson(value, counts.get(name, evidence.images))) for name, value in shares.items()]
        found.append((standing.name, standing.technique, bars))
    return found


def _tried(evidence: Evidence, technique: str, column: Column) -> int:
    """On how many images an attack was tried."""
    return int((~np.isnan(evidence.per_image[technique, column])).sum())


def _scale(evidence: Evidence, train_images: int) -> list[tuple[str, str]]:
    """What was run, as (name, value) pairs."""
    seeds = ", ".join(map(str, evidence.seeds))
    return [
        ("dataset", evidence.dataset),
        ("train images", f"{train_images:,}"),
        ("test images attacked", f"{evidence.images:,}"),
        ("seeds", seeds),
        ("architecture", f"{params.value('model', 'architecture')}, width × {params.value('model', 'width'):g}"),
        ("epochs", f"{params.value('training', 'epochs')}"),
        ("networks", f"{len(evidence.rows) * len(evidence.seeds)}"),
    ]


def _attacks() -> list[tuple[str, str]]:
    """Each suite, or each part of one that has parts, and the transfer attacks, with the settings that params.yaml has."""
    found: dict[str, dict] = {}
    for suite, settings in (params.value("attacks") | {"transfer": params.value("transfer")}).items():
        parts = {part: entry for part, entry in (settings or {}).items() if isinstance(entry, dict) and suite == "together"}
        found |= parts or {suite: settings or {}}
    return [(name, "; ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in found[name].items())) for name in found]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " and ".join(f"{key} {entry}" for key, entry in value.items())
    return "all" if value is None else " and ".join(map(str, value)) if isinstance(value, list) else str(value)
