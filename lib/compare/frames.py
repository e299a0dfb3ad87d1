"""Everything that revisions are compared in, as one frame per question with a column `revision`; the first one is the base."""

from collections.abc import Iterator, Sequence
from math import isfinite, nan
from typing import Any

import pandas as pd

from lib.base.errors import require
from lib.compare.revision import Revision
from lib.compare.samples import Change, Sample, changes, samples
from lib.report.charts import curves
from lib.report.comparisons import verdict
from lib.report.gate import Cell
from lib.report.wording import interval
from lib.statistics.columns import CLEAN, NORMS, SEMANTICS, radius
from lib.statistics.crossed import Contrast
from lib.statistics.intervals import wilson

ABSENT = "–"
SETTINGS = ["question", "key", "revision", "value"]
VERDICTS = ["question", "key", "name", "detail", "revision", "verdict", "numbers", "note"]
PLACE = ["row", "technique", "semantics", "attack", "norm", "epsilon", "revision", "commit"]
NUMBERS = ["difference", "low_difference", "high_difference", "p", "p_holm"]
CHANGES = ["measure", *PLACE, "n", "seeds", "per_seed", "mean", "low", "high", *NUMBERS, "base", "interval", "same", "verdict",
           "seed_differences"]  # fmt: skip


def frames(revisions: Sequence[Revision]) -> dict[str, pd.DataFrame]:
    """`changes`, `settings`, `verdicts` and `curves`; raises `InputError` where the revisions have results of different datasets."""
    datasets = [revision.dataset for revision in revisions]
    told = ", ".join(f"{dataset} in {revision.name}" for dataset, revision in zip(datasets, revisions))
    require(len(set(datasets)) == 1, f"expected results of one dataset in all revisions, got {told}")
    names: dict[str, str] = {}
    for revision in revisions:
        names = revision.rows | names
    changed = _changes(revisions, names)
    return {
        "changes": changed,
        "settings": pd.DataFrame([line for revision in revisions for line in _settings(revision)], columns=SETTINGS),
        "verdicts": pd.DataFrame([line for revision in revisions for line in _verdicts(revision, names)], columns=VERDICTS),
        "curves": _curves(revisions, names, changed),
    }


def accuracies(changed: pd.DataFrame) -> pd.DataFrame:
    """comparison.csv: every accuracy with its 95 % interval over images in percent, differences in points."""
    lines = _rounded(changed[changed["measure"] == "accuracy"], 3).rename(columns={"mean": "percent"})
    lines["epsilon"] = [radius(epsilon) if epsilon else "" for epsilon in lines["epsilon"]]
    return lines[[*PLACE, "n", "seeds", "percent", "low", "high", "interval", "seed_differences", *NUMBERS]]


def mean_radii(changed: pd.DataFrame) -> pd.DataFrame:
    """radii.csv: every mean robust radius, differences in percent of the base's."""
    names = {"mean": "mean_radius", "difference": "percent", "low_difference": "low", "high_difference": "high", "p_holm": "p_adjusted"}
    lines = _rounded(changed[changed["measure"] == "radius"], 6).drop(columns=["low", "high"]).rename(columns=names | {"n": "images"})
    return lines[["row", "technique", "norm", "revision", *names.values(), "images", "seeds"]]


def moved(changed: pd.DataFrame) -> list[str]:
    """The techniques whose accuracies or radii are not the same everywhere, or that not all revisions have."""
    rows = changed[changed["measure"].isin(["accuracy", "radius"])].groupby("technique", sort=False)
    everywhere = changed["revision"].nunique()
    return [str(name) for name, mine in rows if not mine["same"].all() or mine["revision"].nunique() < everywhere]


def differing(lines: pd.DataFrame, value: str, asked: int = 0) -> pd.DataFrame:
    """The `lines` of those keys whose `value` is not the same in all revisions, or not there `asked` times."""
    groups = lines.groupby("key", sort=False)[value]
    return lines[(groups.transform("nunique") > 1) | (groups.transform("size") < asked)]


def _changes(revisions: Sequence[Revision], names: dict[str, str]) -> pd.DataFrame:
    """A line per row, measure, attack and revision: the mean, and how far it lies from the base's where both have it."""
    found = [samples(revision) for revision in revisions]
    known: list[dict] = [{}, *(changes(found[0], other) for other in found[1:])]
    order = {row: place for place, row in enumerate(names)}
    lines = []
    for quantity in sorted(dict.fromkeys(key for mine in found for key in mine), key=lambda key: order.get(key[0], len(order))):
        row, measure, column = quantity
        attack = (row, names.get(row, row), column.semantics, column.attack, column.norm, column.epsilon)
        for revision, mine, differences in zip(revisions, found, known):
            if quantity in mine:
                numbers = _numbers(mine[quantity], found[0].get(quantity), differences.get(quantity), 100 if measure == "accuracy" else 1)
                lines.append((measure, *attack, revision.name, revision.commit or "", *numbers))
    return pd.DataFrame(lines, columns=CHANGES)


def _numbers(sample: Sample, base: Sample | None, change: Change | None, factor: int) -> tuple:
    ends = [factor * end for end in wilson(sample.mean, sample.n)] if factor == 100 else [nan, nan]
    start = (sample.n, len(sample.means), dict(sample.means), factor * sample.mean, *ends)
    if base is None or change is None:
        return (*start, *[nan] * (len(NUMBERS) + 1), "", True, "", "")
    each = [factor * (sample.means[seed] - base.means[seed]) for seed in base.means if seed in sample.means]
    contrast = change.contrast
    numbers = (contrast.estimate, contrast.low, contrast.high, contrast.p, contrast.adjusted)
    return (*start, *numbers, factor * base.mean, change.kind, change.same, verdict(contrast), " ".join(f"{step:.3f}" for step in each))


def _rounded(lines: pd.DataFrame, digits: int) -> pd.DataFrame:
    """The mean with so many decimals, the rest with three, and p values of four digits."""
    short = {name: [float(f"{p:.4g}") for p in lines[name]] for name in ("p", "p_holm")}
    return lines.round(dict.fromkeys(["low", "high", *NUMBERS[:3]], 3) | {"mean": digits}).assign(**short)


def _curves(revisions: Sequence[Revision], names: dict[str, str], changed: pd.DataFrame) -> pd.DataFrame:
    """One line per revision, row, attack, norm and radius, with what `lib.report.charts.curves.security` shows.

    Accuracies are those of report/curves.csv; images and seeds those of report/results.csv, and not known where it lacks the attack.
    """
    keys = ["revision", "technique", "semantics", "attack", "norm", "epsilon"]
    known = changed[changed["measure"] == "accuracy"].set_index(keys)[["n", "per_seed"]].T.to_dict("list")
    lines = []
    for revision in revisions:
        called = {technique: names[row] for row, technique in revision.rows.items()}
        for line in revision.tables["curves"].to_dict("records"):
            name, kind, epsilon = (
                called.get(line["technique"], line["technique"]),
                (line["semantics"], line["attack"]),
                float(line["epsilon"]),
            )
            attack = (*kind, line["norm"], epsilon) if epsilon else (CLEAN.semantics, CLEAN.attack, CLEAN.norm, CLEAN.epsilon)
            count, shares = known.get((revision.name, name, *attack), (None, {}))
            start = {"revision": revision.name, "row": name, "semantics": line["semantics"], "norm": line["norm"]}
            lines.append(start | curves.point(*kind, epsilon, float(line["accuracy"]), count, list(shares.values())))
    return pd.DataFrame(lines).astype({"n": "Int64"}) if lines else pd.DataFrame()


def _settings(revision: Revision) -> Iterator[tuple[str, str, str, str]]:
    """Every dotted key of params.yaml, lists as values of their own, as for `dvc exp run -S`; and every field of the environments."""
    yield from (("parameters", key, revision.name, value) for key, value in _leaves(revision.params))
    for field, values in revision.tables["environments"].items():
        if field not in ("path", "kind", "stage", "environment"):
            yield "environments", str(field), revision.name, ", ".join(sorted(set(values) - {""})) or ABSENT


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, "null" if node is None else str(node).lower() if isinstance(node, bool) else str(node)


def _verdicts(revision: Revision, names: dict[str, str]) -> Iterator[tuple]:
    """What gate.json (the worst over the seeds), claims.csv and contrasts.csv say, by what is asked and not by its place."""
    for row in revision.gate:
        for asked in dict.fromkeys((check.id, check.name) for checks in row.seeds.values() for check in checks):
            cell = Cell.of({seed: check for seed, checks in row.seeds.items() for check in checks if (check.id, check.name) == asked})
            value = "" if cell.check.value is None else f"{cell.check.value:.3g} {cell.check.unit}".rstrip()
            name = names.get(row.row, row.technique)
            yield "gate", (row.row, *asked), name, " ".join(asked), revision.name, cell.verdict, value, cell.check.note
    for line in revision.tables["claims"].to_dict("records"):
        contrast, attack = _contrast(line, "estimate", "nan"), SEMANTICS.get(line["semantics"], line["semantics"]) or "no attack"
        told, note = f"{interval(contrast)} {line['unit']}" if isfinite(contrast.estimate) else "", line["comparison"] or line["reason"]
        yield "claims", (line["claim"], line["semantics"]), line["sentence"], attack, revision.name, line["verdict"], told, note
    for line in revision.tables["contrasts"].to_dict("records"):
        contrast, pair = _contrast(line, "percent", line["p_adjusted"]), (line["first"], line["second"], line["norm"], line["experiment"])
        name, detail = f"{line['first']} over {line['second']}", f"{NORMS.get(line['norm'], line['norm'])}, {line['experiment']}"
        yield "contrasts", pair, name, detail, revision.name, verdict(contrast), f"{interval(contrast)} %", ""


def _contrast(line: dict[str, str], estimate: str, adjusted: str) -> Contrast:
    """Of a table's line, whose p value is one after the correction."""
    number, low, high, p = (float(cell or "nan") for cell in (line[estimate], line["low"], line["high"], adjusted))
    return Contrast(number, low, high, nan, p, 0, 0, p)
