"""What a change of the training does: a variant minus its base under the same seeds, by the rule of all comparisons
(lib/statistics/crossed.py).

Where the robust radii of single images were published, intervals of radii are over images and seeds. A table holds one number per network:
intervals from it are of seeds only, Student's.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from math import isfinite, log, nan

import numpy as np
import pandas as pd

from lib.base.errors import require
from lib.report.wording import signed
from lib.statistics import crossed
from lib.statistics.columns import Column
from lib.statistics.intervals import CONFIDENCE, holm


@dataclass(frozen=True)
class Measure:
    """A column of a study's table, what it is called, the unit of its effects, and whether these are ratios."""

    column: str
    title: str
    unit: str
    factor: float = 1.0
    ratio: bool = False


MEASURES = {
    "linf": Measure("radius_linf", "mean L∞ radius", "percent", ratio=True),
    "l2": Measure("radius_l2", "mean L2 radius", "percent", ratio=True),
    "robust": Measure("robust", "strict attack", "points", 100),
    "paper": Measure("paper", "paper’s attack", "points", 100),
    "clean": Measure("clean", "clean", "points", 100),
    "norm": Measure("label_norm", "gradient norm", "ratio", ratio=True),
    "cosine": Measure("cosine_reference", "cosine with reference", "cosine"),
}
OUTCOMES = ("linf", "robust")  # what a study is about: the first that it has
ROUNDED_TO = 6  # of the numbers in a study's table, "%.6g"
Radii = dict[tuple[str, str], np.ndarray]
COLUMNS = ["study", "variant", "group", "label", "base", "measure", "unit", "seeds", "per_seed"]
COLUMNS += ["effect", "low", "high", "df", "p", "p_holm", "excludes_none", "excludes_none_holm"]


@dataclass(frozen=True)
class Effect:
    """One measure of one variant against its base: the difference or, of norms, the ratio. `per_seed` holds it for every seed.

    `low` to `high` is a 95 % interval with `df` degrees of freedom, of a ratio that of its logarithm; NaN where there is none.
    A ratio is the geometric mean over the seeds, NaN where a norm is zero.
    `p` is the t test's against no effect, `adjusted` with Holm's correction over all variants of the study.
    """

    measure: str
    per_seed: tuple[float, ...]
    mean: float
    low: float
    high: float
    df: float
    p: float
    adjusted: float = nan

    @property
    def none(self) -> float:
        """The value that means no effect."""
        return 1.0 if MEASURES[self.measure].ratio else 0.0

    @property
    def size(self) -> float:
        """How far from no effect, whichever way; of a ratio the size of its logarithm. -1 where there is no number."""
        if not isfinite(self.mean):
            return -1.0
        return abs(log(self.mean) if MEASURES[self.measure].ratio else self.mean)

    @property
    def clear(self) -> bool:
        """Whether the interval excludes no effect; never where all seeds agree to the last digit, whose spread says nothing."""
        return self.high > self.low and not self.low <= self.none <= self.high

    @property
    def withstands(self) -> bool:
        """Whether that also holds after Holm's correction."""
        return self.clear and self.adjusted < 1 - CONFIDENCE

    @property
    def shown(self) -> str:
        """The effect as the tables have it: `+3.1`, `×0.82`, `−0.12`."""
        return self.written(self.mean)

    @property
    def interval(self) -> str:
        """`[−1.2, +7.4]`; a limit beside no effect has a digit more. Nothing where there is none."""
        return f"[{self._limit(self.low)}, {self._limit(self.high)}]" if isfinite(self.low) else ""

    def written(self, value: float, more: int = 0) -> str:
        """A number of this effect's kind as people print it, with so many `more` digits."""
        if not isfinite(value):
            return "–"
        if MEASURES[self.measure].unit == "percent":
            return f"{signed(round(100 * (value - 1), 1 + more) + 0.0, 1 + more)} %"
        if MEASURES[self.measure].ratio:
            return f"×{value:.{2 + more}f}" if value < 100 else f"×{value:.0f}"
        digits = (1 if MEASURES[self.measure].unit == "points" else 2) + more
        return signed(round(value, digits) + 0.0, digits)  # the sum makes -0.0 positive

    def _limit(self, value: float) -> str:
        hidden = value != self.none and self.written(value) == self.written(self.none)
        return self.written(value, 1 if hidden else 0)


@dataclass(frozen=True)
class Change:
    """A variant beside its `base`, which is called `against`, measure by measure.

    `group` is as `grouped` says.
    """

    variant: str
    group: str
    label: str
    base: str
    against: str
    seeds: tuple[int, ...]
    effects: dict[str, Effect]


def measures(table: pd.DataFrame) -> dict[str, Measure]:
    """The measures that a study's table has."""
    return {name: measure for name, measure in MEASURES.items() if measure.column in table.columns}


def outcome(known: Collection[str]) -> str:
    """What a study is about, of the measures that are `known`."""
    return next(measure for measure in OUTCOMES if measure in known)


def changes(frame: pd.DataFrame, radii: Radii | None = None) -> list[Change]:
    """Every variant of a study's table that has a base there, in the table's order; Holm's correction runs over each measure.

    Args:
        radii: (variant, norm) -> the robust radius of every image (seeds, n), where these were published.
    """
    variants = {name: lines for name, lines in frame.groupby("variant", sort=False)}
    groups = grouped(frame)
    pairs = [(str(name), lines) for name, lines in variants.items() if lines["base"].iloc[0] in variants]
    all_changes = [_change(name, lines, variants, groups[name], radii or {}) for name, lines in pairs]
    adjusted = {measure: holm([change.effects[measure].p for change in all_changes]) for measure in measures(frame)}
    return [replace(change, effects=_adjusted(change, adjusted, index)) for index, change in enumerate(all_changes)]


def grouped(frame: pd.DataFrame) -> dict[str, str]:
    """Variant -> the group that it belongs to, with its threat model where that is not the one of the table's first line."""
    usual, found = _threat(frame.iloc[0]), {}
    for name, line in frame.groupby("variant", sort=False).head(1).set_index("variant").iterrows():
        threat, group = _threat(line), line["group"]
        found[str(name)] = group if threat == usual or threat in group else f"{group}, at {threat}"
    return found


def effect(measure: str, variant: np.ndarray, base: np.ndarray) -> Effect:
    """One measure of a variant against its base, both (seeds,) in the order of the seeds.

    >>> found = effect("robust", np.array([0.5, 0.6, 0.7]), np.array([0.4, 0.4, 0.4]))
    >>> found.shown, found.interval, found.df, round(found.p, 4)
    ('+20.0', '[−4.8, +44.8]', 2, 0.0742)
    """
    kind = MEASURES[measure]
    positive = (np.minimum(variant, base) > 0).all()
    logs = np.log(variant) - np.log(base) if kind.ratio and positive else np.full(len(variant), nan)
    values = logs if kind.ratio else kind.factor * (variant - base)
    if np.ptp(values) < 4 * kind.factor * 10.0**-ROUNDED_TO:  # each of four numbers rounded: no spread to hold the mean against
        values = np.full(len(values), values.mean())
    back = np.exp if kind.ratio else np.asarray
    contrast = crossed.over_seeds(values)
    mean, low, high = (float(back(number)) for number in (contrast.estimate, contrast.low, contrast.high))
    return Effect(measure, tuple(back(values).tolist()), mean, low, high, len(values) - 1, contrast.p)


def of_images(measure: str, variant: np.ndarray, base: np.ndarray) -> Effect:
    """The radii of a variant against those of its base, both (seeds, n) of the same seeds and images."""
    contrast = crossed.relative(variant, base)
    mean, low, high = (1 + number / 100 for number in (contrast.estimate, contrast.low, contrast.high))
    return Effect(measure, tuple((variant.mean(1) / base.mean(1)).tolist()), mean, low, high, contrast.df, contrast.p)


def to_frame(studies: dict[str, list[Change]]) -> pd.DataFrame:
    """One line per study, variant and measure; what each seed gave stands in one cell, in the order of the seeds."""
    lines = [_line(study, change, one) for study, found in studies.items() for change in found for one in change.effects.values()]
    return pd.DataFrame(lines, columns=COLUMNS)


def within(one: Effect, margin: float) -> bool:
    """Whether the whole interval lies closer to no effect than `margin` (points).

    >>> within(effect("clean", np.array([0.51, 0.50, 0.51]), np.array([0.5, 0.5, 0.5])), 5.0)
    True
    """
    return one.low > -margin and one.high < margin


def _change(name: str, lines: pd.DataFrame, variants: dict, group: str, radii: Radii) -> Change:
    first = lines.iloc[0]
    base = first["base"]
    both = lines.merge(variants[base], on="seed", suffixes=("", "_base")).sort_values("seed")
    require(len(both) > 0, f"variant {name} and its base {base} must share a seed, they have none in common")
    effects = {}
    for measure, kind in measures(lines).items():
        if {(name, measure), (base, measure)} <= radii.keys():
            effects[measure] = of_images(measure, radii[name, measure], radii[base, measure])
        else:
            effects[measure] = effect(measure, both[kind.column].to_numpy(float), both[f"{kind.column}_base"].to_numpy(float))
    return Change(name, group, first["label"], base, both["label_base"].iloc[0], tuple(both["seed"].tolist()), effects)


def _threat(line: pd.Series) -> str:
    return Column("", "", line["norm"], line["epsilon"]).threat


def _adjusted(change: Change, adjusted: dict[str, list[float]], index: int) -> dict[str, Effect]:
    return {measure: replace(one, adjusted=adjusted[measure][index]) for measure, one in change.effects.items()}


def _line(study: str, change: Change, one: Effect) -> dict[str, object]:
    described = {key: value for key, value in asdict(change).items() if key in ("variant", "group", "label", "base")}
    return {"study": study, **described} | {
        "measure": MEASURES[one.measure].column,
        "unit": MEASURES[one.measure].unit,
        "seeds": " ".join(map(str, change.seeds)),
        "per_seed": " ".join(f"{value:.4g}" for value in one.per_seed),
        "effect": round(one.mean, 4),
        "low": round(one.low, 4),
        "high": round(one.high, 4),
        "df": round(one.df, 1),
        "p": float(f"{one.p:.4g}"),
        "p_holm": float(f"{one.adjusted:.4g}"),
        "excludes_none": one.clear,
        "excludes_none_holm": one.withstands,
    }
