"""The same questions asked of every experiment on the page: this run, the studies, and larger runs, each by its own means.

An experiment says of a row of ours and of one that it is held against how far ahead it is, and whether chance explains that. Only those at
the headline threat model of this run can be held beside each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan

import numpy as np
import pandas as pd

from lib.columns import Column, under
from lib.report.effects import Change
from lib.report.families import Family, families, permuted_targets
from lib.report.findings import between, compared, signed
from lib.report.opponents import AGAINST, opponents
from lib.report.published_folder import Published
from lib.report.rows import Row
from lib.report.survival import Survival
from lib.statistics import CONFIDENCE, combined_p, holm, standing

THIS, STUDY, LARGER = "this run", "study", "larger run"


@dataclass(frozen=True)
class Gap:
    """A lead in points, with a 95 % interval (NaN without one) and whether it is clear of chance, corrected for how many leads its
    experiment compares. `p`: of a test of the lead alone, where there is one.
    """

    points: float
    low: float
    high: float
    clear: bool
    p: float = nan

    @property
    def interval(self) -> str:
        """`+6.0 [+3.7, +8.2]`; the lead alone where there is no interval."""
        return f"{signed(self.points)} {between(self.low, self.high)}" if isfinite(self.low) else signed(self.points)

    @property
    def certainty(self) -> str:
        """In words: also whether it would be clear if nothing else were compared."""
        alone = self.low > 0 or self.high < 0
        return "clear of chance" if self.clear else "clear alone, not after correction" if alone else "within chance"


@dataclass(frozen=True)
class Answer:
    """What one experiment says of our row `first` against `second`. `all` are its leads in points over every row of that family; `remark`:
    what must be known of it.

    experiment: its kind, `THIS`, `STUDY` or `LARGER`; name: of the study or run; attack: as it follows "under".
    """

    family: Family
    experiment: str
    name: str
    attack: str
    images: int
    seeds: int
    first: str
    second: str
    gap: Gap
    all: tuple[float, ...] = ()
    remark: str = ""

    @property
    def called(self) -> str:
        """The experiment in words.

        >>> Answer("jacobian", LARGER, "big", "", 9, 1, "", "", Gap(0, 0, 0, False)).called
        'larger run big (one seed, 9 images)'
        """
        return f"{self.experiment} {self.name} ({self.size})".replace("  ", " ")

    @property
    def size(self) -> str:
        """`3 seeds, 128 images`."""
        return f"{'one seed' if self.seeds == 1 else f'{self.seeds} seeds'}, {self.images} images{self.remark and f', {self.remark}'}"


def answers(found: Survival | None, published: dict[str, Published], effects: dict[str, list[Change]], threat: Column) -> list[Answer]:
    """What every experiment says, in the order this run, studies, larger runs; `threat` is the headline threat model."""
    said = [] if found is None else of_this_run(found)
    for name, one in published.items():
        said += of_study(one, effects.get(name, []), threat) if one.about.kind == "study" else []
    for one in published.values():
        said += of_run(one, threat) if one.about.kind == "run" else []
    return said


def of_this_run(found: Survival) -> list[Answer]:
    """The leads that are left under all attacks together; their intervals hold for all comparisons of rows."""
    said = []
    for lead in found.leads:
        gap = lead.difference
        numbers = Gap(gap.points, 100 * gap.low, 100 * gap.high, gap.clear)
        names = lead.ours or found.ours, lead.technique
        said.append(Answer(lead.family, THIS, "", "all attacks together", found.images, found.seeds, *names, numbers))
    return said


def of_study(study: Published, changes: Sequence[Change], threat: Column) -> list[Answer]:
    """The variants that are rows of this project as they are, and fit where the study matches something, against the study's row of a
    robust teacher's targets, under the strict attack; the interval is Student's over the seeds, and what is clear remains so after Holm's
    correction over all variants.
    """
    asked = study.document["study"]["threat"]
    if (asked["norm"], asked["epsilon"]) != (threat.norm, threat.epsilon):
        return []
    variants, images, said = study.document["variants"], int(study.table["n_attacked"].iloc[0]), []
    unfit = set(study.table[study.table["matched"] <= 0]["variant"]) if "matched" in study.table else set()
    for change in changes:
        if unfit & {change.variant, change.base}:
            continue
        kind, base = (variant_family(variants[name]) for name in (change.variant, change.base))
        if kind in AGAINST and base == "robust":
            one = change.effects["robust"]
            numbers = Gap(0.0 - one.mean, 0.0 - one.high, 0.0 - one.low, one.withstands, one.p)
            names = change.against, change.label
            said.append(Answer(kind, STUDY, study.about.name, under("strict"), images, len(change.seeds), *names, numbers))
    return said


def variant_family(entry: dict) -> Family | None:
    """What a variant of a study was trained for; None where it changes a parameter, or is no row of this project."""
    targets = entry.get("targets") or {}
    if entry.get("change") or targets.get("disturbed") or entry.get("row") not in families():
        return None
    if "level" in targets:
        permuted = permuted_targets()
        return "permuted" if targets["level"] == list(permuted)[-1].removeprefix(f"{list(permuted)[0]}_") else None
    return families()[entry["row"]]


def of_run(run: Published, threat: Column) -> list[Answer]:
    """The rows of a run of the whole pipeline, under the strict attack or, without it, the first one that was measured at this threat
    model; the interval is over the test images, where single images were published, and what is clear is so by the interval and by
    McNemar's test with Holm's correction over these leads.
    """
    rows = {key: Row(**entry) for key, entry in run.document["rows"].items() if entry["threats"] == "table"}
    lines = run.table[(run.table["norm"] == threat.norm) & (run.table["epsilon"] == threat.epsilon) & run.table["row"].isin(rows)]
    lines = lines[(lines["attack"] != "fgsm") & (lines["semantics"] != "transfer")]
    if lines.empty:
        return []
    semantics = "strict" if (lines["semantics"] == "strict").any() else lines["semantics"].iloc[0]
    lines = lines[lines["semantics"] == semantics]
    accuracies = lines.groupby("row", sort=False)["accuracy"].mean()
    kinds = families(run.document)
    best = {kind: _best(accuracies, kinds, kind) for kind in dict.fromkeys(kinds[row] for row in accuracies.index)}
    if "robust" not in best:
        return []
    group = rows[best["robust"]].group
    known = [row for row in accuracies.index if rows[row].group in (None, "none", group)]
    best = {kind: _best(accuracies[known], kinds, kind) for kind in best if any(kinds[row] == kind for row in known)}
    pair = _pair(run, lines, accuracies)
    remark = "epoch chosen on test" if run.document.get("training", {}).get("selection") == "leaking_test" else ""
    said = []
    for kind, (first, second) in opponents(best, known, run.document).items():
        leads = tuple(100 * (accuracies[first] - accuracies[row]) for row in known if kinds[row] == kind)
        names = rows[first].technique, rows[second].technique
        sizes = int(lines["n"].min()), lines["seed"].nunique()
        said.append(Answer(kind, LARGER, run.about.name, under(semantics), *sizes, *names, pair(first, second), leads, remark))
    return _corrected(said)


def _corrected(said: Sequence[Answer]) -> list[Answer]:
    """With Holm's correction over these answers."""
    adjusted = holm([one.gap.p for one in said])
    return [replace(one, gap=replace(one.gap, clear=one.gap.clear and p < 1 - CONFIDENCE)) for one, p in zip(said, adjusted)]


def _best(accuracies: pd.Series, kinds: dict[str, Family], kind: Family) -> str:
    return str(accuracies[[row for row in accuracies.index if kinds[row] == kind]].idxmax())


def _pair(run: Published, lines: pd.DataFrame, accuracies: pd.Series) -> Callable[[str, str], Gap]:
    """What gives points, interval and whether it is clear of chance for two rows."""

    def scores(row: str) -> np.ndarray:
        """(seeds, n) of the seeds in their order."""
        mine = lines[lines["row"] == row].sort_values("seed")
        assert run.images is not None
        return run.images[mine["line"].astype(int)]

    def pair(first: str, second: str) -> Gap:
        points = 100 * float(accuracies[first] - accuracies[second])
        if run.images is None or "line" not in lines or lines["line"].isna().any():
            return Gap(points, nan, nan, False)
        one, other = scores(first), scores(second)
        found = compared(one.mean(0), other.mean(0))
        p = combined_p(standing(one), standing(other)) if one.shape == other.shape else nan
        return Gap(points, 100 * found.low, 100 * found.high, found.clear, p)

    return pair
