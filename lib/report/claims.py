"""What the paper claims (claims.yaml beside this file) and what became of it: a verdict per claim and attack, read from the comparisons.

A comparison decides something only if its corrected p value is below 5 %; what is then true of the parts of a claim, its rule makes a
verdict on it. The part that is shown is the decisive one: of those with the claim's verdict the one that bears it out least.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from math import isfinite
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from ruamel.yaml import YAML

from lib.report import published
from lib.report.comparisons import CANNOT_TELL, CONTENT, CONTRADICTED, NOT_TESTED, STEP, SUPPORTED, THIS, VERDICTS, Comparison, Verdict
from lib.report.families import families
from lib.report.published import DATASETS
from lib.report.results import Evidence
from lib.report.series import headline, headline_columns
from lib.report.wording import between, signed

PATH = Path(__file__).with_name("claims.yaml")
GRADIENTS = ("gradient norm", "cosine")  # measured under no attack
# Why a claim is not tested: it is about another dataset, rows or radii are missing, or a study that alone tests it.
REASONS = ("other dataset", "missing rows", "missing study")
COLUMNS = ["claim", "section", "sentence", "semantics", "verdict", "comparison", "estimate", "low", "high", "unit", "p_adjusted", "parts",
           "supported", "contradicted", "n", "seeds", "published_low", "published_high", "published_ahead", "published_cells",
           "reason"]  # fmt: skip


@cache
def stated() -> tuple[dict, ...]:
    """The entries of claims.yaml, in the order of the paper's text."""
    return tuple(YAML(typ="safe").load(PATH.read_text(encoding="utf-8")))


def claims(evidence: Evidence, compared: Sequence[Comparison]) -> pd.DataFrame:
    """One line per claim and attack, with `COLUMNS`; a claim about gradients is under none, one that is not tested has a `reason` only.

    `estimate` with `low` and `high` are those of the decisive part, `comparison`; `supported` and `contradicted` count the `parts`. The
    columns `published_…` say of the paper's own table in how many of its attacked cells it is ahead, and from where to where, in points.
    """
    lines = []
    for claim in stated():
        start = {"claim": claim["key"], "section": str(claim["section"]), "sentence": claim["sentence"]} | _published(claim, evidence)
        findings = [] if (reason := _reason(claim, evidence, compared)) else list(_findings(claim, evidence, compared))
        lines += [start | finding | {"reason": ""} for finding in findings]
        if not findings:
            untested = {"semantics": "", "verdict": NOT_TESTED, "n": 0, "seeds": 0, "reason": reason or "missing rows"}
            lines.append(start | untested)
    return pd.DataFrame(lines, columns=COLUMNS)


def tally(claimed: pd.DataFrame, semantics: str) -> dict[str, int]:
    """How many claims got which verdict under one attack; one under no attack counts under every one, so that all claims are counted."""
    under = claimed[claimed["semantics"].isin([semantics, ""])].set_index("claim")["verdict"]
    counts = under.reindex(claimed["claim"].unique(), fill_value=NOT_TESTED).value_counts()
    return {verdict: int(counts[verdict]) for verdict in VERDICTS if verdict in counts}


def shown(claimed: pd.DataFrame, attacks: Mapping[str, str]) -> pd.DataFrame:
    """The claims for the page: a line each, what the paper's table says of it, and under each of the `attacks` verdict and interval."""
    lines = {}
    for key, mine in claimed.groupby("claim", sort=False):
        findings, first = mine.set_index("semantics").to_dict("index"), mine.iloc[0]
        told = "–"
        if pd.notna(first["published_cells"]):
            ends = f"{signed(first['published_low'], 2)} to {signed(first['published_high'], 2)}"
            told = f"{first['published_ahead']:.0f} of {first['published_cells']:.0f}: {ends}"
        cells = {words: _cell(findings.get(name) or findings.get("")) for name, words in attacks.items()}
        section = Markup("<span id='claim-{}'>{}</span><small>{}</small>").format(key, first["sentence"], first["section"])
        lines[section] = {"paper’s table, points": told} | cells
    return pd.DataFrame(lines.values(), pd.Index(list(lines), name="The paper claims"))


def at_least(needed: int, parts: Sequence[Verdict]) -> Verdict:
    """Supported if `needed` parts are; contradicted if so many are contradicted that they cannot be; not tested without any part.

    >>> at_least(2, ["supported", "cannot tell"]), at_least(2, ["supported", "contradicted"])
    ('cannot tell', 'contradicted')
    """
    if not parts:
        return NOT_TESTED
    if parts.count(SUPPORTED) >= needed:
        return SUPPORTED
    return CONTRADICTED if parts.count(CONTRADICTED) > len(parts) - needed else CANNOT_TELL


def every(parts: Sequence[Verdict]) -> Verdict:
    """Supported if every part is, contradicted if any one is."""
    return at_least(len(parts), parts)


def most(parts: Sequence[Verdict]) -> Verdict:
    """Supported, or contradicted, if more than half of the parts are."""
    return at_least(len(parts) // 2 + 1, parts)


def almost_every(parts: Sequence[Verdict]) -> Verdict:
    """All parts but one at most."""
    return at_least(max(1, len(parts) - 1), parts)


def falling(parts: Sequence[Comparison]) -> Verdict:
    """Robustness falls with the permuted share: from none to all it clearly does, and between no two shares does it clearly rise."""
    whole = every([part.verdict for part in parts if part.pair.name == CONTENT])
    steps = [part.verdict for part in parts if part.pair.name == STEP]
    return CONTRADICTED if CONTRADICTED in (whole, *steps) else whole


def widest(parts: Sequence[Comparison]) -> Verdict:
    """Whether the differences in the group 80/255 under L∞ attacks are clearly larger than all others (their intervals do not meet)."""
    named, others = (
        [part.contrast for part in parts if (part.group == "80/255" and part.norm == "linf") is there] for there in (True, False)
    )
    if not named or not others:
        return NOT_TESTED
    if min(contrast.low for contrast in named) > max(other.high for other in others):
        return SUPPORTED
    beaten = max(other.low for other in others) > min(contrast.high for contrast in named)
    return CONTRADICTED if beaten else CANNOT_TELL


OF_VERDICTS: dict[str, Callable[[Sequence[Verdict]], Verdict]] = {"every": every, "most": most, "almost every": almost_every}
OF_PARTS: dict[str, Callable[[Sequence[Comparison]], Verdict]] = {"falling": falling, "widest": widest}


def _cell(finding: dict | None) -> Markup:
    """A verdict, and below it the decisive comparison."""
    verdict = finding["verdict"] if finding else NOT_TESTED
    said = Markup("<span class='verdict {}'>{}</span>").format(verdict.split(" ")[0], verdict)
    if not finding or verdict == NOT_TESTED:
        return said + Markup("<small>{}</small>").format(finding["reason"] if finding else "")
    digits = 1 if finding["unit"] else 2
    interval = between(finding["low"], finding["high"], digits) if isfinite(finding["low"]) else ""
    words = f"{signed(finding['estimate'], digits)} {interval} {finding['unit']}".strip()
    parts = f"{finding['supported']:.0f} of {finding['parts']:.0f}" if finding["parts"] > 1 else ""
    return said + Markup("<small>{}<br>{}</small><small>{}</small>").format(words, finding["comparison"], parts)


def _reason(claim: dict, evidence: Evidence, compared: Sequence[Comparison]) -> str:
    """Why it cannot be tested here, one of `REASONS`; nothing where it can."""
    if claim.get("dataset") not in (None, DATASETS.get(evidence.dataset)):
        return "other dataset"
    if "study" in claim:
        return "" if any(_of_study(claim, part) for part in compared) else "missing study"
    here = {part.pair.name for part in compared if part.experiment == THIS and part.measure in ("accuracy", claim["measure"])}
    return "" if set(claim["pairs"]) <= here else "missing rows"


def _findings(claim: dict, evidence: Evidence, compared: Sequence[Comparison]) -> Iterator[dict]:
    attacks = [""] if claim["measure"] in GRADIENTS else [name for name in ("paper", "strict") if name in headline_columns(evidence)]
    for semantics in attacks:
        if parts := _parts(claim, semantics, compared):
            yield _finding(claim, parts, semantics)


def _parts(claim: dict, semantics: str, compared: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons that speak of the claim under one attack."""
    if "study" in claim:
        measure = {"paper": ["paper"], "strict": ["radius_l2", "radius_linf"]}[semantics]
        parts = [part for part in compared if _of_study(claim, part) and part.measure in measure]
        return parts or [part for part in compared if _of_study(claim, part) and semantics == "strict" and part.measure == "robust"]
    parts = [part for part in compared if part.experiment == THIS and part.pair.name in claim["pairs"]]
    measured = claim["measure"] if semantics != "paper" else "accuracy"
    chosen = [part for part in parts if part.measure == measured and (part.column is None or part.column.semantics == semantics)]
    if claim.get("headline"):
        asked = headline()
        chosen = [part for part in chosen if part.norm == asked.norm and (part.column is None or part.column.epsilon == asked.epsilon)]
    if "teacher" in claim:
        chosen = [part for part in chosen if families()[part.pair.first] == claim["teacher"]]
    if "largest_linf" in claim:
        radii = sorted({part.column.epsilon for part in chosen if part.column and part.norm == "linf"})[-claim["largest_linf"] :]
        chosen = [part for part in chosen if part.column and part.norm == "linf" and part.column.epsilon in radii]
    if chosen and "also" in claim:
        chosen += [part for part in parts if part.measure == claim["also"]]
    return chosen


def _finding(claim: dict, parts: Sequence[Comparison], semantics: str) -> dict:
    sign = -1 if claim.get("less") else 1
    turned = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED} if sign < 0 else {}
    verdicts = [turned.get(part.verdict, part.verdict) for part in parts]
    rule = claim["rule"]
    verdict = OF_VERDICTS[rule](verdicts) if rule in OF_VERDICTS else OF_PARTS[rule](parts)
    alike = [part for part, one in zip(parts, verdicts) if one == verdict] or list(parts)
    # Of what is contradicted the part that is most so; else the one that bears the claim out least.
    decisive = min(alike, key=lambda part: sign * part.contrast.estimate)
    contrast = decisive.contrast
    return {
        "semantics": semantics,
        "verdict": verdict,
        "comparison": f"{decisive.techniques[0]} over {decisive.techniques[1]}, {decisive.place}",
        **{name: round(float(getattr(contrast, name)), 3) for name in ("estimate", "low", "high")},
        "unit": decisive.unit,
        "p_adjusted": float(f"{contrast.adjusted:.4g}"),
        "parts": len(parts),
        "supported": verdicts.count(SUPPORTED),
        "contradicted": verdicts.count(CONTRADICTED),
        "n": min((part.contrast.images for part in parts if part.measure not in GRADIENTS), default=0),
        "seeds": min(part.contrast.seeds for part in parts),
    }


def _of_study(claim: dict, part: Comparison) -> bool:
    return part.experiment == claim["study"] and part.pair.first == claim["variant"] and part.pair.name in claim["pairs"]


def _published(claim: dict, evidence: Evidence) -> dict[str, float]:
    """What the paper's own table says, of the dataset that the claim is about, else of that of this run."""
    dataset = claim.get("dataset") or DATASETS.get(evidence.dataset)
    if dataset is None or not claim.get("published"):
        return {}
    techniques = list(dict.fromkeys(published.table(dataset)["technique"]))
    pairs = [(one, second) for first, second in claim["published"] for one in (techniques if first == "*" else [first]) if one != second]
    gaps = pd.concat([published.gaps(dataset, *pair) for pair in pairs])
    if "largest_linf" in claim:
        gaps = gaps[(gaps["norm"] == "linf") & gaps["epsilon"].isin(sorted(gaps[gaps["norm"] == "linf"]["epsilon"].unique())[-2:])]
    points = gaps["points"]
    if points.empty:
        return {}
    return {
        "published_low": float(points.min()),
        "published_high": float(points.max()),
        "published_ahead": int((points > 0).sum()),
        "published_cells": len(points),
    }
