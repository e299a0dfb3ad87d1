"""The comparisons that the paper argues from, each tested on the same images for every seed, and corrected for how many there are."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan, nan
from typing import Literal, get_args

import numpy as np
import pandas as pd

from lib.columns import Column, at_threat, radius
from lib.evaluation.threats import threats
from lib.report.families import Family, families, permuted_targets, teacher_targets
from lib.report.findings import Difference, comparable, compared
from lib.report.results import Evidence, in_both, labels
from lib.report.series import headline
from lib.report.verdicts import CANNOT_TELL, CONTRADICTED, SUPPORTED, Verdict
from lib.statistics import CONFIDENCE, Discordant, combined_p, discordant, holm, standing, t_half_width

SMOOTH, TEACHER, CONTENT = "SmG − simp", "R − NR", "IR − perm"
JACOBIAN, ADVERSARIAL, STANDARD = "IR − JR", "IR − AT", "IR − Standard"
DEFENDED, STEP = "defended − Standard", "less − more permuted"
JACOBIAN_PERMUTED, JACOBIAN_FOREIGN, PERMUTED_FOREIGN = "JR − perm", "JR − NR", "perm − NR"
# What the paper calls the two hardest settings on MNIST (Sec. 4.5).
HARDEST = [("linf", 0.25), ("linf", 0.3)]
Where = Literal["headline", "table", "hardest"]
PLACES: tuple[Where, ...] = get_args(Where)


@dataclass(frozen=True)
class Pair:
    """Two rows of which the paper has the `first` more robust, under the `name` of that comparison, and where it says so."""

    name: str
    first: str
    second: str
    where: Where


@dataclass(frozen=True)
class Contrast:
    """A pair in one column, on the `images` that both rows were attacked on. `points` and `counts` hold one entry per seed.

    `p` is of all seeds together (`statistics.combined_p`), `adjusted` the same with Holm's correction over the whole semantics.
    """

    pair: Pair
    techniques: tuple[str, str]
    group: str | None
    column: Column
    images: int
    difference: Difference
    points: tuple[float, ...]
    counts: tuple[Discordant, ...]
    p: float
    adjusted: float = nan

    @property
    def total(self) -> Discordant:
        """The discordant counts of all seeds together."""
        return Discordant(sum(count.first for count in self.counts), sum(count.second for count in self.counts))

    @property
    def agreeing(self) -> int:
        """How many seeds' differences have the sign of their mean."""
        return int((np.sign(self.points) == np.sign(self.difference.points)).sum()) if self.difference.points else 0

    @cached_property
    def half_width(self) -> float:
        """Half the t interval over seeds, in points; NaN for a single seed. With two seeds it is hardly ever informative."""
        return t_half_width(self.points) if len(self.points) > 1 else nan

    @property
    def verdict(self) -> Verdict:
        """Whether the first row is the more robust one: decided only if the adjusted p value is small and all seeds agree."""
        if isnan(self.adjusted) or self.adjusted >= 1 - CONFIDENCE or self.agreeing < len(self.points):
            return CANNOT_TELL
        directions = self.difference.points > 0, self.total.first > self.total.second
        return SUPPORTED if all(directions) else CANNOT_TELL if any(directions) else CONTRADICTED

    @property
    def name(self) -> str:
        """`IR(R,SmG) − JR at L∞ 0.2`."""
        return f"{self.techniques[0]} − {self.techniques[1]} at {self.column.threat}"


def contrasts(evidence: Evidence) -> list[Contrast]:
    """Every contrast that the rows at hand allow, under every semantics; Holm's correction runs over all those of one semantics.

    A pair is tested at the headline threat model; where the paper speaks of all attacks, at all those of the table; where it speaks of
    the two hardest settings, at these, if the table has them.
    """
    found = []
    for semantics in _columns(evidence, "headline"):
        family = [_contrast(evidence, pair, column) for pair, column in _cells(evidence, semantics)]
        adjusted = holm([contrast.p for contrast in family])
        found += [replace(contrast, adjusted=p) for contrast, p in zip(family, adjusted)]
    return found


def pairs(evidence: Evidence) -> list[Pair]:
    """The pairs of rows to compare, from what the rows are and not from what they are called.

    "IR" is a row trained towards a robust teacher's targets, by the saliency method of the permuted targets' source (SmoothGrad);
    rows are compared only within their group of the table.
    """
    kinds, method = families(), teacher_targets()[next(iter(permuted_targets()))][1]
    shown = [row for row, settings in evidence.rows.items() if settings.threats == "table"]
    of: dict[Family, list[str]] = {kind: [row for row in shown if kinds[row] == kind] for kind in kinds.values()}
    ours = [row for row in of.get("robust", []) if teacher_targets()[row][1] == method]
    controls: list[tuple[str, list[str], Family, Where]] = [
        (JACOBIAN, ours, "jacobian", "table"),
        (ADVERSARIAL, ours, "adversarial", "hardest"),
        (STANDARD, ours, "standard", "headline"),
        (DEFENDED, [row for row in shown if kinds[row] != "standard" and row not in ours], "standard", "headline"),
        (JACOBIAN_PERMUTED, of.get("jacobian", []), "permuted", "headline"),
        (JACOBIAN_FOREIGN, of.get("jacobian", []), "non_robust", "headline"),
        (PERMUTED_FOREIGN, of.get("permuted", []), "non_robust", "headline"),
    ]
    plain = [Pair(name, one, other, where) for name, first, kind, where in controls for one in first for other in of.get(kind, [])]
    found = [*_targets(shown, method), *_permuted(evidence, shown), *plain]
    return [pair for pair in found if comparable(evidence, pair.first, pair.second)]


def to_frame(found: list[Contrast]) -> pd.DataFrame:
    """One line per contrast, accuracies and differences in points; what each seed gave stands in one cell, in the order of the seeds."""
    return pd.DataFrame([_line(contrast) for contrast in found])


def p_value(p: float) -> str:
    """A p value as people print it.

    >>> p_value(0.0312), p_value(0.00001)
    ('p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def both_p_values(contrast: Contrast, family: int) -> str:
    """The p value as it is, and with Holm's correction over so many comparisons: `p = 0.041, with Holm’s correction over 47: p = 1.000`."""
    return f"{p_value(contrast.p)}, with Holm’s correction over {family}: {p_value(contrast.adjusted)}"


def _targets(shown: list[str], method: str) -> Iterator[Pair]:
    """The same teacher with another saliency method, and the same method with another kind of teacher."""
    kinds, targets = families(), teacher_targets()
    rows = [row for row in shown if row in targets]
    for first in rows:
        for second in rows:
            (teacher, saliency), (other, another) = targets[first], targets[second]
            if teacher == other and saliency == method != another:
                yield Pair(SMOOTH, first, second, "table")
            if saliency == another and (kinds[first], kinds[second]) == ("robust", "non_robust"):
                yield Pair(TEACHER, first, second, "table")


def _permuted(evidence: Evidence, shown: list[str]) -> Iterator[Pair]:
    """The targets against the same targets permuted, and every permuted fraction against the next larger one."""
    present = [row for row in permuted_targets() if row in evidence.rows]
    source = next(iter(permuted_targets()))
    if source in shown:
        yield from (Pair(CONTENT, source, row, "headline") for row in present if row in shown and row != source)
    if len(present) > 2:
        yield from (Pair(STEP, first, second, "headline") for first, second in zip(present, present[1:]))


def _columns(evidence: Evidence, where: Where) -> dict[str, list[Column]]:
    """Semantics -> its columns at the threat models that `where` stands for."""
    table: list[tuple[str, float]] = [(threat.norm, threat.epsilon) for threat in threats("table")]
    asked = {"headline": [(headline().norm, headline().epsilon)], "table": table, "hardest": [one for one in HARDEST if one in table]}
    found: dict[str, list[Column]] = {}
    for norm, epsilon in asked[where]:
        for semantics, column in at_threat(evidence.accuracies, norm, epsilon).items():
            found.setdefault(semantics, []).append(column)
    return found


def _cells(evidence: Evidence, semantics: str) -> Iterator[tuple[Pair, Column]]:
    columns = {where: _columns(evidence, where).get(semantics, []) for where in PLACES}
    for pair in pairs(evidence):
        yield from ((pair, column) for column in columns[pair.where])


def _contrast(evidence: Evidence, pair: Pair, column: Column) -> Contrast:
    names, group = labels(evidence.rows), evidence.rows[pair.first].group
    techniques = names[pair.first], names[pair.second]
    first, second = (np.stack([evidence.per_seed[name, column][seed] for seed in evidence.seeds]) for name in techniques)
    kept = in_both(first.sum(0), second.sum(0))
    first, second = first[:, kept], second[:, kept]
    points = tuple((100 * (first.mean(1) - second.mean(1))).tolist())
    stands, other = standing(first), standing(second)
    counts = tuple(discordant(*seed) for seed in zip(stands, other))
    found = compared(first.mean(0), second.mean(0))
    return Contrast(pair, techniques, group, column, int(kept.sum()), found, points, counts, combined_p(stands, other))


def _line(contrast: Contrast) -> dict[str, object]:
    column, found, mean = contrast.column, contrast.difference, float(np.mean(contrast.points))
    return {
        "contrast": contrast.pair.name,
        "first": contrast.techniques[0],
        "second": contrast.techniques[1],
        "semantics": column.semantics,
        "attack": column.attack,
        "norm": column.norm,
        "epsilon": radius(column.epsilon),
        "n": contrast.images,
        "first_percent": round(100 * found.first, 3),
        "second_percent": round(100 * found.second, 3),
        "difference": round(found.points, 3),
        "low_images": round(100 * found.low, 3),
        "high_images": round(100 * found.high, 3),
        "low_seeds": round(mean - contrast.half_width, 3),
        "high_seeds": round(mean + contrast.half_width, 3),
        "seed_differences": " ".join(f"{points:.3f}" for points in contrast.points),
        "seeds_agreeing": f"{contrast.agreeing}/{len(contrast.points)}",
        "only_first": " ".join(str(count.first) for count in contrast.counts),
        "only_second": " ".join(str(count.second) for count in contrast.counts),
        "cohens_g": round(contrast.total.g, 4),
        "seed_p": " ".join(f"{count.p:.3g}" for count in contrast.counts),
        "p": float(f"{contrast.p:.4g}"),
        "p_holm": float(f"{contrast.adjusted:.4g}"),
        "verdict": contrast.verdict,
    }
