"""What the numbers say, in words: every sentence and verdict here is chosen by a comparison, none is written beforehand."""

from dataclasses import dataclass

from lib.report.columns import SEMANTICS, Column, per_seed
from lib.report.families import FAMILIES, NAMES, Family, families
from lib.report.results import Evidence, labels
from lib.report.series import headline_columns
from lib.report.statistics import paired


@dataclass(frozen=True)
class Difference:
    """`first` minus `second`, two accuracies on the same images, with the 95 % interval of the paired difference; all fractions."""

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
        return f"{signed(self.points)} [{signed(100 * self.low)}, {signed(100 * self.high)}]"


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


def difference(evidence: Evidence, first: str, second: str, column: Column) -> Difference:
    """Accuracy of row `first` minus that of row `second` in one attacked column."""
    one, other = accuracy(evidence, first, column), accuracy(evidence, second, column)
    names = labels(evidence.rows)
    low, high = paired(evidence.per_image[names[first], column], evidence.per_image[names[second], column])
    return Difference(one, other, low, high)


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
    """The answer so far, sentence by sentence; empty where no row was trained towards a robust teacher's interpretations."""
    best, columns = standings(evidence), headline_columns(evidence)
    if "robust" not in best or "standard" not in best:
        return []
    ours = best["robust"]
    threat = next(iter(columns.values())).threat
    sentences = [_opening(best, threat, evidence.images), _gain(evidence, best)]
    controls = [best[family] for family in ("permuted", "non_robust", "jacobian") if family in best]
    sentences += [_against_controls(evidence, ours, controls)] if controls else []
    sentences += [_against_adversarial(evidence, ours, best["adversarial"])] if "adversarial" in best else []
    return sentences


def _opening(best: dict[Family, Standing], threat: str, images: int) -> str:
    standard, ours = best["standard"], best["robust"]
    return (
        f"At {threat}, standard training classifies {_listed(standard)} of the {images} test images correctly; "
        f"the best network trained to match a robust teacher’s interpretations, {ours.technique}, {_listed(ours)}."
    )


def _gain(evidence: Evidence, best: dict[Family, Standing]) -> str:
    gains = _differences(evidence, best["robust"].row, best["standard"].row)
    clear = [name for name, gain in gains.items() if gain.clear and gain.points > 0]
    if len(clear) == len(gains):
        return f"Training for interpretable gradients did make this network more robust: {_points(gains)}, clear of sampling noise."
    if clear:
        return f"Whether it made the network more robust depends on the attack: {_points(gains)}; clear only under the {_attacks(clear)}."
    return f"That training for interpretable gradients made the network more robust is not shown: {_points(gains)}."


def _against_controls(evidence: Evidence, ours: Standing, controls: list[Standing]) -> str:
    gains = {control.technique: _differences(evidence, ours.row, control.row) for control in controls}
    texts = [f"{technique} {' / '.join(signed(gain.points) for gain in found.values())}" for technique, found in gains.items()]
    order = " / ".join(SEMANTICS.get(name, name) for name in headline_columns(evidence))
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
    return f"Its lead over each control, in points ({order}): {'; '.join(texts)}. Of these differences, {ending}."


def _against_adversarial(evidence: Evidence, ours: Standing, other: Standing) -> str:
    words = []
    for name, gap in _differences(evidence, ours.row, other.row).items():
        relation = "level with" if gap.points == 0 else "above" if gap.points > 0 else "below"
        doubt = "" if gap.clear else ", within sampling noise"
        words.append(f"{relation} it under the {SEMANTICS.get(name, name)} ({signed(gap.points)} points{doubt})")
    return (
        f"The best adversarially trained network, {other.technique}, reaches {_listed(other)}: {ours.technique} is {' and '.join(words)}."
    )


def _differences(evidence: Evidence, first: str, second: str) -> dict[str, Difference]:
    return {name: difference(evidence, first, second, column) for name, column in headline_columns(evidence).items()}


def _listed(standing: Standing) -> str:
    """`47.9 % (paper’s attack) and 24.5 % (strict attack)`."""
    return " and ".join(f"{100 * value:.1f} % ({SEMANTICS.get(name, name)})" for name, value in standing.accuracies.items())


def _points(gains: dict[str, Difference]) -> str:
    """`+42.2 points (paper’s attack) and +21.4 points (strict attack)`."""
    return " and ".join(f"{signed(gain.points)} points ({SEMANTICS.get(name, name)})" for name, gain in gains.items())


def _attacks(names: list[str]) -> str:
    return " and the ".join(SEMANTICS.get(name, name) for name in names)
