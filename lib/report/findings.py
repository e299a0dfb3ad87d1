"""What the numbers say, in words: every sentence and verdict here is chosen by a comparison, none is written beforehand."""

from dataclasses import dataclass

import numpy as np

from lib.columns import Column, per_seed, under
from lib.report.families import FAMILIES, NAMES, Family, families
from lib.report.opponents import opponents
from lib.report.results import Evidence, in_both, labels
from lib.report.series import headline_columns
from lib.statistics import CONFIDENCE, paired

# What else than a robust teacher's interpretations might be behind a gain.
CONTROLS: tuple[Family, ...] = ("permuted", "non_robust", "jacobian")


@dataclass(frozen=True)
class Difference:
    """`first` minus `second`, two accuracies on the same images, with the interval of the paired difference; all fractions."""

    first: float
    second: float
    low: float
    high: float

    @property
    def points(self) -> float:
        """The difference in percentage points."""
        return 100 * (self.first - self.second)

    @property
    def clear(self) -> bool:
        """Whether sampling of the test images alone does not explain it."""
        return self.low > 0 or self.high < 0

    @property
    def interval(self) -> str:
        """`+21.4 [+12.0, +30.1]`, in percentage points."""
        return f"{signed(self.points)} {between(100 * self.low, 100 * self.high)}"


@dataclass(frozen=True)
class Standing:
    """A family's best row at the headline threat model: the one with the highest mean over the attacks."""

    family: Family
    row: str
    technique: str
    accuracies: dict[str, float]

    @property
    def name(self) -> str:
        """What the family is, in words."""
        return NAMES[self.family]


def signed(value: float, digits: int = 1) -> str:
    """A difference as people print it.

    >>> signed(-4.26), signed(0.5, 2)
    ('−4.3', '+0.50')
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def between(low: float, high: float) -> str:
    """An interval in brackets; a limit beside zero has a digit more, so that one sees on which side of it.

    >>> between(3.72, 8.21), between(-0.04, 8), between(0.0, 7.8)
    ('[+3.7, +8.2]', '[−0.04, +8.0]', '[+0.0, +7.8]')
    """
    low, high = (round(limit, 9) + 0.0 for limit in (low, high))
    return f"[{', '.join(signed(limit, 2 if 0 < abs(limit) < 0.05 else 1) for limit in (low, high))}]"


def difference(evidence: Evidence, first: str, second: str, column: Column) -> Difference:
    """Accuracy of row `first` minus that of row `second` in one attacked column, on the images that both were attacked on."""
    names = labels(evidence.rows)
    return compared(evidence.per_image[names[first], column], evidence.per_image[names[second], column])


def compared(first: np.ndarray, second: np.ndarray, confidence: float = CONFIDENCE) -> Difference:
    """The difference of two scores (n,) in [0, 1], on the images that both are of."""
    both = in_both(first, second)
    return Difference(float(first[both].mean()), float(second[both].mean()), *paired(first[both], second[both], confidence))


def accuracy(evidence: Evidence, row: str, column: Column) -> float:
    """Mean over seeds, as a fraction."""
    return float(per_seed(evidence.accuracies, labels(evidence.rows)[row], column).mean())


def standings(evidence: Evidence) -> dict[Family, Standing]:
    """The best row of each family that has one in the main table; where it has groups, in the group of the best "robust" row."""
    kinds = families()
    shown = [row for row, settings in evidence.rows.items() if settings.threats == "table"]
    members: dict[Family, list[str]] = {family: [row for row in shown if kinds[row] == family] for family in FAMILIES}
    ours = _best(evidence, "robust", members["robust"])
    if ours is not None:
        members = {family: [row for row in rows if comparable(evidence, row, ours.row)] for family, rows in members.items()}
    found = {family: _best(evidence, family, rows) for family, rows in members.items()}
    return {family: standing for family, standing in found.items() if standing is not None}


def comparable(evidence: Evidence, first: str, second: str) -> bool:
    """Whether two rows belong to the same group of the table, or one of them to none."""
    groups = {evidence.rows[row].group for row in (first, second)} - {None, "none"}
    return len(groups) < 2


def _best(evidence: Evidence, family: Family, rows: list[str]) -> Standing | None:
    columns = headline_columns(evidence)
    scores = {row: {name: accuracy(evidence, row, column) for name, column in columns.items()} for row in rows}
    if not scores:
        return None
    best = max(scores, key=lambda row: sum(scores[row].values()))
    return Standing(family, best, labels(evidence.rows)[best], scores[best])


def answer(evidence: Evidence) -> list[str]:
    """What each attack says for itself, sentence by sentence; empty where no row was trained towards a robust teacher's interpretations."""
    best, columns = standings(evidence), headline_columns(evidence)
    if "robust" not in best or "standard" not in best:
        return []
    ours = best["robust"]
    sentences = [_opening(best, columns, evidence.images), _gain(evidence, best)]
    rows = [row for row, settings in evidence.rows.items() if settings.threats == "table" and comparable(evidence, row, ours.row)]
    pairs = opponents({family: standing.row for family, standing in best.items()}, rows)
    controls = [pairs[family] for family in CONTROLS if family in pairs]
    sentences += [_against_controls(evidence, ours, controls)] if controls else []
    sentences += [_against_adversarial(evidence, ours, best["adversarial"])] if "adversarial" in best else []
    return sentences


def _opening(best: dict[Family, Standing], columns: dict[str, Column], images: int) -> str:
    standard, ours = best["standard"], best["robust"]
    threat = next(iter(columns.values())).threat
    order = ", ".join(under(name, columns[name].attack) for name in ours.accuracies)
    each = f" (here and below in this order: {order})" if len(ours.accuracies) > 1 else f", under {order},"
    return (
        f"Attack by attack{each} at {threat}: of {images} test images standard training keeps {_levels(standard)}; "
        f"the best network trained to match a robust teacher’s interpretations, {ours.technique}, {_levels(ours)}."
    )


def _gain(evidence: Evidence, best: dict[Family, Standing]) -> str:
    gains = _differences(evidence, best["robust"].row, best["standard"].row)
    clear = [name for name, gain in gains.items() if gain.clear and gain.points > 0]
    if len(clear) == len(gains):
        return f"Training for interpretable gradients did make this network more robust: {_points(gains)}, clear of sampling noise."
    if clear:
        only = _attacks(evidence, clear)
        return f"Whether it made the network more robust depends on the attack: {_points(gains)}; clear only under {only}."
    return f"That training for interpretable gradients made the network more robust is not shown: {_points(gains)}."


def _against_controls(evidence: Evidence, ours: Standing, controls: list[tuple[str, str]]) -> str:
    """Each control against a row of ours; the permuted targets against those that they were made from."""
    names = labels(evidence.rows)
    gains = {_minus(names, ours, *pair): _differences(evidence, *pair) for pair in controls}
    texts = [f"{pair} {_points(found, '')}" for pair, found in gains.items()]
    flat = [gain for found in gains.values() for gain in found.values()]
    above = sum(gain.clear and gain.points > 0 for gain in flat)
    below = sum(gain.clear and gain.points < 0 for gain in flat)
    if above == len(flat):
        ending = "all are clear of sampling noise: what the targets show matters, not only that gradients are small"
    elif above == 0 and below == 0:
        ending = "none is clear of sampling noise: these numbers do not decide whether what the targets show matters"
    else:
        worse = f" and {below} clearly below" if below else ""
        ending = f"{above} of {len(flat)} are clearly above zero{worse}: whether what the targets show matters is only partly decided"
    alone = "each attack for itself, with no correction for how many there are"
    return f"Its lead over each control, in points: {'; '.join(texts)}. Of these differences ({alone}), {ending}."


def _minus(names: dict[str, str], ours: Standing, first: str, second: str) -> str:
    """What is compared: the control, with the row of ours before it where that is not the best one."""
    return names[second] if first == ours.row else f"{names[first]} − {names[second]}"


def _against_adversarial(evidence: Evidence, ours: Standing, other: Standing) -> str:
    gaps = _differences(evidence, ours.row, other.row)
    relations: dict[str, list[str]] = {}
    for name, gap in gaps.items():
        relations.setdefault("level with" if gap.points == 0 else "above" if gap.points > 0 else "below", []).append(name)
    words = [f"{relation} it under {_attacks(evidence, names)}" for relation, names in relations.items()]
    clear = [name for name, gap in gaps.items() if gap.clear]
    doubt = "clear of" if len(clear) == len(gaps) else f"only that under {_attacks(evidence, clear)} is clear of" if clear else "within"
    return (
        f"The best adversarially trained network, {other.technique}, keeps {_levels(other)}: {ours.technique} is {' and '.join(words)} "
        f"({_points(gaps)}, {doubt} sampling noise)."
    )


def _differences(evidence: Evidence, first: str, second: str) -> dict[str, Difference]:
    return {name: difference(evidence, first, second, column) for name, column in headline_columns(evidence).items()}


def _levels(standing: Standing) -> str:
    """`47.9 / 24.5 / 23.9 %`."""
    return f"{' / '.join(f'{100 * value:.1f}' for value in standing.accuracies.values())} %"


def _points(gains: dict[str, Difference], unit: str = " points") -> str:
    """`+42.2 / +21.4 points`."""
    return f"{' / '.join(signed(gain.points) for gain in gains.values())}{unit}"


def _attacks(evidence: Evidence, names: list[str]) -> str:
    """`the paper’s attack, the strict attack and shortened AutoAttack`."""
    columns = headline_columns(evidence)
    words = [under(name, columns[name].attack) for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
