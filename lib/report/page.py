"""The report as one self-contained HTML page: it loads nothing, so that it can be mailed or opened years later.

Its Content-Security-Policy forbids every request; its charts and sorting are scripts inside it, and without them the pictures remain.
"""

import re
from dataclasses import dataclass

from markupsafe import Markup

from lib.base import params
from lib.report import black_box, claim_table, explained, gate, gate_words, row_names
from lib.report.claims import Claim
from lib.report.contrasts import Compared
from lib.report.results import Evidence
from lib.report.rows import epochs as row_epochs
from lib.report.series import headline_column, headline_columns
from lib.report.tables import Table
from lib.report.templates import rendered

# Train images, width and epochs of the paper (Sec. 4.2 and 4.3).
PAPER = {"mnist5k": (60_000, 1, 100), "mnist": (60_000, 1, 100), "cifar10": (50_000, 10, 200)}


@dataclass(frozen=True)
class Judged:
    """What was worked out; `contrasts` are those of the question, of every experiment."""

    table: Table
    gate: gate.Gate
    black: black_box.Table
    claims: list[Claim]
    contrasts: list[Compared]


@dataclass(frozen=True)
class Parts:
    """Parts of the page that were made elsewhere. `answer`: the picture of the contrasts. `further`: studies and larger runs. `origin`:
    what is said below the table of where its rows were made, and all `environments`. `style` belongs into the head, `scripts` behind
    everything.
    """

    answer: Markup
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
    columns = headline_columns(evidence)
    believed = gate_words.sentences(judged.gate)
    measured = {name: column.called for name, column in columns.items()}
    known = {
        "dataset": explained.dataset(evidence.dataset),
        "parts": parts,
        "measured": measured,
        "threat": headline_column(evidence).threat,
    }
    sections = rendered("sections.html.j2", **known, **_sections(evidence, judged, believed))
    top = _top(evidence, train_images, judged, believed[0])
    return rendered("page.html.j2", **known, **top, sections=sections, places=headings(sections))


def headings(text: str) -> list[tuple[str, str]]:
    """Id and words of every second-level heading, for the list at the top.

    >>> headings('<h2 id="gate">The gate</h2><h2>no id</h2>')
    [('gate', 'The gate')]
    """
    return [(place, Markup(words).unescape()) for place, words in re.findall(r'<h2 id="([^"]+)">([^<]+)</h2>', text)]


def _top(evidence: Evidence, train_images: int, judged: Judged, believed: str) -> dict[str, object]:
    """The answer and what was run; `believed`: the verdict of the gate."""
    return {
        "asked": [line for line in judged.contrasts if line.pair.asked],
        "believed": believed,
        "scale": _scale(evidence, train_images),
        "replica": smaller_than_paper(evidence.dataset, train_images),
        "brief": row_names.brief(evidence),
    }


def _sections(evidence: Evidence, judged: Judged, believed: list[str]) -> dict[str, object]:
    """Everything below the answer. `believed`: what the gate means."""
    return {
        "names": row_names.key(evidence),
        "reference": explained.reference(),
        "radius": explained.radius(headline_column(evidence)),
        "attack_words": explained.attacks(headline_columns(evidence)),
        "short": explained.shortened(),
        "referee": params.value("attacks", "referee") is not None,
        "table": judged.table,
        "black": judged.black,
        "gate": gate.to_html(judged.gate),
        "gate_words": believed,
        "attacks": _attacks(),
        "claims": claim_table.to_html(judged.claims, evidence),
        "chosen_on_test": params.value("training", "selection") == "leaking_test",
        "seeds": len(evidence.seeds),
    }


def smaller_than_paper(dataset: str, train_images: int) -> list[str]:
    """In what this run is smaller than the paper's experiment, in words; empty where it is not."""
    if dataset not in PAPER:
        return ["the dataset is none of the paper’s"]
    images, wide, epochs = PAPER[dataset]
    width = params.value("model", "width")
    found = [f"{train_images:,} train images instead of {images:,}"] * (train_images < images)
    found += [f"width {width:g} instead of {wide}"] * (width < wide)
    return found + [f"{_epochs()} epochs instead of {epochs}"] * (min(row_epochs().values()) < epochs)


def _epochs() -> str:
    """For how many epochs the rows were trained, the fewest and the most."""
    fewest, most = min(row_epochs().values()), max(row_epochs().values())
    return f"{fewest}" if fewest == most else f"{fewest} to {most}"


def _scale(evidence: Evidence, train_images: int) -> list[tuple[str, str]]:
    """What was run, as (name, value) pairs."""
    seeds = ", ".join(map(str, evidence.seeds))
    return [
        ("dataset", explained.dataset(evidence.dataset)),
        ("train images", f"{train_images:,}"),
        ("test images attacked", f"{evidence.images:,}"),
        ("seeds", seeds),
        ("architecture", f"{params.value('model', 'architecture')}, width × {params.value('model', 'width'):g}"),
        ("epochs", _epochs()),
        ("networks", f"{len(evidence.rows) * len(evidence.seeds)}"),
    ]


def _attacks() -> list[tuple[str, str]]:
    """Each attack with the settings that params.yaml has."""
    attacks, transfer = params.value("attacks") | params.value("own_attacks"), {"transfer": params.value("transfer")}
    return [
        (name, "; ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in (settings or {}).items()))
        for name, settings in (attacks | transfer).items()
    ]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " and ".join(f"{key} {entry}" for key, entry in value.items())
    return "all" if value is None else " and ".join(map(str, value)) if isinstance(value, list) else str(value)
