"""The top of the page: the answer in three sentences and how sure it is. Every word is chosen by a comparison of `Survival`."""

from lib.report.claims import Claim, tally
from lib.report.columns import under
from lib.report.families import Family
from lib.report.findings import CONTROLS, signed
from lib.report.gate import Gate
from lib.report.statistics import wilson
from lib.report.survival import Lead, Survival

OPPONENTS: dict[Family, str] = {
    "permuted": "the same maps with their pixels permuted",
    "non_robust": "maps of a non-robust teacher",
    "jacobian": "plain small gradients (Jacobian regularization)",
}


def sentences(found: Survival) -> list[str]:
    """Three: more robust than standard training? because of what the maps show? as good as adversarial training?

    The second and third are left out where there is nothing to compare with.
    """
    by_family = {lead.family: lead for lead in found.leads}
    controls = [by_family[family] for family in CONTROLS if family in by_family]
    said = [_gain(found, by_family["standard"])]
    said += [_content(controls)] if controls else []
    return said + ([_adversarial(by_family["adversarial"])] if "adversarial" in by_family else [])


def doubts(found: Survival | None, images: int, seeds: int, gate: Gate, claims: list[Claim]) -> list[tuple[str, str]]:
    """How sure we are: (name, sentence) pairs, about chance, the attacks and the paper's own claims."""
    low, high = wilson(0.5, images)
    several = f"{seeds} training seeds" if seeds > 1 else "one training seed"
    said = [("Chance", f"{images} test images leave every accuracy uncertain by up to ±{50 * (high - low):.0f} points; {several}.")]
    if found:
        clear = sum(lead.verdict != "not decided" for lead in found.leads)
        words = f"{clear} of {len(found.leads)} comparisons above are clear of chance, with intervals that hold for all of them together."
        said.append(("Comparisons", words))
        turned = (
            f"{len(found.flips)} of {found.pairs} orderings of two rows turn round between {under(found.before)} and all attacks together."
        )
        said.append(("Attacks", turned))
    return [*said, ("Gate", _gate(gate)), *_claims(claims)]


def _gain(found: Survival, lead: Lead) -> str:
    kept = [f"{100 * share:.0f} %" for share, _, _ in found.kept.values()]
    verdict = {
        "survives": "Yes, training towards a robust network’s saliency maps makes a network harder to fool",
        "reversed": "No, training towards a robust network’s saliency maps makes a network easier to fool",
        "not decided": "It is not decided whether training towards a robust network’s saliency maps makes a network harder to fool",
    }[lead.verdict]
    levels = f"{found.ours} keeps {kept[1]} of the test images, standard training {kept[0]}"
    return f"{verdict}: with all attacks at {found.threat} together, {levels}."


def _content(controls: list[Lead]) -> str:
    won, lost = ([lead for lead in controls if lead.verdict == verdict] for verdict in ("survives", "reversed"))
    if len(won) == len(controls):
        start = "What the maps show matters, not only that gradients are small: it is clearly ahead of every control"
    elif won:
        start = "What the maps show seems to matter in part: it is clearly ahead of some controls, not of all"
    elif lost:
        start = "What the maps show is not what helps: it is clearly ahead of no control and behind some"
    else:
        start = "Whether what the maps show matters is not decided: no control is clearly behind"
    same = len({lead.verdict for lead in controls}) == 1
    each = [f"{_points(lead)} over {OPPONENTS[lead.family]}{'' if same else _chance(lead)}" for lead in controls]
    chance = ", all within chance" if same and controls[0].verdict == "not decided" else ""
    return f"{start} ({'; '.join(each)}, in points{chance})."


def _adversarial(lead: Lead) -> str:
    verdict = {
        "survives": "It beats adversarial training",
        "reversed": "It falls short of adversarial training",
        "not decided": "Whether it reaches adversarial training is not decided",
    }[lead.verdict]
    return f"{verdict}: {_points(lead)} points against {lead.technique}{_chance(lead)}."


def _points(lead: Lead) -> str:
    return signed(lead.difference.points)


def _chance(lead: Lead) -> str:
    return ", within chance" if lead.verdict == "not decided" else ""


def _gate(gate: Gate) -> str:
    """How many lights of the gate are red or amber."""
    total, counts = sum(gate.counts.values()), gate.counts
    loud = " and ".join(f"{counts[verdict]} {verdict}" for verdict in ("fail", "warn") if verdict in counts)
    return f"of {total} checks of the attacks and networks, {loud or 'none fails or warns'}."


def _claims(claims: list[Claim]) -> list[tuple[str, str]]:
    semantics = list(dict.fromkeys(name for claim in claims for name in claim.findings if name))
    if not semantics:
        return []
    attack = "strict" if "strict" in semantics else semantics[0]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in tally(claims, attack).items())
    return [("Claims", f"of the paper’s claims under {under(attack)}: {counts}.")]
