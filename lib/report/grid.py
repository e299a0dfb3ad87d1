"""Which files of results there must be, and whether each is what params.yaml asks for.

DVC leaves the files of removed rows and seeds where they were, so a file that nobody asked for is refused like a missing one: no stale
number can reach a table.
"""

from pathlib import Path

import numpy as np

from lib.base import params
from lib.base.errors import require
from lib.base.image_file import Split
from lib.evaluation.outcome_file import PAPER, TRANSFER, Outcomes
from lib.evaluation.threats import threats
from lib.report.rows import rows, seeds

Place = tuple[int, str, str]  # seed, row, and what was run: the evaluation, transfer attacks or an attack of your own
EVALUATION = "search"


def attacked() -> list[Place]:
    """Every place that must have radii: those of the evaluation and of your own attacks."""
    names = [EVALUATION, *params.names("own_attacks")]
    return [(seed, row, attack) for seed in seeds() for row in rows() for attack in names]


def shown() -> list[Place]:
    """Every place that must have radii of transfer attacks."""
    return [(seed, row, TRANSFER) for seed in seeds() for row in rows()]


def name(place: Place) -> str:
    """Where a place's file lies in its folder."""
    seed, row, attack = place
    return f"{seed}/{row}.h5" if attack in (EVALUATION, TRANSFER) else f"{seed}/{row}.{attack}.h5"


def what(found: Outcomes) -> str:
    """What was run: `EVALUATION`, `TRANSFER` or the name of an attack of your own."""
    return EVALUATION if EVALUATION in found.settings else next(iter(found.settings), "")


def require_files(attacks: Path, transfer: Path, gradients: Path) -> None:
    """Raise `InputError`, naming them all, if files that params.yaml asks for are missing or others lie there."""
    expected = {attacks: {name(place) for place in attacked()}, transfer: {name(place) for place in shown()}}
    expected[gradients] = {f"{seed}.h5" for seed in seeds()}
    missing = [f"{folder}/{file}" for folder, names in expected.items() for file in sorted(names - _files(folder))]
    extra = [f"{folder}/{file}" for folder, names in expected.items() for file in sorted(_files(folder) - names)]
    complaints = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"left over: {', '.join(extra)}"] * bool(extra)
    require(not complaints, f"the results must be exactly those that params.yaml asks for; {'; '.join(complaints)}")


def require_content(path: Path, found: Outcomes, place: Place, dataset: str) -> None:
    """Raise `InputError` unless the file says that it belongs to `place`, with the paper's attack in the threat models asked for."""
    says = (found.seed, found.row, what(found), found.dataset)
    require(says == (*place, dataset), f"{path} should hold seed, row, attack, dataset {(*place, dataset)}, it says {says}")
    if place[2] == EVALUATION:
        listed = rows()[found.row].threats
        asked = [] if params.value("attacks", "paper") is None else threats(listed)
        wanted = sorted((threat.norm, threat.epsilon) for threat in asked)
        met = sorted((record.norm, record.epsilon) for record in found.records if record.semantics == PAPER)
        require(met == wanted, f"{path} has the paper's attack at {met}, but threats.{listed} of params.yaml asks for {wanted}")


def require_same_images(outcomes: list[Outcomes], test: Split) -> None:
    """Raise `InputError` unless all outcomes were found on the same first images of the split as it is now."""
    first = outcomes[0]
    for other in outcomes[1:]:
        same = other.images_digest == first.images_digest and np.array_equal(other.rows, first.rows)
        names = [name((found.seed, found.row, what(found))) for found in (first, other)]
        require(same, f"all outcomes must come from the same test images, those of {names[0]} and {names[1]} do not")
    found, now = first.images_digest[:12], test.digest[:12]
    require(found == now, f"the outcomes come from test images of digest {found}, the image file now holds {now}")
    section = TRANSFER if what(first) == TRANSFER else "evaluation"
    asked = params.value(section, "images")
    require(asked in (None, len(first.rows)), f"the outcomes are of {len(first.rows)} images, but {section}.images asks for {asked}")


def _files(folder: Path) -> set[str]:
    """Files under `folder`, but for hidden ones and those that a writer has not finished."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and path.suffix != ".part")
    return {path.relative_to(folder).as_posix() for path in files}
