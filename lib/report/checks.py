"""The orderings that the paper's story predicts, each held against the numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lib.report.columns import SEMANTICS, table_columns
from lib.report.families import families, permuted_targets, teacher_targets
from lib.report.findings import accuracy, comparable, difference, signed
from lib.report.results import Evidence, labels
from lib.report.series import headline, headline_columns, permutation


@dataclass(frozen=True)
class Check:
    """One expectation and what was found; `clear` is whether sampling noise is ruled out (None: not that kind of number)."""

    claim: str
    where: str
    numbers: str
    difference: str
    holds: bool
    clear: bool | None

    @property
    def verdict(self) -> str:
        """holds, does not hold, and whether that could be chance."""
        word = "holds" if self.holds else "does not hold"
        return f"{word}, within sampling noise" if self.clear is False else word


def checks(evidence: Evidence) -> list[Check]:
    """Every expectation that the rows at hand allow to test."""
    tests: list[Callable[[Evidence], Iterator[Check]]] = [_defended, _ordered, _permuted, _strict_below_paper, _norms, _alignment]
    return [check for test in tests for check in test(evidence)]


def _defended(evidence: Evidence) -> Iterator[Check]:
    """The weakest defended row against standard training."""
    defended, standard = _defended_rows(evidence)
    for semantics, column in headline_columns(evidence).items():
        if defended and standard:
            weakest = min(defended, key=lambda row: accuracy(evidence, row, column))
            claim = f"Every defended network is above standard training at {column.threat}"
            yield _comparison(evidence, claim, weakest, standard, semantics)


def _ordered(evidence: Evidence) -> Iterator[Check]:
    """Pairs of which the first should be the more robust."""
    for first, second, claim in _pairs(evidence):
        for semantics in headline_columns(evidence):
            yield _comparison(evidence, claim, first, second, semantics)


def _pairs(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    kinds, targets = families(), teacher_targets()
    shown = [row for row, settings in evidence.rows.items() if settings.threats == "table"]
    robust = [row for row in targets if row in shown and kinds[row] == "robust"]
    others = [row for row in targets if row in shown and kinds[row] == "non_robust"]
    for first in robust:
        for second in others:
            if targets[first][1] == targets[second][1] and comparable(evidence, first, second):
                yield first, second, f"A robust teacher’s targets beat a non-robust teacher’s ({targets[first][1]})"
    source = next(iter(permuted_targets()))
    if source in shown:
        for second in permuted_targets():
            if second in shown and second != source:
                yield source, second, "The targets beat the same targets with their pixels permuted"
        for second in (row for row in shown if kinds[row] == "jacobian" and comparable(evidence, row, source)):
            yield source, second, "Interpretation Regularization beats Jacobian Regularization"
        for second in robust:
            if targets[second] == (targets[source][0], "simple") and second != source:
                yield source, second, "SmoothGrad targets beat simple gradients"


def _comparison(evidence: Evidence, claim: str, first: str, second: str, semantics: str) -> Check:
    found = difference(evidence, first, second, headline_columns(evidence)[semantics])
    names = labels(evidence.rows)
    numbers = f"{names[first]} {100 * found.first:.1f} % · {names[second]} {100 * found.second:.1f} %"
    return Check(claim, SEMANTICS.get(semantics, semantics), numbers, found.interval, found.points > 0, found.clear)


def _strict_below_paper(evidence: Evidence) -> Iterator[Check]:
    """A stronger attack may never leave more images standing."""
    columns = table_columns(evidence.accuracies)[1:]
    paper = {(column.norm, column.epsilon): column for column in columns if column.semantics == "paper"}
    gaps = []
    for row, settings in evidence.rows.items():
        for column in columns:
            if settings.threats == "table" and column.semantics == "strict" and paper:
                before = accuracy(evidence, row, paper[column.norm, column.epsilon])
                gaps.append((accuracy(evidence, row, column) - before, f"{labels(evidence.rows)[row]} at {column.threat}"))
    if gaps:
        worst, where = max(gaps)
        claim = "The strict attack never leaves more images standing than the paper’s"
        yield Check(claim, "all cells", f"smallest gap: {where}", signed(100 * worst), worst <= 0, None)


def _norms(evidence: Evidence) -> Iterator[Check]:
    defended, standard = _defended_rows(evidence)
    means = evidence.gradients.groupby("row")["label_norm"].mean()
    if defended and standard:
        largest = max(defended, key=lambda row: means[row])
        names = labels(evidence.rows)
        numbers = f"largest: {names[largest]} {means[largest]:.2f} · {names[standard]} {means[standard]:.2f}"
        claim = "Every defended network has smaller label gradients than standard training"
        yield Check(claim, "gradients", numbers, signed(means[largest] - means[standard], 2), bool(means[largest] < means[standard]), None)


def _alignment(evidence: Evidence) -> Iterator[Check]:
    frame = permutation(evidence)
    if frame["fraction"].nunique() > 1:
        values = list(frame.groupby("fraction")["cosine"].mean())
        falls = all(before > after for before, after in zip(values, values[1:]))
        claim = "Gradients align less with their targets, the more of these is permuted"
        yield Check(claim, "gradients", _sequence(values, 2), signed(values[-1] - values[0], 2), falls, None)


def _permuted(evidence: Evidence) -> Iterator[Check]:
    """Accuracy over the permuted fraction: if it falls throughout, is the whole fall clear; if not, is its largest rise?"""
    column = headline_columns(evidence)[headline().semantics]
    present = [row for row in permuted_targets() if row in evidence.rows]
    if len(present) > 1:
        rises = [difference(evidence, after, before, column) for before, after in zip(present, present[1:])]
        largest = max(rises, key=lambda rise: rise.points)
        falls = largest.points < 0
        found = difference(evidence, present[-1], present[0], column) if falls else largest
        numbers = _sequence([100 * accuracy(evidence, row, column) for row in present], 1)
        claim = "Robust accuracy falls with every further share of the targets that is permuted"
        yield Check(claim, "figure 3a", numbers, found.interval, falls, found.clear)


def _sequence(values: list[float], digits: int) -> str:
    return " → ".join(f"{value:.{digits}f}" for value in values)


def _defended_rows(evidence: Evidence) -> tuple[list[str], str | None]:
    """The rows of the main table that were trained to resist something, and the first that was not."""
    kinds = families()
    shown = [row for row, settings in evidence.rows.items() if settings.threats == "table"]
    standard = next((row for row in shown if kinds[row] == "standard"), None)
    return [row for row in shown if kinds[row] != "standard"], standard
