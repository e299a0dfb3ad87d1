"""What was found on one model and seed, from however many files: radii by norm, records by what they are and where they were measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.base.errors import require
from lib.evaluation.outcome_file import Outcomes, Radius, Record
from lib.evaluation.threats import Norm
from lib.statistics.columns import NORMS, Column

Place = tuple[str, float]  # norm and radius
CLEARLY = 0.95  # an attack that finds less than this share of the search's radius has found what the search missed
BLACK_BOX = ("from ", "autoattack square")
PAPER = ("paper",)


@dataclass(frozen=True)
class Findings:
    """All that was found on one model on the same n images: `rows` are their numbers in the split, `labels` their classes (n,).

    `radii` are the shortest of all attacks; the telemetry `searched` (n,) is what the search had found before any other attack was asked.
    """

    dataset: str
    rows: np.ndarray
    labels: np.ndarray
    clean: np.ndarray
    radii: dict[Norm, Radius]
    records: tuple[Record, ...]

    @staticmethod
    def of(outcomes: Sequence[Outcomes]) -> "Findings":
        """Put the files of one model together; one of fewer images counts as not asked on the others.

        Raises:
            InputError: they are not of one row and seed, or not on the same images.
        """
        require(len(outcomes) > 0, "the gate needs at least one evaluation's outcomes, got none")
        whole = max(outcomes, key=lambda one: len(one.rows))
        for other in outcomes:
            names = [f"{one.row} of seed {one.seed} on images {one.images_digest[:12]}" for one in (whole, other)]
            same = names[0] == names[1] and np.array_equal(whole.rows[: len(other.rows)], other.rows)
            require(same, f"the gate judges one model on one set of images, got {names[0]} and {names[1]}")
        records = tuple(_filled(record, len(whole.rows)) for one in outcomes for record in one.records)
        return Findings(whole.dataset, whole.rows, whole.labels, whole.clean, _shortest(outcomes), records)

    def at(self, semantics: str) -> dict[Place, Record]:
        """The records of one attack by place, in ascending radius."""
        chosen = [record for record in self.records if record.semantics == semantics]
        return {(record.norm, record.epsilon): record for record in sorted(chosen, key=lambda one: (one.norm, one.epsilon))}

    def probe(self, name: str) -> dict[str, Record]:
        """The records of one probe by norm; "none" where it has none."""
        return {record.norm: record for record in self.records if (record.semantics, record.attack) == ("probe", name)}

    def beaten(self, norm: Norm, *names: str) -> np.ndarray:
        """The images (n,) bool on which an attack whose name begins so found something clearly shorter than the search."""
        found = self.radii[norm]
        return named(found, names) & (found.radius < CLEARLY * searched(found))


def searched(found: Radius) -> np.ndarray:
    """The radii (n,) that the search had found; those of all attacks where that was not kept.

    An image that the search was not asked about, because it is misclassified as it is, has the radius 0.
    """
    alone = found.telemetry.get("searched", found.radius)
    return np.asarray(np.where(np.isnan(alone), found.radius, alone))


def named(found: Radius, names: Sequence[str]) -> np.ndarray:
    """The images (n,) bool whose radius was found by an attack whose name begins so."""
    return np.array([str(name).startswith(tuple(names)) for name in found.found_by], bool)


def _shortest(outcomes: Sequence[Outcomes]) -> dict[Norm, Radius]:
    """Of every norm the shortest of all files, with the telemetry of the first that has radii."""
    radii: dict[Norm, list[Radius]] = {}
    for one in outcomes:
        for norm, found in one.radii.items():
            radii.setdefault(norm, []).append(found)
    return {norm: first.shortened(others) for norm, (first, *others) in radii.items()}


def _filled(record: Record, n: int) -> Record:
    """A record of the first images as one of all n."""
    asked = np.ones(record.correct.shape[1], bool) if record.asked is None else record.asked
    more = n - len(asked)
    if not more:
        return record
    telemetry = {name: np.append(seen, np.full(more, np.nan, seen.dtype)) for name, seen in record.telemetry.items()}
    correct = np.pad(record.correct, ((0, 0), (0, more)))
    return replace(record, correct=correct, telemetry=telemetry, asked=np.pad(asked, (0, more)))


def shortening(before: np.ndarray, after: np.ndarray) -> float:
    """By how many percent the mean of radii (m,) falls from `before` to `after`, where that is shorter; NaN entries were not asked.

    >>> shortening(np.array([1.0, 3.0]), np.array([0.5, 4.0]))
    12.5
    """
    asked = ~(np.isnan(before) | np.isnan(after))
    total = float(before[asked].sum(dtype=float))
    return 100 * (1 - float(np.minimum(before, after)[asked].sum(dtype=float)) / total) if total > 0 else 0.0


def words(place: Place) -> str:
    """A place in words.

    >>> words(("linf", 8 / 255))
    'L∞ 8/255'
    """
    return Column("", "", *place).threat


def called(norm: str) -> str:
    """A norm in words.

    >>> called("linf")
    'L∞'
    """
    return NORMS.get(norm, norm)
