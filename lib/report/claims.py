"""What the paper claims and what became of it: one verdict per claim and attack, each computed from the measurements.

A comparison decides something only if its p value is below 5 % after Holm's correction over all comparisons under the same attack and all
seeds agree in sign; what is then true of the parts of a claim, the rules in statements.py and verdicts.py make a verdict on it.
"""

from collections import Counter
from dataclasses import dataclass, replace

import pandas as pd

from lib.report.contrasts import JACOBIAN, Contrast, both_p_values, contrasts, p_value
from lib.report.effects import Effect, changes
from lib.report.families import families
from lib.report.findings import signed
from lib.report.published import DATASETS
from lib.report.published_folder import Published
from lib.report.results import Evidence, labels
from lib.report.series import headline, headline_columns, permutation
from lib.report.statements import Statement, statements
from lib.report.verdicts import CANNOT_TELL, CONTRADICTED, NOT_TESTED, SUPPORTED, VERDICTS, Verdict, almost_every, every, over_seeds

NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
# The key of a finding that no attack is involved in.
GRADIENTS = ""
COLUMNS = ["claim", "section", "sentence", "published", "semantics", "ours", "verdict", "n", "seeds"]


@dataclass(frozen=True)
class Finding:
    """What the measurements say of one claim under one attack, on how many test images (0: it is about gradients) and seeds.

    `brief`: the same as `numbers` in a few words.
    """

    verdict: Verdict
    numbers: str
    images: int
    seeds: int
    brief: str = ""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper in our words, what its own tables say of it, and what ours do: one finding per semantics.

    A claim about gradients has a single finding, under `GRADIENTS`; one that is not tested has none, and `reason` says why.
    """

    key: str
    section: str
    sentence: str
    published: str
    findings: dict[str, Finding]
    reason: str = ""


def claims(evidence: Evidence, beyond: Published | None = None) -> list[Claim]:
    """Every claim, in the order of the paper's text; those about gradients and the one that only the study `beyond` tests come last."""
    family = contrasts(evidence)
    compared = [_compared(statement, evidence, family) for statement in statements()]
    return [*compared, _alignment(evidence), _smaller(evidence), _smaller_yet_weaker(evidence, family), _distillation(beyond)]


def to_frame(found: list[Claim]) -> pd.DataFrame:
    """One line per claim and semantics; one line for a claim that is not tested."""
    lines: list[tuple] = []
    for claim in found:
        start = (claim.key, claim.section, claim.sentence, claim.published)
        rest = [(name, one.numbers, one.verdict, one.images, one.seeds) for name, one in claim.findings.items()]
        lines += [(*start, *one) for one in rest or [("", claim.reason, NOT_TESTED, 0, 0)]]
    return pd.DataFrame(lines, columns=COLUMNS)


def tally(found: list[Claim], semantics: str) -> dict[Verdict, int]:
    """How many claims got which verdict under one attack; verdicts that none got are left out.

    One about gradients counts under every attack, and one that was not tested as such, so that the counts add up to all claims.
    """
    counts = Counter(verdict(claim, semantics) for claim in found)
    return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}


def verdict(claim: Claim, semantics: str) -> Verdict:
    """The verdict under one attack; that on gradients has no attack."""
    finding = claim.findings.get(semantics) or claim.findings.get(GRADIENTS)
    return finding.verdict if finding else NOT_TESTED


def _compared(statement: Statement, evidence: Evidence, family: list[Contrast]) -> Claim:
    claim = Claim(statement.key, statement.section, statement.sentence, statement.published, {})
    dataset = DATASETS.get(evidence.dataset)
    if statement.dataset not in (None, dataset):
        return replace(claim, reason=f"It is about {NAMES[statement.dataset or '']}; this run is on {evidence.dataset}.")
    missing = [name for name in statement.names if not any(part.pair.name == name for part in family)]
    if missing:
        return replace(claim, reason=f"The rows or radii at hand do not allow the comparison {' or '.join(missing)}.")
    findings = {}
    for semantics in headline_columns(evidence):
        parts = [part for part in family if part.pair.name in statement.names and part.column.semantics == semantics]
        parts = statement.selection(parts)
        images, size = min((part.images for part in parts), default=0), sum(part.column.semantics == semantics for part in family)
        findings[semantics] = Finding(statement.rule(parts), _numbers(parts, size), images, len(evidence.seeds), _brief(parts))
    return replace(claim, findings=findings)


def _numbers(parts: list[Contrast], family: int) -> str:
    """Each difference with its interval and p values; of more than two, the two extremes."""
    if len(parts) <= 2:
        return "; ".join(f"{part.name}: {part.difference.interval}, {both_p_values(part, family)}" for part in parts)
    least, largest = (choose(parts, key=lambda part: part.difference.points) for choose in (min, max))
    ends = " to ".join(f"{signed(part.difference.points)} ({part.name})" for part in (least, largest))
    return f"from {ends}"


def _brief(parts: list[Contrast]) -> str:
    """`2 better, 0 worse, 3 unclear`, of the first named row, and where that is one place; of a single comparison the difference with its
    interval.
    """
    if len(parts) == 1:
        return f"{parts[0].difference.interval} points"
    count = Counter(part.verdict for part in parts)
    threats = {part.column.threat for part in parts}
    where = f", all at {threats.pop()}" if len(threats) == 1 else ""
    return f"{count[SUPPORTED]} better, {count[CONTRADICTED]} worse, {count[CANNOT_TELL]} unclear{where}"


def _alignment(evidence: Evidence) -> Claim:
    """Cosine between gradient and own target, over the permuted shares."""
    claim = Claim(
        "alignment",
        "4.5, Fig. 3c",
        "The larger the permuted share of the targets, the less the gradients align with them.",
        "Figure 3c shows the fall; it prints no numbers.",
        {},
    )
    frame = permutation(evidence)
    by_seed = frame.pivot(index="fraction", columns="seed", values="cosine")
    if len(by_seed) < 3:
        return replace(claim, reason=f"It needs targets permuted to several shares; there are rows for {len(by_seed)}.")
    steps = [over_seeds(list(before - after), len(by_seed) - 1) for before, after in zip(by_seed.values, by_seed.values[1:])]
    sequence = " → ".join(f"{value:.2f}" for value in by_seed.mean(axis=1))
    numbers = f"cosine {sequence} for shares of {', '.join(f'{100 * share:g} %' for share in by_seed.index)}"
    return replace(claim, findings={GRADIENTS: Finding(every(steps), numbers, 0, len(evidence.seeds))})


def _smaller(evidence: Evidence) -> Claim:
    """Norms of the label gradients of the defended rows, against standard training."""
    claim = Claim(
        "smaller_gradients",
        "4.6, Fig. 4",
        "Almost every defence (all but one at most) makes the gradients of the label’s logit smaller than standard training does.",
        "Figure 4 shows it as bars; it prints no numbers.",
        {},
    )
    kinds, names = families(), labels(evidence.rows)
    shown = [row for row, settings in evidence.rows.items() if settings.threats == "table"]
    standard = next((row for row in shown if kinds[row] == "standard"), None)
    defended = [row for row in shown if kinds[row] != "standard"]
    if standard is None or not defended:
        return replace(claim, reason="It needs a row of standard training beside defended ones.")
    norms = _norms(evidence)
    parts = [over_seeds(list(norms[standard] - norms[row]), len(defended)) for row in defended]
    largest = max(defended, key=lambda row: norms[row].mean())
    ends = f"largest: {names[largest]} {norms[largest].mean():.2f}; {names[standard]} {norms[standard].mean():.2f}"
    numbers = f"clearly smaller in {parts.count('supported')} of {len(parts)}; {ends}"
    return replace(claim, findings={GRADIENTS: Finding(almost_every(parts), numbers, 0, len(evidence.seeds))})


def _smaller_yet_weaker(evidence: Evidence, family: list[Contrast]) -> Claim:
    """Jacobian Regularization has the smaller gradients, IR the higher accuracy at the headline threat model."""
    claim = Claim(
        "smaller_yet_weaker",
        "4.6, Fig. 4",
        "Smaller gradients do not suffice: Jacobian Regularization has them, yet Interpretation Regularization is more robust.",
        "Figure 4 shows the norms as bars; for the accuracies see the first two claims.",
        {},
    )
    norms, findings = _norms(evidence), {}
    asked = (headline().norm, headline().epsilon)
    for semantics in headline_columns(evidence):
        ours = [part for part in family if (part.pair.name, part.column.semantics) == (JACOBIAN, semantics)]
        parts = [part for part in ours if (part.column.norm, part.column.epsilon) == asked]
        gaps = [norms[part.pair.first] - norms[part.pair.second] for part in parts]
        verdicts = [over_seeds(list(gap), 2 * len(parts)) for gap in gaps] + [part.verdict for part in parts]
        pairs = [(part.name, part.difference.interval, signed(gap.mean(), 2)) for part, gap in zip(parts, gaps)]
        words = [f"{name}: accuracy {interval}, gradient norm {gap}" for name, interval, gap in pairs]
        if parts:
            findings[semantics] = Finding(every(verdicts), "; ".join(words), parts[0].images, len(evidence.seeds), _brief(parts))
    return replace(claim, findings=findings, reason="" if findings else f"The rows at hand do not allow the comparison {JACOBIAN}.")


def _distillation(beyond: Published | None) -> Claim:
    """A network that was taught by the robust teacher's logits alone, against IR, in the study; its Holm correction decides."""
    claim = Claim(
        "distillation",
        "abstract, 4.6, 5",
        "Interpretation Regularization does more than distil an already robust network.",
        "No network is distilled in the paper; it argues from SmoothGrad’s lead over simple gradients.",
        {},
        "The paper trains no network by distillation, the baseline that would decide it; the study that does (make beyond) is not at hand.",
    )
    variants = {} if beyond is None else beyond.document["variants"]
    distilled = [] if beyond is None else [one for one in changes(beyond.table) if _by_logits(variants[one.variant])]
    if beyond is None or not distilled:
        return claim
    found, images, findings = distilled[0], int(beyond.table["n_attacked"].iloc[0]), {}
    for semantics, measure in (("paper", "paper"), ("strict", "robust")):
        one = found.effects[measure]
        words = f"study {beyond.about.name}: “{found.label}” − {found.against}: {one.shown} {one.interval}, {p_value(one.p)}, with Holm’s "
        words += f"correction over all variants of the study: {p_value(one.adjusted)}; one strength of the distillation was tried"
        size = f"study {beyond.about.name}: {images} images, {len(found.seeds)} seeds; {p_value(one.adjusted)} after Holm’s correction"
        brief = f"{one.shown} {one.interval} points for distillation ({size})"
        findings[semantics] = Finding(_weaker(one), words, images, len(found.seeds), brief)
    return replace(claim, findings=findings, reason="")


def _by_logits(variant: dict) -> bool:
    """Whether a variant of a study is taught by logits and by no gradients."""
    return variant.get("stage") == "train_distilled" and not variant.get("targets")


def _weaker(one: Effect) -> Verdict:
    if not one.withstands:
        return CANNOT_TELL
    return SUPPORTED if one.mean < 0 else CONTRADICTED


def _norms(evidence: Evidence) -> pd.DataFrame:
    """Mean norm of the label logit's gradient, seeds by rows."""
    return evidence.gradients.pivot(index="seed", columns="row", values="label_norm")
