"""Every "A minus B with an interval" of the report, by one rule (lib/statistics/crossed.py), as one frame.

Two rows of a run are compared by their mean robust radius, the area under the security curve, in either norm; where the paper speaks of
radii or gradients, by the accuracies there and by those. A variant of a study is compared with its base in every measure of its table.

Corrections (Holm 1979): the mean radii that the project's question is about (`Pair.asked`) are one family, all others of the run a
second, so that what else was looked at does not blur the answer; accuracies are a family for each attack, a study's variants for each
measure, gradients for each claim about them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, log1p, nan
from typing import Literal, get_args

import numpy as np
import pandas as pd

from lib.base.errors import require
from lib.evaluation.threats import threats
from lib.report.families import Family, families, permuted_targets, teacher_targets, trained_by
from lib.report.published_folder import Published
from lib.report.results import Evidence, in_both, labels
from lib.report.rows import Row
from lib.report.series import headline
from lib.statistics import crossed
from lib.statistics.columns import NORMS, SEMANTICS, Column, at_threat, radius
from lib.statistics.crossed import Contrast

Verdict = Literal["supported", "contradicted", "cannot tell", "not tested here"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
SUPPORTED, CONTRADICTED, CANNOT_TELL, NOT_TESTED = VERDICTS
SMOOTH, TEACHER, CONTENT = "SmG − simp", "R − NR", "IR − perm"
JACOBIAN, ADVERSARIAL, STANDARD = "IR − JR", "IR − AT", "IR − Standard"
DEFENDED, STEP = "defended − Standard", "less − more permuted"
JACOBIAN_PERMUTED, JACOBIAN_FOREIGN, PERMUTED_FOREIGN = "JR − perm", "JR − NR", "perm − NR"
VARIANT, THIS = "variant − base", "this run"
# What a comparison of the answer holds the first row against, and how a verdict on two rows reads.
CONTROLS = {
    CONTENT: "the same maps, pixels permuted",
    TEACHER: "maps of a non-robust teacher",
    JACOBIAN: "small gradients, no maps",
    ADVERSARIAL: "adversarial training",
}
AHEAD = {SUPPORTED: "more robust", CONTRADICTED: "less robust", CANNOT_TELL: "not decided"}
HARDEST = [("linf", 0.25), ("linf", 0.3)]  # what the paper calls the two hardest settings on MNIST (Sec. 4.5)
Where = Literal["headline", "table", "hardest"]
Radii = Mapping[tuple[str, str], np.ndarray]  # (row, norm) -> (seeds, n)
COLUMNS = ["experiment", "name", "asked", "first_row", "first", "second_row", "second", "group", "measure", "unit", "semantics", "norm",
           "epsilon", "estimate", "low", "high", "df", "p", "p_adjusted", "images", "seeds", "per_seed", "verdict"]  # fmt: skip

EFFECTS = ["study", "variant", "group", "label", "base", "measure", "unit", "seeds", "per_seed"]
EFFECTS += ["effect", "low", "high", "df", "p", "p_holm", "excludes_none", "excludes_none_holm"]


@dataclass(frozen=True)
class Measure:
    """A quantity that is compared: what it is called, the unit of a difference, and what a table's number is multiplied with for that.

    A quantity without `ratio` is compared by its difference, the others by how much larger it is, in percent.
    """

    title: str
    unit: str = ""
    factor: float = 1.0
    ratio: bool = False
    digits: int = 2


# The columns of a study's table, and what is measured in this run alone.
STUDIED = {
    "radius_linf": Measure("mean L∞ radius", "%", ratio=True, digits=3),
    "radius_l2": Measure("mean L2 radius", "%", ratio=True),
    "robust": Measure("strict attack", "points", 100, digits=1),
    "paper": Measure(SEMANTICS["paper"], "points", 100, digits=1),
    "clean": Measure("clean", "points", 100, digits=1),
    "label_norm": Measure("gradient norm", "%", ratio=True),
    "cosine_reference": Measure("cosine with reference"),
}
MEASURES = STUDIED | {
    "radius": Measure("mean radius", "%", ratio=True),
    "accuracy": Measure("accuracy", "points", 100),
    "gradient norm": Measure("gradient norm"),
    "cosine": Measure("cosine with own target"),
}
OUTCOMES = ("radius_linf", "robust")  # what a study is about: the first that it has
ROUNDED_TO = 6  # of the numbers in a study's table, "%.6g"


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
class Comparison:
    """A pair in one `measure`: its `contrast` in the measure's unit, in an `experiment`; of accuracies in a `column`.

    `techniques` is what the two are called. `group` is that of the table or of the study. `per_seed` is known of a study's variants.
    """

    experiment: str
    pair: Pair
    techniques: tuple[str, str]
    group: str | None
    measure: str
    norm: str
    contrast: Contrast
    column: Column | None = None
    per_seed: Mapping[int, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Whether the first has more of it, by the interval and the corrected p value."""
        return verdict(self.contrast)

    @property
    def unit(self) -> str:
        """`%`, `points` or nothing."""
        return MEASURES[self.measure].unit

    @property
    def place(self) -> str:
        """`L∞`, `L∞ 0.2` of accuracies, else what was measured."""
        if self.column:
            return self.column.threat
        return NORMS.get(self.norm, self.norm) if self.measure == "radius" else MEASURES[self.measure].title

    @property
    def size(self) -> float:
        """How far from no difference, whichever way: halving is as far as doubling. -1 where there is no number."""
        if not isfinite(self.contrast.estimate):
            return -1.0
        return abs(log1p(self.contrast.estimate / 100) if MEASURES[self.measure].ratio else self.contrast.estimate)


def verdict(contrast: Contrast) -> Verdict:
    """Whether the first of two is ahead: by the interval and after the correction."""
    if not contrast.decided:
        return CANNOT_TELL
    return SUPPORTED if contrast.estimate > 0 else CONTRADICTED


def of_run(evidence: Evidence, left_out: Collection[str] = ()) -> list[Comparison]:
    """Every comparison that the rows at hand allow: mean radii, accuracies, gradients; rows `left_out` were not trained out."""
    kept = {row: settings for row, settings in evidence.rows.items() if row not in left_out}
    return [*of_radii(THIS, kept, evidence.radii), *_accuracies(evidence, kept), *_gradients(evidence, kept)]


def of_radii(experiment: str, rows: dict[str, Row], radii: Radii, document: dict | None = None) -> list[Comparison]:
    """The mean radii of every pair in every norm of any run; `document`: its params.yaml (None: the one in the current folder)."""
    names = labels(rows)
    compared = [
        _of_images(experiment, pair, names, rows[pair.first].group, norm, radii)
        for pair in pairs(rows, document)
        for norm in NORMS
        if {(pair.first, norm), (pair.second, norm)} <= radii.keys()
    ]
    return _corrected(compared, lambda comparison: comparison.pair.asked)


def of_published(published: Published) -> list[Comparison]:
    """What was published: of a run the mean radii of its rows, of a study every variant against its base in every measure.

    Rows and variants that were not trained out are left out.
    """
    left_out = published.unfinished
    if published.about.kind == "run":
        rows = {key: Row(**entry) for key, entry in published.document["rows"].items() if key not in left_out}
        return of_radii(published.about.name, rows, published.radii, published.document)
    return of_table(published.about.name, published.table[~published.table["variant"].isin(left_out)], published.radii)


def of_table(study: str, table: pd.DataFrame, radii: Radii | None = None) -> list[Comparison]:
    """Every variant of a study's table that has a base there, measure by measure, in the table's order.

    Args:
        radii: (variant, norm) -> the robust radius of every image (seeds, n), where these were published: their intervals are over images
            and seeds. A table holds one number per network, and intervals from it are over seeds only.
    """
    groups, variants = grouped(table), {str(name): lines for name, lines in table.groupby("variant", sort=False)}
    bases = {name: str(lines["base"].iloc[0]) for name, lines in variants.items()}
    called = {name: str(lines["label"].iloc[0]) for name, lines in variants.items()}
    compared = []
    for name, base in bases.items():
        if base not in variants:
            continue
        both = variants[name].merge(variants[base], on="seed", suffixes=("", "_base")).sort_values("seed")
        require(len(both) > 0, f"variant {name} and its base {base} must share a seed, they have none in common")
        pair = Pair(VARIANT, name, base)
        for measure in studied(table):
            norm = measure.removeprefix("radius_") if measure.startswith("radius_") else ""
            if norm and {(name, norm), (base, norm)} <= (radii or {}).keys():
                line = _of_images(study, pair, called, groups[name], norm, radii or {}, measure)
                ratios = both[measure] / both[f"{measure}_base"]
                compared.append(replace(line, per_seed=dict(zip(both["seed"].tolist(), (100 * (ratios - 1)).tolist()))))
            else:
                contrast, per_seed = over_seeds(measure, both[measure].to_numpy(float), both[f"{measure}_base"].to_numpy(float))
                each = dict(zip(both["seed"].tolist(), per_seed))
                compared.append(Comparison(study, pair, (called[name], called[base]), groups[name], measure, norm, contrast, None, each))
    return _corrected(compared, lambda comparison: comparison.measure)


def over_seeds(measure: str, first: np.ndarray, second: np.ndarray) -> tuple[Contrast, tuple[float, ...]]:
    """The difference of one number per seed, both (seeds,) of the same seeds, and what each seed gave; of a ratio the geometric mean.

    >>> contrast, each = over_seeds("robust", np.array([0.5, 0.6, 0.7]), np.array([0.4, 0.4, 0.4]))
    >>> round(contrast.estimate), round(contrast.low, 1), round(contrast.high, 1), round(contrast.p, 4)
    (20, -4.8, 44.8, 0.0742)
    """
    kind = MEASURES[measure]
    positive = bool((np.minimum(first, second) > 0).all())
    logs = np.log(first) - np.log(second) if kind.ratio and positive else np.full(len(first), nan)
    values = logs if kind.ratio else kind.factor * (first - second)
    if np.ptp(values) < 4 * kind.factor * 10.0**-ROUNDED_TO:  # each of four numbers rounded: no spread to hold the mean against
        values = np.full(len(values), values.mean())
    contrast = crossed.over_seeds(values)
    if not kind.ratio:
        return contrast, tuple(values.tolist())
    estimate, low, high = (float(100 * np.expm1(number)) for number in (contrast.estimate, contrast.low, contrast.high))
    return replace(contrast, estimate=estimate, low=low, high=high), tuple((100 * np.expm1(values)).tolist())


def studied(table: pd.DataFrame) -> list[str]:
    """The measures that a study's table has."""
    return [name for name in STUDIED if name in table.columns]


def outcome(measures: Collection[str]) -> str:
    """What a study is about, of the `measures` that it has."""
    return next(measure for measure in OUTCOMES if measure in measures)


def grouped(table: pd.DataFrame) -> dict[str, str]:
    """Variant -> the group that it belongs to, with its threat model where that is not the one of the table's first line."""
    first = table.groupby("variant", sort=False).head(1)
    threats = [Column("", "", norm, epsilon).threat for norm, epsilon in zip(first["norm"], first["epsilon"])]
    lines = zip(first["variant"], first["group"], threats)
    return {name: group if threat == threats[0] or threat in group else f"{group}, at {threat}" for name, group, threat in lines}


def frame(compared: Sequence[Comparison]) -> pd.DataFrame:
    """A line per comparison, with `COLUMNS`; `per_seed` is a dictionary, empty where not known."""
    return pd.DataFrame([_line(line) for line in compared], columns=COLUMNS)


def of_mean_radii(comparisons: pd.DataFrame) -> pd.DataFrame:
    """report/contrasts.csv: the mean radii of single images, in percent of the second's; of every experiment."""
    chosen = comparisons[(comparisons["measure"].str.startswith("radius")) & (comparisons["images"] > 1)]
    return _rounded(chosen, ["experiment", "first", "second", "norm"], "percent")


def of_accuracies(comparisons: pd.DataFrame) -> pd.DataFrame:
    """report/accuracy_contrasts.csv: accuracies of this run, in points."""
    chosen = comparisons[comparisons["measure"] == "accuracy"]
    chosen = chosen.assign(epsilon=[radius(epsilon) for epsilon in chosen["epsilon"]])
    return _rounded(chosen, ["first", "second", "semantics", "norm", "epsilon"], "points")


def of_studies(comparisons: pd.DataFrame) -> pd.DataFrame:
    """report/effects.csv: a line per study, variant and measure; what is compared as a ratio stands there as one, 1 meaning no effect."""
    lines = []
    for line in comparisons[comparisons["name"] == VARIANT].to_dict("records"):
        kind = MEASURES[line["measure"]]
        numbers = [line["estimate"], line["low"], line["high"], *line["per_seed"].values()]
        effect, low, high, *each = (1 + number / 100 if kind.ratio else number for number in numbers)
        clear = bool(line["p"] < 1 and (line["low"] > 0 or line["high"] < 0))
        described = (line["experiment"], line["first_row"], line["group"], line["first"], line["second_row"], line["measure"])
        seeds = (" ".join(map(str, line["per_seed"])), " ".join(f"{value:.4g}" for value in each))
        numbers = [round(number, 4) for number in (effect, low, high)] + [round(line["df"], 1)]
        tested = [float(f"{line[name]:.4g}") for name in ("p", "p_adjusted")]
        unit = "ratio" if kind.ratio else kind.unit or "cosine"
        lines.append((*described, unit, *seeds, *numbers, *tested, clear, line["verdict"] != CANNOT_TELL))
    return pd.DataFrame(lines, columns=EFFECTS)


def summary(compared: Sequence[Comparison]) -> dict[str, dict]:
    """For summary.json: of the comparisons that this run's answer is about, the difference in percent with its interval, norm by norm."""
    entries: dict[str, dict] = {}
    for line in compared:
        if line.pair.asked and line.experiment == THIS and line.measure == "radius" and isfinite(line.contrast.estimate):
            numbers = (round(float(value), 3) for value in (line.contrast.estimate, line.contrast.low, line.contrast.high))
            entries.setdefault(f"{line.pair.first}_over_{line.pair.second}", {})[line.norm] = dict(zip(("percent", "low", "high"), numbers))
    return entries


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
    return [pair for pair in every if len({rows[row].group for row in (pair.first, pair.second)} - {None, "none"}) < 2]


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


def _of_images(
    experiment: str, pair: Pair, names: Mapping[str, str], group: str | None, norm: str, radii: Radii, measure: str = "radius"
) -> Comparison:
    contrast = crossed.relative(radii[pair.first, norm], radii[pair.second, norm])
    return Comparison(experiment, pair, (names[pair.first], names[pair.second]), group, measure, norm, contrast)


def _accuracies(evidence: Evidence, rows: dict[str, Row]) -> list[Comparison]:
    """A pair is tested at the headline threat model; where the paper speaks of all attacks, at all those of the table; where it speaks of
    the two hardest settings, at these, if the table has them.
    """
    table: list[tuple[str, float]] = [(threat.norm, threat.epsilon) for threat in threats("table")]
    places: dict[Where, list[tuple[str, float]]] = {
        "headline": [(headline().norm, headline().epsilon)],
        "table": table,
        "hardest": [threat for threat in HARDEST if threat in table],
    }
    names, compared = labels(evidence.rows), []
    for pair in pairs(rows):
        for semantics in ("paper", "strict"):
            for threat in places[pair.where]:
                column = at_threat(evidence.accuracies, *threat).get(semantics)
                if column is not None:
                    compared.append(_in_column(evidence, pair, names, column))
    return _corrected(compared, lambda comparison: comparison.column and comparison.column.semantics)


def _in_column(evidence: Evidence, pair: Pair, names: dict[str, str], column: Column) -> Comparison:
    techniques = names[pair.first], names[pair.second]
    first, second = (np.stack([evidence.per_seed[name, column][seed] for seed in evidence.seeds]) for name in techniques)
    kept = in_both(first.sum(0), second.sum(0))
    contrast = crossed.points(first[:, kept], second[:, kept])
    return Comparison(THIS, pair, techniques, evidence.rows[pair.first].group, "accuracy", column.norm, contrast, column)


def _gradients(evidence: Evidence, rows: dict[str, Row]) -> list[Comparison]:
    """The gradients that the paper speaks of: norms against standard training and Jacobian regularization, cosines over permuted shares."""
    asked = {STANDARD: ("gradient norm", "label_norm"), DEFENDED: ("gradient norm", "label_norm")}
    asked |= {JACOBIAN: ("gradient norm", "label_norm"), STEP: ("cosine", "cosine_target")}
    names, compared = labels(evidence.rows), []
    for pair in pairs(rows):
        if pair.name in asked:
            measure, column = asked[pair.name]
            values = evidence.gradients.pivot(index="seed", columns="row", values=column)
            contrast = crossed.over_seeds((values[pair.first] - values[pair.second]).to_numpy(float))
            techniques = names[pair.first], names[pair.second]
            compared.append(Comparison(THIS, pair, techniques, evidence.rows[pair.first].group, measure, "", contrast))
    return _corrected(compared, lambda comparison: (comparison.measure, comparison.pair.name == JACOBIAN))


def _corrected(compared: list[Comparison], family: Callable[[Comparison], object]) -> list[Comparison]:
    """With Holm's correction over those of the same `family`."""
    adjusted: dict[int, Contrast] = {}
    for name in {family(comparison) for comparison in compared}:
        places = [place for place, comparison in enumerate(compared) if family(comparison) == name]
        adjusted |= zip(places, crossed.corrected([compared[place].contrast for place in places]))
    return [replace(comparison, contrast=adjusted[place]) for place, comparison in enumerate(compared)]


def _line(line: Comparison) -> tuple:
    contrast, column = line.contrast, line.column
    semantics, epsilon = (column.semantics, column.epsilon) if column else ("", nan)
    start = (line.experiment, line.pair.name, line.pair.asked, line.pair.first, line.techniques[0], line.pair.second, line.techniques[1])
    place = (line.group, line.measure, line.unit, semantics, line.norm, epsilon)
    numbers = (contrast.estimate, contrast.low, contrast.high, contrast.df, contrast.p, contrast.adjusted, contrast.images, contrast.seeds)
    return (*start, *place, *numbers, line.per_seed, line.verdict)


def _rounded(chosen: pd.DataFrame, keys: list[str], unit: str) -> pd.DataFrame:
    """With three decimals, and p values of four digits."""
    lines = chosen.assign(p_adjusted=[float(f"{p:.4g}") for p in chosen["p_adjusted"]]).rename(columns={"estimate": unit})
    lines = lines.round({unit: 3, "low": 3, "high": 3})
    return lines[[*keys, unit, "low", "high", "p_adjusted", "images", "seeds"]].reset_index(drop=True)
