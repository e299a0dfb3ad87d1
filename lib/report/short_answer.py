"""The top of the page: the answer in three sentences and how sure it is. Every word is chosen by a comparison of numbers."""

from collections.abc import Sequence

from lib.columns import under
from lib.report.claims import Claim, tally
from lib.report.experiments import LARGER, THIS, Answer
from lib.report.families import Family
from lib.report.findings import CONTROLS, signed
from lib.report.gate import Gate
from lib.report.study_sentences import number
from lib.report.survival import Lead, Survival
from lib.report.tables import Table
from lib.statistics import wilson

FAR = 20.0  # points below the published accuracy from which on a reference is called weak
OPPONENTS: dict[Family, str] = {
    "permuted": "the same maps with their pixels permuted",
    "non_robust": "maps of a non-robust teacher",
    "jacobian": "plain small gradients (Jacobian regularization)",
}


def sentences(found: Survival, answers: Sequence[Answer] = ()) -> list[str]:
    """Three: more robust than standard training? because of what the maps show? as good as adversarial training?

    The second and third are left out where there is nothing to compare with. `answers` of other experiments on the page qualify them.
    """
    by_family = {lead.family: lead for lead in found.leads}
    controls = [by_family[family] for family in CONTROLS if family in by_family]
    said = [_gain(found, by_family["standard"])]
    said += [" ".join([_content(controls, found.ours), *_together(answers, "permuted")])] if controls else []
    return said + ([_adversarial(by_family["adversarial"], found, answers)] if "adversarial" in by_family else [])


def doubts(found: Survival | None, images: int, seeds: int, gate: Gate, claims: list[Claim], believed: str) -> list[tuple[str, str]]:
    """How sure we are: (name, sentence) pairs, about chance, the attacks and the paper's own claims. `believed`: the gate's verdict."""
    low, high = wilson(0.5, images)
    several = f"{seeds} training seeds" if seeds > 1 else "one training seed"
    said = [("Chance", f"{images} test images leave every accuracy uncertain by up to ±{50 * (high - low):.0f} points; {several}.")]
    if found:
        clear = sum(lead.verdict != "not decided" for lead in found.leads)
        words = f"of this run’s {len(found.leads)} leads in the table above, {clear} are clear of chance"
        pairs = f"all {found.choices} pairs of a row with a robust teacher’s maps and another one"
        said.append(("Leads", f"{words}, by intervals that hold for {pairs} together."))
        turned = f"{len(found.flips)} of {found.pairs} orderings of two rows turn round"
        said.append(("Attacks", f"{turned} between {under(found.before)} and all attacks together."))
    return [*said, ("Gate", f"can the numbers be believed? {believed} {_gate(gate)}"), *_claims(claims)]


def reference(found: Survival | None, table: Table) -> list[tuple[str, str]]:
    """How adversarial training does here under the paper's attack, beside what the paper printed."""
    lead = next((lead for lead in found.leads if lead.family == "adversarial"), None) if found else None
    line = next((line for line in table.lines if lead and line.technique == lead.technique), None)
    if line is None:
        return []
    for column, cell in zip(table.columns, line.cells):
        if column.threat == table.headline and cell.published is not None:
            gap = f"{line.technique} reaches {cell.shown} % here, the paper printed {cell.published:.2f} %, both under the paper’s attack"
            weak = cell.published - cell.mean > FAR
            return [("Reference", gap + (": at this size it is no strong opponent." if weak else "."))]
    return []


def _gain(found: Survival, lead: Lead) -> str:
    kept = [f"{100 * share:.0f} %" for share, _, _ in found.kept.values()]
    verdict = {
        "survives": "Yes, training towards a robust network’s saliency maps makes a network harder to fool",
        "reversed": "No, training towards a robust network’s saliency maps makes a network easier to fool",
        "not decided": "It is not decided whether training towards a robust network’s saliency maps makes a network harder to fool",
    }[lead.verdict]
    levels = f"{found.ours} still classifies {kept[1]} of the test images correctly, standard training {kept[0]}"
    return f"{verdict}: with all attacks at {found.threat} together, {levels}{_cost(found)}.{_without(found)}"


def _without(found: Survival) -> str:
    """What networks keep that are trained without what the maps show."""
    others = {"jacobian": "with small gradients and no maps", "permuted": "with the maps’ pixels permuted"}
    kept = [f"{lead.technique}, {others[lead.family]}, keeps {_share(lead)}" for lead in found.leads if lead.family in others]
    return f" But {' and '.join(kept)}." if kept else ""


def _share(lead: Lead) -> str:
    return f"{100 * lead.difference.second:.0f} %"


def _cost(found: Survival) -> str:
    if not found.clean:
        return ""
    standard, ours = (100 * share for share in found.clean.values())
    return f" (without an attack {ours:.1f} and {standard:.1f} %)"


def _content(controls: list[Lead], ours: str) -> str:
    won, lost = ([lead for lead in controls if lead.verdict == verdict] for verdict in ("survives", "reversed"))
    if len(won) == len(controls):
        start = "What the maps show matters, not only that gradients are small: it is clearly ahead of every control"
    elif won:
        start = "What the maps show seems to matter in part: it is clearly ahead of some controls, not of all"
    elif lost:
        start = "What the maps show is not what helps: it is clearly ahead of no control and behind some"
    else:
        start = "Whether what the maps show matters is not decided by this run: no control is clearly behind"
    same = len({lead.verdict for lead in controls}) == 1
    several = len({lead.ours or ours for lead in controls}) > 1
    each = [_against(lead, ours if several else "") + ("" if same else _chance(lead)) for lead in controls]
    chance = ", all within chance" if same and controls[0].verdict == "not decided" else ""
    return f"{start} ({'; '.join(each)}, in points{chance})."


def _against(lead: Lead, ours: str) -> str:
    """`+9.4 over …`; with `ours`, the best row, also which row leads."""
    name = f"{lead.ours or ours} " if ours else ""
    return f"{name}{_points(lead)} over {OPPONENTS[lead.family]}"


def _together(answers: Sequence[Answer], family: Family) -> list[str]:
    """One sentence on what all experiments say of this family, where there are several."""
    said = [answer for answer in answers if answer.family == family]
    if len(said) < 2:
        return []
    ahead = [answer for answer in said if answer.gap.points > 0]
    clear = [answer for answer in said if answer.gap.clear]
    sizes = ", ".join(_size(answer) for answer in said if answer.experiment != THIS)
    if len(ahead) in (0, len(said)):
        side = "ahead of" if ahead else "behind"
        agree = f"{_all(len(said))} experiments on this page that ask this put the maps {side} {OPPONENTS.get(family, 'them')}"
    else:
        agree = (
            f"The experiments on this page that ask this disagree in sign: {number(len(ahead))} of {number(len(said))} put the maps ahead"
        )
    return [f"{agree}, {number(len(clear))} of them clear of chance ({sizes})."]


def _size(answer: Answer) -> str:
    """`+7.0 (clear) in the larger run mnist_cpu`."""
    clear = " (clear)" if answer.gap.clear else ""
    return f"{signed(answer.gap.points)}{clear} in the {answer.experiment} {answer.name}{answer.remark and f' ({answer.remark})'}"


def _all(count: int) -> str:
    return "Both" if count == 2 else f"All {number(count)}"


def _adversarial(lead: Lead, found: Survival, answers: Sequence[Answer]) -> str:
    verdict = {
        "survives": "{} beats adversarial training",
        "reversed": "{} falls short of adversarial training",
        "not decided": "Whether {} reaches adversarial training is not decided",
    }[lead.verdict].format(lead.ours or found.ours)
    larger = "".join(f"; in the {_larger(answer)}" for answer in _larger_runs(answers))
    return f"{verdict} in this run, at {found.threat}: {_points(lead)} points against {lead.technique}{_chance(lead)}{larger}."


def turned(found: Survival | None, answers: Sequence[Answer]) -> list[str]:
    """Larger runs in which this run's lead over adversarial training, or its lag, is the other way round."""
    leads = [lead for lead in found.leads if lead.family == "adversarial"] if found else []
    return [answer.name for lead in leads for answer in _larger_runs(answers) if answer.gap.points * lead.difference.points < 0]


def _larger_runs(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.family == "adversarial" and answer.experiment == LARGER]


def _larger(answer: Answer) -> str:
    """What a larger run says of adversarial training: over all its rows where they agree in sign, else of the best one."""
    leads = sorted(answer.all) if len({lead > 0 for lead in answer.all}) == 1 else [answer.gap.points]
    sizes = sorted({f"{abs(lead):.1f}" for lead in leads}, key=float)
    who = "it leads" if leads[0] > 0 else "adversarial training leads"
    chance = "" if answer.gap.clear else ", within chance"
    return f"{answer.called}, under {answer.attack}, {who} by {'–'.join(dict.fromkeys([sizes[0], sizes[-1]]))} points{chance}"


def _points(lead: Lead) -> str:
    return signed(lead.difference.points)


def _chance(lead: Lead) -> str:
    return ", within chance" if lead.verdict == "not decided" else ""


def _gate(gate: Gate) -> str:
    """How many lights of the gate are red or amber."""
    total, counts = sum(gate.counts.values()), gate.counts
    loud = " and ".join(f"{counts[verdict]} {verdict}" for verdict in ("fail", "warn") if verdict in counts)
    return f"(Of {total} checks of the attacks and networks, {loud or 'none fails or warns'}.)"


def _claims(claims: list[Claim]) -> list[tuple[str, str]]:
    semantics = list(dict.fromkeys(name for claim in claims for name in claim.findings if name))
    if not semantics:
        return []
    attack = "strict" if "strict" in semantics else semantics[0]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in tally(claims, attack).items())
    return [("Claims", f"of the paper’s {len(claims)} claims, under {under(attack)}: {counts}.")]
