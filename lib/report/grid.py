"""Which files of results there must be, and whether each is what params.yaml asks for.

DVC leaves the files of removed rows and seeds where they were, so a file that nobody asked for is refused like a missing one: no stale
number can reach a table.
"""

from pathlib import Path

import numpy as np

from lib.base import params
from lib.base.errors import require
from lib.base.image_file import Split
from lib.evaluation.outcome_file import Outcomes
from lib.evaluation.threats import in_tables, threats
from lib.report.rows import rows, seeds

Place = tuple[int, str, str]  # seed, row, suite
TRANSFER = "transfer"
# What parts of the suites, named as in params.yaml, leave in a file beside the semantics that their settings list.
SEMANTICS_OF = {"autoattack": "autoattack", "probes": "probe", TRANSFER: "transfer"}


def attacked() -> list[Place]:
    """Every place that must have an attack suite's outcomes."""
    return [(seed, row, suite) for seed in seeds() for row in rows() for suite in params.value("attacks")]


def shown() -> list[Place]:
    """Every place that must have outcomes of transfer attacks."""
    return [(seed, row, TRANSFER) for seed in seeds() for row in rows()]


def name(place: Place) -> str:
    """Where a place's file lies in its folder."""
    seed, row, suite = place
    return f"{seed}/{row}.h5" if suite == TRANSFER else f"{seed}/{row}.{suite}.h5"


def require_files(attacks: Path, transfer: Path, gradients: Path) -> None:
    """Raise `InputError`, naming them all, if files that params.yaml asks for are missing or others lie there."""
    expected = {attacks: {name(place) for place in attacked()}, transfer: {name(place) for place in shown()}}
    expected[gradients] = {f"{seed}.h5" for seed in seeds()}
    missing = [f"{folder}/{file}" for folder, names in expected.items() for file in sorted(names - _files(folder))]
    extra = [f"{folder}/{file}" for folder, names in expected.items() for file in sorted(_files(folder) - names)]
    complaints = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"left over: {', '.join(extra)}"] * bool(extra)
    require(not complaints, f"the results must be exactly those that params.yaml asks for; {'; '.join(complaints)}")


def require_content(path: Path, found: Outcomes, place: Place, dataset: str) -> None:
    """Raise `InputError` unless the file says that it belongs to `place`, with every attack in the threat models asked for.

    An attack must have been run in all threat models of its row or in exactly those that the tables show. Probes are exempt: they
    are asked at radii of their own.
    """
    says = (found.seed, found.row, found.suite, found.dataset)
    require(says == (*place, dataset), f"{path} should hold seed, row, suite, dataset {(*place, dataset)}, it says {says}")
    listed = rows()[found.row].threats
    wanted = [sorted((threat.norm, threat.epsilon) for threat in some) for some in (threats(listed), in_tables(threats(listed)))]
    measured = [record for record in found.records if record.semantics != "probe"]
    for kind in dict.fromkeys((record.semantics, record.attack) for record in measured):
        met = sorted((record.norm, record.epsilon) for record in measured if (record.semantics, record.attack) == kind)
        require(met in wanted, f"{path} has {' '.join(kind)} at {met}, but threats.{listed} of params.yaml asks for {wanted[0]}")
    _require_semantics(path, found)


def require_same_images(outcomes: list[Outcomes], test: Split) -> None:
    """Raise `InputError` unless all outcomes were found on the same first images of the split as it is now."""
    first = outcomes[0]
    for other in outcomes[1:]:
        same = other.images_digest == first.images_digest and np.array_equal(other.rows, first.rows)
        names = [name((found.seed, found.row, found.suite)) for found in (first, other)]
        require(same, f"all outcomes must come from the same test images, those of {names[0]} and {names[1]} do not")
    found, now = first.images_digest[:12], test.digest[:12]
    require(found == now, f"the outcomes come from test images of digest {found}, the image file now holds {now}")
    section = TRANSFER if first.suite == TRANSFER else "evaluation"
    asked = params.value(section, "images")
    require(asked in (None, len(first.rows)), f"the outcomes are of {len(first.rows)} images, but {section}.images asks for {asked}")


def _require_semantics(path: Path, found: Outcomes) -> None:
    settings = {} if found.suite == TRANSFER else params.value("attacks", found.suite) or {}
    parts = {found.suite: settings} | {part: entry for part, entry in settings.items() if isinstance(entry, dict)}
    asked = {SEMANTICS_OF[part] for part in parts if part in SEMANTICS_OF}
    asked |= {semantics for entry in parts.values() for semantics in entry.get("semantics", [])}
    met = {record.semantics for record in found.records}
    require(bool(met) and met == (asked or met), f"{path} has records of semantics {sorted(met)}, expected {sorted(asked)}")
    sources = {record.attack for record in found.records}
    wanted = {f"from {source}" for source in params.value(TRANSFER, "sources")} if found.suite == TRANSFER else sources
    require(sources == wanted, f"{path} has the attacks {sorted(sources)}, but transfer.sources of params.yaml asks for {sorted(wanted)}")


def _files(folder: Path) -> set[str]:
    """Files under `folder`, but for hidden ones and those that a writer has not finished."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and path.suffix != ".part")
    return {path.relative_to(folder).as_posix() for path in files}
