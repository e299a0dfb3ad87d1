"""The records of one model and seed, from however many suites, by what they are and where they were measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from lib.base.errors import require
from lib.columns import Column
from lib.evaluation.outcome_file import Outcomes, Record

Place = tuple[str, float]  # norm and radius


@dataclass(frozen=True)
class Findings:
    """All records of one model on the same n images: `rows` are their numbers in the split, `labels` their classes (n,)."""

    dataset: str
    rows: np.ndarray
    labels: np.ndarray
    clean: np.ndarray
    records: tuple[Record, ...]

    @staticmethod
    def of(outcomes: Sequence[Outcomes]) -> "Findings":
        """Put the suites of one model together; one of fewer images counts as not asked on the others.

        Raises:
            InputError: they are not of one row and seed, or not on the same images.
        """
        require(len(outcomes) > 0, "the gate needs at least one suite's outcomes, got none")
        whole = max(outcomes, key=lambda one: len(one.rows))
        for other in outcomes:
            names = [f"{one.row} of seed {one.seed} on images {one.images_digest[:12]}" for one in (whole, other)]
            same = names[0] == names[1] and np.array_equal(whole.rows[: len(other.rows)], other.rows)
            require(same, f"the gate judges one model on one set of images, got {names[0]} and {names[1]}")
        records = tuple(_filled(record, len(whole.rows)) for one in outcomes for record in one.records)
        return Findings(whole.dataset, whole.rows, whole.labels, whole.clean, records)

    def at(self, semantics: str, attack: str) -> dict[Place, Record]:
        """The records of one attack by place, in ascending radius; `attack` may be a pattern such as `pgd*`."""
        chosen = [record for record in self.records if record.semantics == semantics and fnmatchcase(record.attack, attack)]
        return {(record.norm, record.epsilon): record for record in sorted(chosen, key=lambda one: (one.norm, one.epsilon))}

    def probe(self, name: str) -> dict[Place, Record]:
        """The records of one probe by place."""
        return self.at("probe", name)

    @property
    def probed(self) -> list[Place]:
        """Where the attacks were probed: every place at which some probe of an attack was recorded."""
        found = {(record.norm, record.epsilon) for record in self.records if record.semantics == "probe" and record.norm != "none"}
        return sorted(found)

    def asked(self, *records: Record) -> np.ndarray:
        """The images (n,) bool on which all of these attacks were tried; those that are misclassified as they are count as tried."""
        masks = [record.asked for record in records if record.asked is not None]
        return np.logical_and.reduce(masks) if masks else np.ones(len(self.rows), bool)


def _filled(record: Record, n: int) -> Record:
    """A record of the first images as one of all n."""
    asked = np.ones(record.correct.shape[1], bool) if record.asked is None else record.asked
    more = n - len(asked)
    if not more:
        return record
    telemetry = {name: np.append(seen, np.full(more, np.nan, seen.dtype)) for name, seen in record.telemetry.items()}
    correct = np.pad(record.correct, ((0, 0), (0, more)))
    return replace(record, correct=correct, telemetry=telemetry, asked=np.pad(asked, (0, more)))


def standing(record: Record, images: np.ndarray) -> float:
    """How many of the images (n,) bool stand; a fraction where runs are averaged."""
    return float(record.per_image[images].sum())


def words(place: Place) -> str:
    """A place in words.

    >>> words(("linf", 8 / 255))
    'L∞ 8/255'
    """
    return Column("", "", *place).threat
