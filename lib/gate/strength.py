"""Do stronger attacks break more? G4 order of strength, G5 curve, G8 black-box not better, G11 paper minus strict."""

from itertools import combinations

import numpy as np

from lib.evaluation.outcome_file import Record
from lib.gate.check import Check, Part, counted, hardest
from lib.gate.findings import Findings, Place, standing, words
from lib.gate.rules import RULES

LISTED = 10  # rows named in a note
# From weak to strong: what it is called, and where its record is looked for, the first that was kept.
_ORDER: dict[str, list[tuple[str, str]]] = {
    "noise": [("probe", "noise")],
    "FGSM": [("strict", "fgsm"), ("probe", "fgsm")],
    "10 steps": [("probe", "few_steps")],
    "one walk": [("probe", "single")],
    "all restarts": [("probe", "reference")],
    "AutoAttack": [("autoattack", "*")],
}
_EVERY_LOSS = "FGSM on every loss"  # stands beside the order: only attacks that take every loss, too, must be stronger


def order(found: Findings) -> Check:
    """G4: on the same images, no attack may break more than a stronger one.

    Ten steps and one walk take one loss, the margin: they are held against FGSM on that loss. FGSM's worst case over several losses is
    held against the restarts, which take several, too.
    """
    parts, missing = [], [] if found.probed else ["the probes"]
    for place in found.probed:
        tried = {name: record for name, where in _ORDER.items() if (record := _first(found, where, place))}
        parts.append(_out_of_order(found, place, tried))
        missing += [f"{name} at {words(place)}" for name in _ORDER if name not in tried]
    return RULES["G4"].check([hardest(parts)], missing)


def curve(found: Findings) -> Check:
    """G5: accuracy falls with the radius, down to nothing where the ball holds every image."""
    strict, paper = found.at("strict", "pgd*"), found.at("paper", "pgd*")
    radii = {norm: [place for place in strict if place[0] == norm] for norm, _ in strict}
    ends = [_end(found, max(places), strict) for places in radii.values() if len(places) > 1]  # one radius is no curve
    rises = [_rise(found, norm, paper) for norm in dict.fromkeys(norm for norm, _ in paper)]
    missing = ["strict PGD at several radii"] * (not ends) + ["the paper's PGD"] * (not rises)
    return RULES["G5"].check([hardest(ends), hardest(rises)], missing)


def black_box(found: Findings) -> Check:
    """G8: an attack that sees no gradient must not find what those that do have missed."""
    parts, kinds = [], set()
    for place, white in {**found.probe("reference"), **found.at("strict", "pgd*")}.items():
        broken = _black_breaks(found, place)
        kinds |= set(broken)
        if broken:
            parts.append(_only_black(found, place, white, broken))
    missing = [kind for kind in ("transfer", "noise", "Square") if kind not in kinds]
    return RULES["G8"].check([hardest(parts)], missing)


def paper_minus_strict(found: Findings) -> Check:
    """G11: what the paper's attack leaves standing beyond the strict one; the largest difference, or the worst contradiction."""
    paper, strict = found.at("paper", "pgd*"), found.at("strict", "pgd*")
    parts = [_difference(found, place, paper[place], strict[place]) for place in paper if place in strict]
    missing = ["strict PGD"] * (not strict) + ["the paper's PGD"] * (not paper)
    return RULES["G11"].check([hardest(parts)], missing or ["strict PGD where the paper's was run"] * (not parts))


def _first(found: Findings, where: list[tuple[str, str]], place: Place) -> Record | None:
    records = (found.at(*kind).get(place) for kind in where)
    return next((record for record in records if record), None)


def _out_of_order(found: Findings, place: Place, tried: dict[str, Record]) -> Part:
    """The pair of attacks, weaker and stronger, whose order is violated most."""
    images = found.asked(*tried.values())
    left = {"clean": float(found.clean[images].sum())} | {name: standing(record, images) for name, record in tried.items()}
    pairs = list(combinations(left, 2))
    if "FGSM" in tried:
        left |= {_EVERY_LOSS: left["FGSM"], "FGSM": float(_on_margin(tried["FGSM"])[images].sum())}
        pairs += [(_EVERY_LOSS, name) for name in ("all restarts", "AutoAttack") if name in tried]
    (weak, strong), excess = max(((pair, left[pair[1]] - left[pair[0]]) for pair in pairs), key=lambda entry: entry[1])
    n = int(images.sum())
    note = f"{words(place)}: {weak} leaves {100 * left[weak] / n:.1f} %, {strong} {100 * left[strong] / n:.1f} %"
    return counted(max(excess, 0.0), n, 0.5, "fail", note if excess > 0 else f"{words(place)}: {n} images in order")


def _on_margin(fgsm: Record) -> np.ndarray:
    """What FGSM on the margin alone leaves standing (n,); its worst case where the losses were not kept apart."""
    losses = fgsm.settings.get("losses", [])
    return np.asarray(fgsm.correct[losses.index("margin")] if "margin" in losses else fgsm.correct.all(0))


def _end(found: Findings, place: Place, records: dict[Place, Record]) -> Part:
    """What the strict attack leaves at the largest radius, held against what a constant grey image would."""
    norm, radius = place
    images = found.asked(records[place])
    left, n = standing(records[place], images), int(images.sum())
    largest_class = int(np.unique(found.labels[images], return_counts=True)[1].max())
    note = f"{100 * left / n:.1f} % left at {words(place)}"
    if norm == "linf" and radius >= 0.5 and left > largest_class:
        reachable = f"where the grey image is in every ball and at most {100 * largest_class / n:.1f} % can be classified correctly"
        return Part("fail", 100 * left / n, f"{note}, {reachable}")
    return counted(left, n, 1.0, "warn", note)


def _rise(found: Findings, norm: str, records: dict[Place, Record]) -> Part:
    """The largest rise of the paper's accuracy between a radius and any larger one."""
    places = [place for place in records if place[0] == norm]
    images = found.asked(*(records[place] for place in places))
    left = {place: standing(records[place], images) for place in places}
    rise, low, high = max(((left[high] - left[low], low, high) for low, high in combinations(places, 2)), default=(0.0, None, None))
    if rise <= 0 or low is None or high is None:
        return Part("pass", 0.0, "")
    n = int(images.sum())
    return counted(rise, n, 0.5, "fail", f"the paper's accuracy rises by {100 * rise / n:.1f} points from {words(low)} to {words(high)}")


def _black_breaks(found: Findings, place: Place) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kind of black-box attack -> which images it broke and on which it was tried, (n,) bool each."""
    tried: dict[str, list[Record]] = {"noise": [record for at, record in found.probe("noise").items() if at == place]}
    tried["transfer"] = [record for record in found.records if record.semantics == "transfer" and (record.norm, record.epsilon) == place]
    breaks = {}
    for kind, records in tried.items():
        if records:
            asked = np.logical_or.reduce([found.asked(record) for record in records])
            broken = np.logical_or.reduce([found.asked(record) & (record.per_image < 1) for record in records])
            breaks[kind] = (broken, asked)
    square = _square(found, found.at("autoattack", "*").get(place))
    return breaks | ({"Square": square} if square else {})


def _square(found: Findings, record: Record | None) -> tuple[np.ndarray, np.ndarray] | None:
    """What Square broke of what the attacks before it left, and the first images, up to the last that it was tried on."""
    attacks = record.settings.get("attacks", []) if record else []
    if record is None or "square" not in attacks:
        return None
    asked = np.arange(len(found.rows)) <= np.flatnonzero(record.telemetry["square_asked"] == 1).max(initial=-1)
    line = attacks.index("square")
    before = record.correct[line - 1] if line else found.clean
    return before & ~record.correct[line] & found.asked(record), asked & found.asked(record)


def _only_black(found: Findings, place: Place, white: Record, broken: dict[str, tuple[np.ndarray, np.ndarray]]) -> Part:
    """The images that only black-box attacks break, with their rows, as a share of those on which one was tried."""
    stands = found.asked(white) & (white.per_image > 0) & _before_square(found, place)
    alone = {kind: stands & mask for kind, (mask, _) in broken.items()}
    images = np.flatnonzero(np.logical_or.reduce(list(alone.values())))
    n = max(1, int(np.logical_or.reduce([asked for _, asked in broken.values()]).sum()))
    if not len(images):
        return Part("pass", 0.0, f"{words(place)}: {', '.join(broken)} break none of {n} images alone")
    rows = ", ".join(str(row) for row in found.rows[images[:LISTED]]) + f" and {len(images) - LISTED} more" * (len(images) > LISTED)
    kinds = ", ".join(kind for kind, mask in alone.items() if mask.any())
    return counted(len(images), n, 0.2, "fail", f"{words(place)}: only {kinds} breaks row{'s' * (len(images) > 1)} {rows}")


def _before_square(found: Findings, place: Place) -> np.ndarray:
    """What AutoAttack's white-box attacks left standing, (n,) bool; everything that it was not tried on."""
    record = found.at("autoattack", "*").get(place)
    if record is None:
        return np.ones(len(found.rows), bool)
    attacks = record.settings.get("attacks", [])
    line = attacks.index("square") if "square" in attacks else len(record.correct)
    return ~found.asked(record) | (record.correct[line - 1] if line else found.clean)


def _difference(found: Findings, place: Place, paper: Record, strict: Record) -> Part:
    images = found.asked(paper, strict)
    n = int(images.sum())
    gap = standing(paper, images) - standing(strict, images)
    note = f"{words(place)}: paper {100 * standing(paper, images) / n:.1f} %, strict {100 * standing(strict, images) / n:.1f} %"
    excess = counted(max(-gap, 0.0), n, 0.5, "fail", note)
    return Part("info" if excess.verdict == "pass" else excess.verdict, 100 * gap / n, excess.note)
