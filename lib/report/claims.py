"""What the paper claims and what became of it: one verdict per claim and attack, each read from the comparisons of contrasts.py.

A comparison decides something only if its corrected p value is below 5 %; what is then true of the parts of a claim, the rules in
statements.py and verdicts.py make a verdict on it. Under the paper's attack these are accuracies at the radii that the paper speaks of;
under the strict attack mean radii in either norm, or such accuracies where the claim names radii.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lib.report.contrasts import JACOBIAN, Compared
from lib.report.effects import Effect, changes
from lib.report.families import families
from lib.report.published import DATASETS
from lib.report.published_folder import Published
from lib.report.results import Evidence, labels
from lib.report.series import headline, headline_columns, permutation
from lib.report.statements import Statement, statements
from lib.report.verdicts import CANNOT_TELL, CONTRADICTED, NOT_TESTED, SUPPORTED, VERDICTS, Verdict, almost_every, every, over_seeds
from lib.report.wording import interval, p_value, signed

NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
# The keys of findings: under either attack, and where no attack is involved.
PAPER, STRICT, GRADIENTS = "paper", "strict", ""
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


def claims(evidence: Evidence, radii: list[Compared], accuracies: list[Compared], beyond: Published | None = None) -> list[Claim]:
    """Every claim, in the order of the paper's text; those about gradients and the one that only the study `beyond` tests come last."""
    decided = [_compared(statement, evidence, radii, accuracies) for statement in statements()]
    return [*decided, _alignment(evidence), _smaller(evidence), _smaller_yet_weaker(evidence, radii, accuracies), _distillation(beyond)]


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


def _compared(statement: Statement, evidence: Evidence, radii: list[Compared], accuracies: list[Compared]) -> Claim:
    claim = Claim(statement.key, statement.section, statement.sentence, statement.published, {})
    dataset = DATASETS.get(evidence.dataset)
    if statement.dataset not in (None, dataset):
        return replace(claim, reason=f"It is about {NAMES[statement.dataset or '']}; this run is on {evidence.dataset}.")
    missing = [name for name in statement.names if not any(part.pair.name == name for part in accuracies)]
    if missing:
        return replace(claim, reason=f"The rows or radii at hand do not allow the comparison {' or '.join(missing)}.")
    findings = {}
    for semantics in headline_columns(evidence):
        compared = radii if semantics == STRICT and not statement.at_radii else _under(semantics, accuracies)
        parts = statement.selection([part for part in compared if part.pair.name in statement.names])
        if parts:
            findings[semantics] = _finding(statement.rule(parts), parts)
    return replace(claim, findings=findings)


def _under(semantics: str, accuracies: list[Compared]) -> list[Compared]:
    return [part for part in accuracies if part.column is not None and part.column.semantics == semantics]


def _finding(verdict: Verdict, parts: Sequence[Compared], words: str = "") -> Finding:
    """What these parts say; `words`: what else does."""
    images, seeds = min(part.contrast.images for part in parts), min(part.contrast.seeds for part in parts)
    return Finding(verdict, "; ".join([*map(_numbers, parts), *filter(None, [words])]), images, seeds, _brief(parts))


def _numbers(part: Compared) -> str:
    """`IR(R,SmG) over JR, L∞: +4.6 [+2.6, +6.6] %, p = 0.012`."""
    return f"{part.name}: {interval(part.contrast)} {_unit(part)}, {p_value(part.contrast.adjusted)}"


def _brief(parts: Sequence[Compared]) -> str:
    """`2 better, 0 worse, 3 unclear`, of the first named row; of a single comparison the difference with its interval."""
    if len(parts) == 1:
        return f"{interval(parts[0].contrast)} {_unit(parts[0])}"
    count = Counter(part.verdict for part in parts)
    return f"{count[SUPPORTED]} better, {count[CONTRADICTED]} worse, {count[CANNOT_TELL]} unclear"


def _unit(part: Compared) -> str:
    return "points" if part.column else "% of the radius"


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
    steps = over_seeds([list(before - after) for before, after in zip(by_seed.values, by_seed.values[1:])])
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
    parts = over_seeds([list(norms[standard] - norms[row]) for row in defended])
    largest = max(defended, key=lambda row: norms[row].mean())
    ends = f"largest: {names[largest]} {norms[largest].mean():.2f}; {names[standard]} {norms[standard].mean():.2f}"
    numbers = f"clearly smaller in {parts.count('supported')} of {len(parts)}; {ends}"
    return replace(claim, findings={GRADIENTS: Finding(almost_every(parts), numbers, 0, len(evidence.seeds))})


def _smaller_yet_weaker(evidence: Evidence, radii: list[Compared], accuracies: list[Compared]) -> Claim:
    """Jacobian Regularization has the smaller gradients, IR is more robust: at the headline threat model, or by the radius in its norm."""
    claim = Claim(
        "smaller_yet_weaker",
        "4.6, Fig. 4",
        "Smaller gradients do not suffice: Jacobian Regularization has them, yet Interpretation Regularization is more robust.",
        "Figure 4 shows the norms as bars; for the accuracies see the first two claims.",
        {},
    )
    norms, findings, asked = _norms(evidence), {}, headline()
    for semantics in headline_columns(evidence):
        parts = [
            part
            for part in (radii if semantics == STRICT else _under(semantics, accuracies))
            if part.pair.name == JACOBIAN and part.norm == asked.norm and (part.column is None or part.column.epsilon == asked.epsilon)
        ]
        gaps = [norms[part.pair.first] - norms[part.pair.second] for part in parts]
        if parts:
            words = "; ".join(f"gradient norm {signed(gap.mean(), 2)}" for gap in gaps)
            verdicts = over_seeds([list(gap) for gap in gaps]) + [part.verdict for part in parts]
            findings[semantics] = _finding(every(verdicts), parts, words)
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
