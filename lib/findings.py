"""What the numbers say, in words: every sentence and verdict here is chosen by a comparison, none is written beforehand."""

from dataclasses import dataclass

from lib.columns import SEMANTICS, Column, per_seed
from lib.families import FAMILIES, NAMES, Family, families
from lib.results import Evidence, labels
from lib.series import headline_columns
from lib.statistics import newcombe


@dataclass(frozen=True)
class Difference:
    """`first` minus `second`, two accuracies on the same number of images, with a 95 % interval over images; all fractions."""

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
        return f"{self.points:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


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


def difference(evidence: Evidence, first: str, second: str, column: Column) -> Difference:
    """Accuracy of row `first` minus that of row `second` in one column."""
    one, other = accuracy(evidence, first, column), accuracy(evidence, second, column)
    return Difference(one, other, *newcombe(one, other, evidence.images))


def accuracy(evidence: Evidence, row: str, column: Column) -> float:
    """Mean over seeds, as a fraction."""
    return float(per_seed(evidence.accuracies, labels(evidence.rows)[row], column).mean())


def standings(evidence: Evidence) -> dict[Family, Standing]:
    """The best row of each family that has one in the main table."""
    columns = headline_columns(evidence)
    kinds = families()
    found: dict[Family, Standing] = {}
    for family in FAMILIES:
        rows = [row for row, settings in evidence.rows.items() if settings.threats == "table" and kinds[row] == family]
        scores = {row: {name: accuracy(evidence, row, column) for name, column in columns.items()} for row in rows}
        if scores:
            best = max(scores, key=lambda row: sum(scores[row].values()))
            found[family] = Standing(family, best, labels(evidence.rows)[best], scores[best])
    return found


def answer(evidence: Evidence) -> list[str]:
    """The answer so far, sentence by sentence; empty where no row was trained towards a robust teacher's interpretations."""
    best, columns = standings(evidence), headline_columns(evidence)
    if "robust" not in best or "standard" not in best:
        return []
    ours = best["robust"]
    threat = next(iter(columns.values())).threat
    sentences = [_opening(best, threat, evidence.images), _gain(evidence, best)]
    controls = [best[family] for family in ("permuted", "non_robust", "jacobian") if family in best]  # type: ignore[index]
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
    texts = [f"{technique} {_points(found)}" for technique, found in gains.items()]
    flat = [gain for found in gains.values() for gain in found.values()]
    above = sum(gain.clear and gain.points > 0 for gain in flat)
    below = sum(gain.clear and gain.points < 0 for gain in flat)
    if above == len(flat):
        ending = "all clear of sampling noise, so what the targets show matters, and not only that gradients are small"
    elif above == 0 and below == 0:
        ending = "none clear of sampling noise, so these numbers do not decide whether what the targets show matters"
    else:
        worse = f" and {below} clearly below" if below else ""
        ending = f"{above} of {len(flat)} clearly above{worse}, so whether what the targets show matters is only partly decided"
    return f"Over its controls, {ours.technique} is ahead by: {'; '.join(texts)} — {ending}."


def _against_adversarial(evidence: Evidence, ours: Standing, other: Standing) -> str:
    words = []
    for name, gap in _differences(evidence, ours.row, other.row).items():
        relation = "level with" if gap.points == 0 else "above" if gap.points > 0 else "below"
        doubt = "" if gap.clear else ", within sampling noise"
        words.append(f"{relation} it under the {SEMANTICS.get(name, name)} ({gap.points:+.1f} points{doubt})")
    return (
        f"The best adversarially trained network, {other.technique}, reaches {_listed(other)}: {ours.technique} is {' and '.join(words)}."
    )


def _differences(evidence: Evidence, first: str, second: str) -> dict[str, Difference]:
    return {name: difference(evidence, first, second, column) for name, column in headline_columns(evidence).items()}


def _listed(standing: Standing) -> str:
    """`47.9 % (paper's attack) and 24.5 % (strict attack)`."""
    return " and ".join(f"{100 * value:.1f} % ({SEMANTICS.get(name, name)})" for name, value in standing.accuracies.items())


def _points(gains: dict[str, Difference]) -> str:
    """`+42.2 points (paper) and +21.4 (strict)`."""
    return " / ".join(f"{gain.points:+.1f}" for gain in gains.values()) + " points"


def _attacks(names: list[str]) -> str:
    return " and the ".join(SEMANTICS.get(name, name) for name in names)
