"""What survives of the paper's main claim once an image counts only if no attack of any kind broke it; every verdict by a comparison."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np

from lib.columns import CLEAN, NORMS, Column, radius, under
from lib.report.families import Family, families
from lib.report.findings import Difference, Standing, accuracy, comparable, compared, signed, standings
from lib.report.opponents import opponents
from lib.report.results import Evidence, labels
from lib.report.series import headline, headline_columns
from lib.report.worst_case import unbroken
from lib.statistics import CONFIDENCE, wilson

Verdict = Literal["survives", "reversed", "not decided"]
NAMED = 3  # orderings that are spelt out


@dataclass(frozen=True)
class Lead:
    """Our row, `ours`, against one of another family, in the worst case; which of ours it is depends on whom it is held against."""

    family: Family
    technique: str
    difference: Difference
    ours: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether our row is still ahead, by more than sampling of the images explains."""
        if not self.difference.clear:
            return "not decided"
        return "survives" if self.difference.points > 0 else "reversed"


@dataclass(frozen=True)
class Flip:
    """Two techniques of which the `first` is ahead under the `before` attack and behind in the worst case."""

    first: str
    second: str
    before: Difference
    after: Difference

    @property
    def clear(self) -> bool:
        """Whether the images rule out chance on both sides."""
        return self.before.clear and self.after.clear


@dataclass(frozen=True)
class Survival:
    """The worst case at one threat model. `ours` is the best row trained on a robust teacher's targets; `kept` is what it and standard
    training keep (fractions, with the interval over images), `lost` what each loses from the `before` attack to the worst case, `clean`
    what each gets right without an attack.
    """

    threat: str
    images: int
    seeds: int
    before: str
    ours: str
    kept: dict[str, tuple[float, float, float]]
    lost: dict[str, Difference]
    leads: tuple[Lead, ...]
    choices: int
    flips: tuple[Flip, ...]
    pairs: int
    clean: dict[str, float] = field(default_factory=dict)


def survival(evidence: Evidence) -> Survival | None:
    """What survives at the headline threat model; None without a row trained on a robust teacher's targets beside a standard one."""
    best, threat = standings(evidence), headline()
    if "robust" not in best or "standard" not in best:
        return None
    column = next(iter(headline_columns(evidence).values()))
    scores = worst_scores(evidence)
    leads, choices = _leads(evidence, best, scores)
    flips, pairs = _flips(evidence, scores, column)
    both = [best["standard"], best["robust"]]
    return Survival(
        f"{NORMS.get(threat.norm, threat.norm)} {radius(threat.epsilon)}",
        evidence.images,
        len(evidence.seeds),
        column.semantics,
        best["robust"].technique,
        {standing.technique: _kept(scores[standing.row]) for standing in both},
        {standing.technique: _lost(evidence, standing, column, scores) for standing in both},
        leads,
        choices,
        flips,
        pairs,
        {standing.technique: accuracy(evidence, standing.row, CLEAN) for standing in both},
    )


def worst_scores(evidence: Evidence) -> dict[str, np.ndarray]:
    """Row of the main table -> in what share of the seeds no attack at the headline threat model broke each image (n,)."""
    threat = headline()
    shown = [row for row, settings in evidence.rows.items() if settings.threats == "table"]
    return {row: unbroken(evidence, row, threat.norm, threat.epsilon).mean(0) for row in shown}


def paragraph(found: Survival) -> str:
    """One paragraph: what is counted, what is left, which leads survive, what the stronger attacks changed."""
    return " ".join([_counting(found), *_verdicts(found), _changed(found)])


def to_dict(found: Survival) -> dict:
    """The same for summary.json; differences in points."""
    leads = {lead.family: {"technique": lead.technique, **_numbers(lead.difference), "verdict": lead.verdict} for lead in found.leads}
    entry = {"technique": found.ours, "images": found.images, "seeds": found.seeds, "over": leads, "comparisons": found.choices}
    return entry | {"orderings": found.pairs, "flipped": len(found.flips), "clearly_flipped": sum(flip.clear for flip in found.flips)}


def _counting(found: Survival) -> str:
    (_, kept), (ours, left) = found.kept.items()
    return (
        f"Count an image only if no attack of any kind fooled it at {found.threat} or below. Of {found.images} test images, "
        f"standard training then keeps {_share(kept)} and the best network trained on a robust teacher’s maps, {ours}, {_share(left)} "
        f"(mean of {_seeds(found.seeds)}; 95 % over the images)."
    )


def _verdicts(found: Survival) -> list[str]:
    """One sentence per verdict that occurs."""
    words = {"survives": "Its lead survives over {}.", "reversed": "It is behind {}.", "not decided": "Not decided: against {}."}
    sentences = []
    for verdict, sentence in words.items():
        texts = [f"{_opponent(lead, found.ours)}, {lead.difference.interval}" for lead in found.leads if lead.verdict == verdict]
        sentences += [sentence.format("; ".join(texts))] if texts else []
    together = f"Differences are in points, with intervals that hold for all {found.choices} such comparisons of rows together."
    return [*sentences, together]


def _changed(found: Survival) -> str:
    (_, standard), (ours, mine) = found.lost.items()
    losses = f"{ours} loses {mine.points:.1f} points and standard training {standard.points:.1f}"
    start = f"From {under(found.before)} to this worst case, {losses}; "
    if not found.flips:
        return start + f"none of the {found.pairs} orderings of two rows turns round."
    clear = [flip for flip in found.flips if flip.clear]
    named = sorted(clear or found.flips, key=lambda flip: -min(abs(flip.before.points), abs(flip.after.points)))[:NAMED]
    examples = "; ".join(
        f"{flip.first} against {flip.second} ({signed(flip.before.points)} → {signed(flip.after.points)})" for flip in named
    )
    doubt = f"{len(clear)} of them beyond sampling noise on both sides" if clear else "none of them beyond sampling noise on both sides"
    lead_in = "" if len(named) == len(found.flips) else "the largest: "
    return start + f"{len(found.flips)} of the {found.pairs} orderings of two rows turn round, {doubt}: {lead_in}{examples}."


def _leads(evidence: Evidence, best: dict[Family, Standing], scores: dict[str, np.ndarray]) -> tuple[tuple[Lead, ...], int]:
    """A row of ours against one of every other family, and how many such comparisons there were to choose from."""
    kinds, names = families(), labels(evidence.rows)
    ours = [row for row in scores if kinds[row] == "robust"]
    choices = len(ours) * (len(scores) - len(ours))
    rows = [row for row in scores if comparable(evidence, row, best["robust"].row)]
    found = []
    for kind, (first, second) in opponents({kind: standing.row for kind, standing in best.items()}, rows).items():
        gap = compared(scores[first], scores[second], 1 - (1 - CONFIDENCE) / choices)
        found.append(Lead(kind, names[second], gap, names[first]))
    return tuple(found), choices


def _flips(evidence: Evidence, scores: dict[str, np.ndarray], column: Column) -> tuple[tuple[Flip, ...], int]:
    """The pairs whose order turns round, the row that was ahead first; and how many pairs there are."""
    names, found, pairs = labels(evidence.rows), [], list(combinations(scores, 2))
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(pairs))
    for pair in pairs:
        first, second = sorted(pair, key=lambda row: -float(np.nanmean(evidence.per_image[names[row], column])))
        before = compared(evidence.per_image[names[first], column], evidence.per_image[names[second], column], confidence)
        after = compared(scores[first], scores[second], confidence)
        if before.points > 0 > after.points:
            found.append(Flip(names[first], names[second], before, after))
    return tuple(found), len(pairs)


def _kept(scores: np.ndarray) -> tuple[float, float, float]:
    share = float(scores.mean())
    return share, *wilson(share, len(scores))


def _lost(evidence: Evidence, standing: Standing, column: Column, scores: dict[str, np.ndarray]) -> Difference:
    return compared(evidence.per_image[labels(evidence.rows)[standing.row], column], scores[standing.row])


def _numbers(found: Difference) -> dict[str, float]:
    return {"points": round(found.points, 2), "low": round(100 * found.low, 2), "high": round(100 * found.high, 2)}


def _share(kept: tuple[float, float, float]) -> str:
    share, low, high = (100 * value for value in kept)
    return f"{share:.1f} % [{low:.1f}, {high:.1f}]"


def _opponent(lead: Lead, ours: str) -> str:
    roles = {"standard": "standard training", "permuted": "permuted targets", "non_robust": "a non-robust teacher’s targets"}
    name = roles.get(lead.family) or lead.technique
    return name if lead.ours in ("", ours) else f"{lead.technique} ({lead.ours} against it: the same maps, permuted)"


def _seeds(count: int) -> str:
    return f"{count} seeds" if count > 1 else "one seed"
