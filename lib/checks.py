"""The orderings that the paper's story predicts, each held against the numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lib.columns import SEMANTICS, table_columns
from lib.families import families, permuted_targets, teacher_targets
from lib.findings import accuracy, difference
from lib.results import Evidence, labels
from lib.series import headline_columns, permutation


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
    tests: list[Callable[[Evidence], Iterator[Check]]] = [_defended, _ordered, _strict_below_paper, _norms, _alignment]
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
            if targets[first][1] == targets[second][1]:
                yield first, second, f"A robust teacher’s targets beat a non-robust teacher’s ({targets[first][1]})"
    source = next(iter(permuted_targets()))
    if source in shown:
        for second in permuted_targets():
            if second in shown and second != source:
                yield source, second, "The targets beat the same targets with their pixels permuted"
        for second in (row for row in shown if kinds[row] == "jacobian" and evidence.rows[row].group == evidence.rows[source].group):
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
        yield Check(claim, "all cells", f"smallest gap: {where}", f"{100 * worst:+.1f}", worst <= 0, None)


def _norms(evidence: Evidence) -> Iterator[Check]:
    defended, standard = _defended_rows(evidence)
    means = evidence.gradients.groupby("row")["label_norm"].mean()
    if defended and standard:
        largest = max(defended, key=lambda row: means[row])
        names = labels(evidence.rows)
        numbers = f"largest: {names[largest]} {means[largest]:.2f} · {names[standard]} {means[standard]:.2f}"
        claim = "Every defended network has smaller label gradients than standard training"
        yield Check(claim, "gradients", numbers, f"{means[largest] - means[standard]:+.2f}", bool(means[largest] < means[standard]), None)


def _alignment(evidence: Evidence) -> Iterator[Check]:
    frame = permutation(evidence)
    if frame["fraction"].nunique() > 1:
        means = frame.groupby("fraction")[["cosine", "accuracy"]].mean()
        for name, claim, where in (
            ("cosine", "Gradients align less with their targets, the more of these is permuted", "gradients"),
            ("accuracy", "Robust accuracy falls, the more of the targets is permuted", "figure 3a"),
        ):
            values = list(means[name])
            falls = all(before > after for before, after in zip(values, values[1:]))
            scale, digits = (100, 1) if name == "accuracy" else (1, 2)
            numbers = " → ".join(f"{scale * value:.{digits}f}" for value in values)
            yield Check(claim, where, numbers, f"{scale * (values[-1] - values[0]):+.{digits}f}", falls, None)


def _defended_rows(evidence: Evidence) -> tuple[list[str], str | None]:
    """The rows of the main table that were trained to resist something, and the first that was not."""
    kinds = families()
    shown = [row for row, settings in evidence.rows.items() if settings.threats == "table"]
    standard = next((row for row in shown if kinds[row] == "standard"), None)
    return [row for row in shown if kinds[row] != "standard"], standard
