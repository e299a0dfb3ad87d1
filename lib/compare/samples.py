"""What every row of a revision has of every measure, and how far two revisions differ in it, by the rule of all comparisons
(lib/statistics/crossed.py).

Where both have what became of every single image, of the same images and under common seeds, the difference is paired; with other images
or other seeds the two are independent samples, and the interval is wider; without single images there is none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import Literal, cast

import numpy as np

from lib.base.errors import require
from lib.compare.revision import Revision
from lib.evaluation.outcome_file import Outcomes
from lib.evaluation.threats import Norm, Threat
from lib.report import grid
from lib.report.results import image_scores, in_both, radii, records
from lib.statistics import crossed
from lib.statistics.columns import CLEAN, Column
from lib.statistics.crossed import Contrast

Images = tuple[str, bytes]  # the digest of the split, and which of its images
Quantity = tuple[str, str, Column]  # row, measure, and the attack at a radius; of a mean radius only the norm
PerImage = dict[int, tuple[np.ndarray, Images]]  # by seed
GRADIENTS = ("label_norm", "cosine_reference", "cosine_target")  # one number per network
RULES = {"accuracy": crossed.points, "radius": crossed.relative}


@dataclass(frozen=True)
class Sample:
    """A quantity by seed, each a mean over the same `n` images; 1 where a network has one number.

    `values` (seeds, n) is what each image has, the seeds in the order of `means`, NaN where the attack was not tried; None where files
    are missing. `images` says which images these are.
    """

    means: Mapping[int, float]
    n: int
    values: np.ndarray | None = None
    images: Images | None = None

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(list(self.means.values())))


@dataclass(frozen=True)
class Change:
    """How far a quantity lies from that of the base: accuracies in points, mean radii in percent.

    `same` is whether nothing has changed: not one image where these are known, else no mean.
    """

    contrast: Contrast
    kind: Literal["paired", "independent", "unknown"]
    same: bool


def samples(revision: Revision) -> dict[Quantity, Sample]:
    """Every accuracy of report/results.csv, every mean radius of results/, every measure of gradients of report/networks.csv."""
    return _accuracies(revision) | _radii(revision.outcomes) | _gradients(revision)


def changes(base: Mapping[Quantity, Sample], other: Mapping[Quantity, Sample]) -> dict[Quantity, Change]:
    """Every quantity that both revisions have.

    Holm's correction runs over the accuracies under one attack, over the mean radii in both norms and over each measure of gradients, in
    all rows that changed.
    """
    known = {quantity: change(quantity, base[quantity], other[quantity]) for quantity in base if quantity in other}
    moved = {quantity[:2] for quantity, found in known.items() if not found.same}
    tested = [quantity for quantity, found in known.items() if quantity[:2] in moved and found.kind != "unknown"]
    for name in {(measure, column.semantics) for _, measure, column in tested}:
        family = [quantity for quantity in tested if (quantity[1], quantity[2].semantics) == name]
        for quantity, contrast in zip(family, crossed.corrected([known[quantity].contrast for quantity in family])):
            known[quantity] = replace(known[quantity], contrast=contrast)
    return known


def change(quantity: Quantity, base: Sample, other: Sample) -> Change:
    """How far `other` lies from `base`, paired by seed and image if it can be."""
    row, measure, column = quantity
    seeds = [seed for seed in base.means if seed in other.means]
    if base.values is None or other.values is None or (measure in GRADIENTS and not seeds):
        estimate = (100 if measure == "accuracy" else 1) * (other.mean - base.mean)
        contrast = Contrast(estimate, nan, nan, nan, 1.0, min(base.n, other.n), min(len(base.means), len(other.means)))
        return Change(contrast, "unknown", base.means == other.means and base.n == other.n)
    first, second = other.values, base.values
    if base.images != other.images or not seeds:
        first, second = (values[:, ~np.isnan(values).any(0)] for values in (first, second))
        return Change(RULES[measure](first, second, shared=False), "independent", False)
    same = base.means.keys() == other.means.keys() and np.array_equal(first, second, equal_nan=True)
    first, second = (first[[list(other.means).index(seed) for seed in seeds]], second[[list(base.means).index(seed) for seed in seeds]])
    if measure in GRADIENTS:
        return Change(crossed.over_seeds((first - second)[:, 0]), "paired", same)
    both = in_both(first.sum(0), second.sum(0))
    require(bool(both.any()), f"no image of {row} was attacked by {column.group} in both revisions, so that they cannot be compared")
    return Change(RULES[measure](first[:, both], second[:, both]), "paired", same)


def _accuracies(revision: Revision) -> dict[Quantity, Sample]:
    rows = {technique: row for row, technique in revision.rows.items()}
    means: dict[Quantity, dict[int, float]] = {}
    counts: dict[Quantity, int] = {}
    for line in revision.tables["results"].to_dict("records"):
        attacked = line["attack"] != CLEAN.attack
        column = Column(line["semantics"], line["attack"], line["norm"], float(line["epsilon"])) if attacked else CLEAN
        quantity = rows.get(line["technique"], line["technique"]), "accuracy", column
        means.setdefault(quantity, {})[int(line["seed"])] = float(line["accuracy"])
        counts[quantity] = int(line["n"])
    known = _per_image(revision.outcomes, means)
    return {quantity: _sample(found, counts[quantity], known.get(quantity, {})) for quantity, found in means.items()}


def _per_image(outcomes: Iterable[Outcomes], asked: Iterable[Quantity]) -> dict[Quantity, PerImage]:
    """How far every image counts as correct, in [0, 1], at the radii that are `asked` for."""
    threats = {(row, Threat(cast(Norm, column.norm), column.epsilon)): None for row, _, column in asked if column != CLEAN}
    found: dict[Quantity, PerImage] = {}
    for one in outcomes:
        images = one.images_digest, one.rows.tobytes()
        found.setdefault((one.row, "accuracy", CLEAN), {}).setdefault(one.seed, (one.clean.astype(float), images))  # transfer: fewer images
        for record in records(one, [threat for row, threat in threats if row == one.row]):
            column = Column(record.semantics, record.attack, record.norm, record.epsilon)
            found.setdefault((one.row, "accuracy", column), {})[one.seed] = image_scores(record), images
    return found


def _radii(outcomes: Iterable[Outcomes]) -> dict[Quantity, Sample]:
    """Under all attacks together, of rows whose seeds were all evaluated on the same images."""
    images = {(one.row, one.seed): (one.images_digest, one.rows.tobytes()) for one in outcomes if grid.what(one) == grid.EVALUATION}
    found = {}
    for (row, norm), by_seed in radii(outcomes).items():
        known = {seed: (values.astype(float), images[row, seed]) for seed, values in by_seed.items()}
        means = {seed: float(values.mean()) for seed, (values, _) in known.items()}
        found[row, "radius", Column("", "", norm, 0.0)] = _sample(means, min(map(len, by_seed.values())), known)
    return {quantity: sample for quantity, sample in found.items() if sample.values is not None}


def _gradients(revision: Revision) -> dict[Quantity, Sample]:
    """The table has a line per attack, in all of which the gradients are the same."""
    means: dict[Quantity, dict[int, float]] = {}
    for line in revision.tables["networks"].to_dict("records"):
        for measure in GRADIENTS:
            if line[measure] not in ("", "nan"):
                means.setdefault((line["row"], measure, Column("", measure, "", 0.0)), {})[int(line["seed"])] = float(line[measure])
    return {quantity: Sample(found, 1, np.array(list(found.values()))[:, None]) for quantity, found in means.items()}


def _sample(means: Mapping[int, float], n: int, known: PerImage) -> Sample:
    """With single images where every seed has them, of the same images."""
    different = {known[seed][1] for seed in means if seed in known}
    if len(different) != 1 or not means.keys() <= known.keys():
        return Sample(means, n)
    return Sample(means, n, np.stack([known[seed][0] for seed in means]), different.pop())
