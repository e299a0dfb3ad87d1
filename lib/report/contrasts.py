"""Every comparison of two rows, by one rule (lib/statistics/crossed.py), as one frame: what the answer and the claims of the paper are read
from.

What is compared is the mean robust radius, the area under a row's security curve, in either norm; where the paper speaks of radii, the
accuracies there. The comparisons that the question is about (`Pair.asked`) are corrected among themselves, all others among themselves, and
so are the accuracies under one attack (Holm 1979): what else was looked at does not blur the answer.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from lib.evaluation.threats import threats
from lib.report.families import Family, families, permuted_targets, teacher_targets, trained_by
from lib.report.published_folder import Published
from lib.report.results import Evidence, in_both, labels
from lib.report.rows import Row
from lib.report.series import headline
from lib.report.verdicts import Verdict, verdict
from lib.statistics import crossed
from lib.statistics.columns import NORMS, Column, at_threat, radius
from lib.statistics.crossed import Contrast

SMOOTH, TEACHER, CONTENT = "SmG − simp", "R − NR", "IR − perm"
JACOBIAN, ADVERSARIAL, STANDARD = "IR − JR", "IR − AT", "IR − Standard"
DEFENDED, STEP = "defended − Standard", "less − more permuted"
JACOBIAN_PERMUTED, JACOBIAN_FOREIGN, PERMUTED_FOREIGN = "JR − perm", "JR − NR", "perm − NR"
VARIANT = "variant − base"
# What the paper calls the two hardest settings on MNIST (Sec. 4.5).
HARDEST = [("linf", 0.25), ("linf", 0.3)]
THIS = "this run"
Where = Literal["headline", "table", "hardest"]
PLACES: tuple[Where, ...] = get_args(Where)
Radii = dict[tuple[str, str], np.ndarray]  # (row, norm) -> (seeds, n)
COLUMNS = ["experiment", "first", "second", "norm", "percent", "low", "high", "p_adjusted", "images", "seeds"]
ACCURACY_COLUMNS = ["first", "second", "semantics", "norm", "epsilon", "points", "low", "high", "p_adjusted", "images", "seeds"]


@dataclass(frozen=True)
class Pair:
    """Two rows of which the paper has the `first` more robust, under the `name` of that comparison; `where` it speaks of accuracies.

    asked: whether the project's question is about it: do the maps of a robust teacher make the difference?
    """

    name: str
    first: str
    second: str
    where: Where = "headline"
    asked: bool = False


@dataclass(frozen=True)
class Compared:
    """A pair in one norm: the `contrast` of mean radii, or of accuracies in a `column`, in an `experiment`."""

    experiment: str
    pair: Pair
    techniques: tuple[str, str]
    group: str | None
    norm: str
    contrast: Contrast
    column: Column | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the first row is the more robust one, by the interval and the corrected p value."""
        return verdict(self.contrast)

    @property
    def place(self) -> str:
        """`L∞`, or `L∞ 0.2` of accuracies."""
        return self.column.threat if self.column else NORMS.get(self.norm, self.norm)

    @property
    def name(self) -> str:
        """`IR(R,SmG) over JR, L∞`."""
        return f"{self.techniques[0]} over {self.techniques[1]}, {self.place}"


def contrasts(evidence: Evidence, left_out: Collection[str] = ()) -> list[Compared]:
    """The mean radii of every pair that the rows at hand allow, in every norm; rows `left_out` were not trained out."""
    kept = {row: settings for row, settings in evidence.rows.items() if row not in left_out}
    return of_rows(THIS, kept, evidence.radii)


def of_rows(experiment: str, rows: dict[str, Row], radii: Radii, document: dict | None = None) -> list[Compared]:
    """The same of any run: `radii` of its `rows`, and `document`, its params.yaml (None: the one in the current folder)."""
    names = labels(rows)
    compared = [
        Compared(
            experiment,
            pair,
            (names[pair.first], names[pair.second]),
            rows[pair.first].group,
            norm,
            crossed.relative(radii[pair.first, norm], radii[pair.second, norm]),
        )
        for pair in pairs(rows, document)
        for norm in NORMS
        if {(pair.first, norm), (pair.second, norm)} <= radii.keys()
    ]
    return _corrected(compared, lambda comparison: comparison.pair.asked)


def of_published(published: Published) -> list[Compared]:
    """The same of what was published with radii: of a run its rows, of a study every variant against its base."""
    experiment, radii = published.about.name, published.radii
    if published.about.kind == "run":
        return of_rows(experiment, {key: Row(**entry) for key, entry in published.document["rows"].items()}, radii, published.document)
    table = published.table
    called, bases = dict(zip(table["variant"], table["label"])), dict(zip(table["variant"], table["base"]))
    compared = [
        Compared(
            experiment,
            Pair(VARIANT, variant, base),
            (called[variant], called[base]),
            None,
            norm,
            crossed.relative(radii[variant, norm], radii[base, norm]),
        )
        for variant, base in bases.items()
        for norm in NORMS
        if {(variant, norm), (base, norm)} <= radii.keys()
    ]
    return _corrected(compared, lambda _: True)


def accuracies(evidence: Evidence, left_out: Collection[str] = ()) -> list[Compared]:
    """The accuracies of every pair under the paper's and the strict attack.

    A pair is tested at the headline threat model; where the paper speaks of all attacks, at all those of the table; where it speaks of
    the two hardest settings, at these, if the table has them.
    """
    kept = {row: settings for row, settings in evidence.rows.items() if row not in left_out}
    columns = {where: _columns(evidence, where) for where in PLACES}
    compared = [_accuracies(evidence, pair, column) for pair in pairs(kept) for column in columns[pair.where]]
    return _corrected(compared, lambda comparison: comparison.column and comparison.column.semantics)


def pairs(rows: dict[str, Row], document: dict | None = None) -> list[Pair]:
    """The pairs of rows to compare, from what the rows are and not from what they are called.

    "IR" is a row trained towards a robust teacher's targets, by the saliency method of the permuted targets' source (SmoothGrad);
    rows are compared only within their group of the table.
    """
    kinds, method = families(document), teacher_targets(document)[next(iter(permuted_targets(document)))][1]
    shown = [row for row, settings in rows.items() if settings.threats == "table"]
    of: dict[Family, list[str]] = {kind: [row for row in shown if kinds[row] == kind] for kind in kinds.values()}
    ours = [row for row in of.get("robust", []) if teacher_targets(document)[row][1] == method]
    against = set(of.get("jacobian", [])) | set(trained_by("at", document) or of.get("adversarial", []))
    controls: list[tuple[str, list[str], Family, Where]] = [
        (JACOBIAN, ours, "jacobian", "table"),
        (ADVERSARIAL, ours, "adversarial", "hardest"),
        (STANDARD, ours, "standard", "headline"),
        (DEFENDED, [row for row in shown if kinds[row] != "standard" and row not in ours], "standard", "headline"),
        (JACOBIAN_PERMUTED, of.get("jacobian", []), "permuted", "headline"),
        (JACOBIAN_FOREIGN, of.get("jacobian", []), "non_robust", "headline"),
        (PERMUTED_FOREIGN, of.get("permuted", []), "non_robust", "headline"),
    ]
    plain = [
        Pair(name, one, other, where, first is ours and other in against)
        for name, first, kind, where in controls
        for one in first
        for other in of.get(kind, [])
    ]
    every = [*_permuted(rows, shown, document), *_targets(shown, method, document), *plain]
    return [pair for pair in every if comparable(rows, pair.first, pair.second)]


def comparable(rows: dict[str, Row], first: str, second: str) -> bool:
    """Whether two rows belong to the same group of the table, or one of them to none."""
    return len({rows[row].group for row in (first, second)} - {None, "none"}) < 2


def to_frame(compared: Sequence[Compared]) -> pd.DataFrame:
    """Mean radii, one line per pair, norm and experiment; `percent` of the second row's radius with its 95 % interval."""
    lines = [(line.experiment, *line.techniques, line.norm, *_numbers(line.contrast)) for line in compared]
    return pd.DataFrame(lines, columns=COLUMNS)


def summary(compared: Sequence[Compared]) -> dict[str, dict]:
    """For summary.json: of the comparisons that this run's answer is about, the difference in percent with its interval, norm by norm."""
    entries: dict[str, dict] = {}
    for line in compared:
        if line.pair.asked and line.experiment == THIS and np.isfinite(line.contrast.estimate):
            numbers = {name: round(float(getattr(line.contrast, name)), 2) for name in ("estimate", "low", "high")}
            entries.setdefault(f"{line.pair.first}_over_{line.pair.second}", {})[line.norm] = {
                "percent": numbers.pop("estimate"),
                **numbers,
            }
    return entries


def accuracy_frame(compared: Sequence[Compared]) -> pd.DataFrame:
    """Accuracies, one line per pair and column, in points."""
    columns = [(line, line.column) for line in compared if line.column is not None]
    lines = [
        (*line.techniques, column.semantics, column.norm, radius(column.epsilon), *_numbers(line.contrast)) for line, column in columns
    ]
    return pd.DataFrame(lines, columns=ACCURACY_COLUMNS)


def _numbers(contrast: Contrast) -> tuple[float, ...]:
    numbers = (round(value, 3) for value in (contrast.estimate, contrast.low, contrast.high))
    return (*numbers, float(f"{contrast.adjusted:.4g}"), contrast.images, contrast.seeds)


def _corrected(compared: list[Compared], family: Callable[[Compared], object]) -> list[Compared]:
    """With Holm's correction over those of the same `family`."""
    adjusted: dict[int, Contrast] = {}
    for name in {family(comparison) for comparison in compared}:
        places = [place for place, comparison in enumerate(compared) if family(comparison) == name]
        adjusted |= zip(places, crossed.corrected([compared[place].contrast for place in places]))
    return [replace(comparison, contrast=adjusted[place]) for place, comparison in enumerate(compared)]


def _targets(shown: list[str], method: str, document: dict | None) -> Iterator[Pair]:
    """The same method with another kind of teacher, and the same teacher with another saliency method."""
    kinds, targets = families(document), teacher_targets(document)
    rows = sorted((row for row in shown if row in targets), key=lambda row: targets[row][1] != method)
    for first in rows:
        for second in rows:
            (teacher, saliency), (other, another) = targets[first], targets[second]
            if saliency == another and (kinds[first], kinds[second]) == ("robust", "non_robust"):
                yield Pair(TEACHER, first, second, "table", asked=True)
            if teacher == other and saliency == method != another:
                yield Pair(SMOOTH, first, second, "table")


def _permuted(rows: dict[str, Row], shown: list[str], document: dict | None) -> Iterator[Pair]:
    """The targets against the same targets permuted, and every permuted fraction against the next larger one."""
    source, *permuted = permuted_targets(document)
    present = [row for row in (source, *permuted) if row in rows]
    if source in shown:
        yield from (Pair(CONTENT, source, row, asked=True) for row in present if row in shown and row != source)
    if len(present) > 2:
        yield from (Pair(STEP, first, second) for first, second in zip(present, present[1:]))


def _columns(evidence: Evidence, where: Where) -> list[Column]:
    """The columns of the paper's and the strict attack at the threat models that `where` stands for."""
    table: list[tuple[str, float]] = [(threat.norm, threat.epsilon) for threat in threats("table")]
    asked: dict[Where, list[tuple[str, float]]] = {
        "headline": [(headline().norm, headline().epsilon)],
        "table": table,
        "hardest": [threat for threat in HARDEST if threat in table],
    }
    columns = [at_threat(evidence.accuracies, *threat).get(semantics) for semantics in ("paper", "strict") for threat in asked[where]]
    return [column for column in columns if column is not None]


def _accuracies(evidence: Evidence, pair: Pair, column: Column) -> Compared:
    names = labels(evidence.rows)
    techniques = names[pair.first], names[pair.second]
    first, second = (np.stack([evidence.per_seed[name, column][seed] for seed in evidence.seeds]) for name in techniques)
    kept = in_both(first.sum(0), second.sum(0))
    contrast = crossed.points(first[:, kept], second[:, kept])
    return Compared(THIS, pair, techniques, evidence.rows[pair.first].group, column.norm, contrast, column)
