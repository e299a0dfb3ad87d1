"""Evaluations shared out: the images that are attacked are cut into batches, each attacked on its own, and a part is some of them.

What is found on an image depends on the images beside it: by rounding, and in AutoAttack by its draws. So the images of a batch stay among
themselves from the first attack to the last, whoever runs it, and parts that are merged give the bytes of one evaluation. A part is a
file of another kind than outcomes: nothing takes it for a whole.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.base import h5, json_text
from lib.base.errors import require
from lib.base.portions import portion
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Outcomes, Radius, Record
from lib.evaluation.threats import Norm

KIND = "radii_part"

# Positions of the images that were attacked, and what was found there, as outcomes of all images.
Piece = tuple[np.ndarray, Outcomes]


@dataclass(frozen=True)
class Part:
    """Batches `first` up to `last`, which is not among them, of `total`; each has `size` images that the model classifies correctly, the
    last may have fewer.

    `common` is what has to be the same in all parts: the weights' digest, the attacks' settings, the threat models, section
    `evaluation`, the kind of device and torch.
    """

    first: int
    last: int
    total: int
    size: int
    common: dict

    def positions(self, clean: np.ndarray) -> np.ndarray:
        """Which images it attacks, given which are classified correctly, (n,) bool."""
        return np.flatnonzero(clean)[self.first * self.size : self.last * self.size]


def part(images: int, size: int, index: int, count: int, common: dict | None = None) -> Part:
    """Part `index` (1 to `count`) of `images` that are classified correctly, cut between batches of `size`.

    >>> [(one.first, one.last, one.total) for one in (part(90, 20, 1, 2), part(90, 20, 2, 2))]
    [(0, 3, 5), (3, 5, 5)]
    """
    batches, total = portion(images, size, index, count, f"batches of {size} images that the model classifies correctly")
    return Part(batches.start, batches.stop, total, size, common or {})


def joined(pieces: Sequence[Piece]) -> Outcomes:
    """The outcomes of several pieces as those of one; a record that a piece lacks was not asked of its images."""
    whole = pieces[0][1]
    records: dict[tuple, Record] = {}
    known: dict[Norm, Radius] = dict(whole.radii)
    for positions, piece in pieces:
        for record in piece.records:
            key = (record.semantics, record.attack, record.norm, record.epsilon)
            records[key] = _put(records[key], record, positions) if key in records else record
        for norm, found in piece.radii.items():
            length, found_by = known[norm].radius.copy(), known[norm].found_by.copy()
            length[positions], found_by[positions] = found.radius[positions], found.found_by[positions]
            known[norm] = Radius(length, found_by, _placed(known[norm].telemetry, found.telemetry, positions))
    return replace(whole, radii=known, records=tuple(records.values()))


def _put(record: Record, other: Record, positions: np.ndarray) -> Record:
    correct = record.correct.copy()
    correct[:, positions] = other.correct[:, positions]
    asked = None if record.asked is None else record.asked.copy()
    if asked is not None and other.asked is not None:
        asked[positions] = other.asked[positions]
    return replace(record, correct=correct, asked=asked, telemetry=_placed(record.telemetry, other.telemetry, positions))


def _placed(telemetry: dict[str, np.ndarray], other: dict[str, np.ndarray], positions: np.ndarray) -> dict[str, np.ndarray]:
    found = {name: values.copy() for name, values in telemetry.items()}
    for name, values in found.items():
        values[positions] = other[name][positions]
    return found


def write(path: Path, found: Outcomes, place: Part) -> None:
    """Write the outcomes of a part."""
    with h5.writing(path, KIND, nbytes=outcome_file.nbytes(found)) as file:
        outcome_file.fill(file, found)
        h5.tell(file, first=place.first, last=place.last, total=place.total, size=place.size)
        h5.tell(file, common=json.dumps(place.common, sort_keys=True))


def read(path: Path) -> tuple[Outcomes, Part]:
    """Read what `write` wrote; raises `InputError` for anything else."""
    with h5.reading(path, KIND) as file:
        first, last, total, size = (h5.attribute(file, name, path, int) for name in ("first", "last", "total", "size"))
        common = json_text.parsed(h5.attribute(file, "common", path), f"{path}: attribute 'common'")
        return outcome_file.taken(file, path), Part(first, last, total, size, common)


def merge(paths: Sequence[Path], out: Path) -> Outcomes:
    """Merge parts, in any order, into one outcome file; raises `InputError` unless they are all parts of one evaluation, each once."""
    require(bool(paths), "expected at least one part to merge, got none")
    require(out.resolve() not in [path.resolve() for path in paths], f"{out} is one of the parts; name another file for the result")
    found = sorted(((path, *read(path)) for path in paths), key=lambda one: one[2].first)
    path, whole, start = found[0]
    batch = 0
    for other, outcomes, place in found:
        _require_same((path, whole, start), (other, outcomes, place))
        require(
            place.first == batch,
            f"the parts must follow each other, after batch {batch} of {place.total} comes {other} with {_span(place)}",
        )
        batch = place.last
    require(batch == start.total, f"the parts must hold all {start.total} batches, the last is {found[-1][0]} with {_span(found[-1][2])}")
    result = joined([(place.positions(whole.clean), outcomes) for _, outcomes, place in found])
    outcome_file.write(out, result)
    return result


def _span(place: Part) -> str:
    return f"batches {place.first + 1} to {place.last}"


def _require_same(first: tuple[Path, Outcomes, Part], second: tuple[Path, Outcomes, Part]) -> None:
    told = [_told(outcomes, place) for _, outcomes, place in (first, second)]
    differing = [key for key in told[0] if told[0][key] != told[1].get(key)]
    require(not differing, f"{second[0]} and {first[0]} do not belong together: they differ in {', '.join(differing)}")


def _told(outcomes: Outcomes, place: Part) -> dict:
    """What all parts of one evaluation have in common."""
    known = {name: getattr(outcomes, name) for name in ("dataset", "row", "seed", "images_digest", "settings")}
    known |= {"images": outcomes.rows.tolist(), "labels": outcomes.labels.tolist(), **place.common}
    return known | {"which images are classified correctly": outcomes.clean.tolist(), "batches": (place.total, place.size)}
