"""The report as one self-contained HTML page: it loads nothing, so that it can be mailed or opened years later."""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lib.base import params
from lib.report.checks import Check, checks
from lib.report.columns import SEMANTICS
from lib.report.figures import Picture
from lib.report.findings import answer, standings
from lib.report.results import Evidence
from lib.report.series import headline_columns
from lib.report.statistics import wilson
from lib.report.tables import Table

TEMPLATE = Path(__file__).with_name("page.html.j2")
# Train images, width and epochs of the paper (Sec. 4.2 and 4.3).
PAPER = {"mnist5k": (60_000, 1, 100), "mnist": (60_000, 1, 100), "cifar10": (50_000, 10, 200)}


@dataclass(frozen=True)
class Bar:
    """One accuracy of the overview: a fraction with its 95 % interval over test images."""

    label: str
    value: float
    low: float
    high: float


def render(evidence: Evidence, train_images: int, table: Table, pictures: list[Picture], folder: Path) -> str:
    """The page as text; `folder` holds the pictures' files, which go into the page itself."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda fraction: f"{100 * fraction:.1f}"
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    found = checks(evidence)
    return template.render(
        dataset=evidence.dataset,
        threat=next(iter(headline_columns(evidence).values())).threat,
        answer=answer(evidence),
        overview=overview(evidence),
        scale=_scale(evidence, train_images),
        replica=smaller_than_paper(evidence.dataset, train_images),
        table=table,
        pictures=[(picture, _inlined(picture, folder)) for picture in pictures],
        attacks=_attacks(),
        measured={name: SEMANTICS.get(name, name) for name in headline_columns(evidence)},
        checks=_grouped(found),
        passed=sum(check.holds for check in found),
        asked=len(found),
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
    """Per family of techniques its name, its best row and that row's accuracy under each semantics."""
    found = []
    for standing in standings(evidence).values():
        bars = [Bar(name, value, *wilson(value, evidence.images)) for name, value in standing.accuracies.items()]
        found.append((standing.name, standing.technique, bars))
    return found


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
    """Each suite with its settings, as params.yaml has them."""
    found = []
    for suite, settings in params.value("attacks").items():
        words = [f"{name.replace('_', ' ')} {_plain(value)}" for name, value in (settings or {}).items()]
        found.append((suite, "; ".join(words)))
    return found


def _plain(value: object) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def _grouped(found: list[Check]) -> list[tuple[str, list[Check]]]:
    """Checks under their claims, in order."""
    claims = dict.fromkeys(check.claim for check in found)
    return [(claim, [check for check in found if check.claim == claim]) for claim in claims]


def _inlined(picture: Picture, folder: Path) -> Markup:
    suffix, kind = ("svg", "svg+xml") if picture.vector else ("png", "png")
    data = b64encode((folder / f"{picture.name}.{suffix}").read_bytes()).decode("ascii")
    return Markup(f"data:image/{kind};base64,{data}")
