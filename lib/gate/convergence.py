"""Would a longer, a repeated or another walk find more? G6 convergence, G7 restarts, G9 loss, G12 silent success, G14 logit scale."""

from collections.abc import Sequence

import numpy as np

from lib.evaluation.outcome_file import Record
from lib.gate.check import Check, Part, counted, hardest
from lib.gate.findings import Findings, Place, standing, words
from lib.gate.rules import RULES

LONGER = {
    "steps_x2_5": "2.5 times the steps",
    "steps_x5": "5 times the steps",
    "step_half": "half the step",
    "step_double": "double the step",
}
SAME = {"single_x10": "logits times 10", "single_x1000": "logits times 1000", "single_float64": "float64"}


def convergence(found: Findings) -> Check:
    """G6: more steps, and steps of another length, find nothing new; the loss has stopped rising."""
    parts = [_lost(found, place, name, said, 1.0) for name, said in LONGER.items() for place in _shared(found, "reference", name)]
    settled = [_plateau(place, record) for place, record in found.probe("single").items() if len(record.noticed("plateau"))]
    missing = _missing(found, ["reference", *LONGER]) + ["the plateau of probe single"] * (not settled)
    return RULES["G6"].check([hardest(parts), hardest(settled)], missing)


def restarts(found: Findings) -> Check:
    """G7: as many restarts again find nothing new."""
    parts = [_lost(found, place, "restarts_double", "twice the restarts", 0.5) for place in _shared(found, "reference", "restarts_double")]
    return RULES["G7"].check([hardest(parts)], _missing(found, ["reference", "restarts_double"]))


def losses(found: Findings) -> Check:
    """G9: plain cross-entropy tells what the better of the losses that do not depend on the logits' scale tells, from the same start."""
    names = ["single", "single_standardised", "single_cross_entropy"]
    return RULES["G9"].check([hardest([_loss_gap(found, place) for place in _shared(found, *names)])], _missing(found, names))


def silent_success(found: Findings) -> Check:
    """G12: images that are fooled on the way and right again at its end; an attack that returns the last iterate misses them."""
    parts = []
    for place, record in found.probe("single").items():
        seen = ~np.isnan(record.telemetry.get("last", np.full(len(found.rows), np.nan)))
        if seen.any():
            missed = float((record.telemetry["last"][seen] > 0.5).sum()) - standing(record, seen)
            n = int(found.asked(record).sum())
            note = f"{words(place)}: {missed:.0f} of {n} images are right again at the end of the walk"
            parts.append(counted(missed, n, 0.5, "warn", note))
    return RULES["G12"].check([hardest(parts)], [] if parts else ["probe single"])


def logit_scale(found: Findings) -> Check:
    """G14: neither larger logits nor more digits change what one walk finds.

    The value is the accuracy's change. Where single outcomes change in both directions it hides some of them: that is a warning.
    """
    pairs = [(name, said, place) for name, said in SAME.items() for place in _shared(found, "single", name)]
    moved = [_gap(found, place, name, said, 0.5) for name, said, place in pairs]
    changed = [_changed(found, place, name, said) for name, said, place in pairs]
    return RULES["G14"].check([hardest(moved), hardest(changed)], _missing(found, ["single", *SAME]))


def _shared(found: Findings, *names: str) -> list[Place]:
    """The places at which all of these probes were recorded."""
    return [place for place in found.probed if all(place in found.probe(name) for name in names)]


def _missing(found: Findings, names: Sequence[str]) -> list[str]:
    places = found.probed
    if not places:
        return [f"probe {name}" for name in names]
    return [f"probe {name} at {words(place)}" for name in names for place in places if place not in found.probe(name)]


def _both(found: Findings, place: Place, first: str, second: str) -> tuple[Record, Record, np.ndarray]:
    one, other = found.probe(first)[place], found.probe(second)[place]
    return one, other, found.asked(one, other)


def _lost(found: Findings, place: Place, name: str, said: str, limit: float) -> Part:
    before, after, images = _both(found, place, "reference", name)
    lost, n = standing(before, images) - standing(after, images), int(images.sum())
    note = f"{words(place)}: {said} breaks {lost:.0f} of {n} images more"
    return counted(lost, n, limit, "fail", note, inclusive=False)


def _plateau(place: Place, record: Record) -> Part:
    moved = 100 * float(np.median(record.noticed("plateau")))
    note = f"{words(place)}: in the last quarter of the path the loss still moves {moved:.1f} % of its range (median)"
    return Part("warn" if moved >= 5 else "pass", moved, note)


def _gap(found: Findings, place: Place, name: str, said: str, limit: float) -> Part:
    plain, other, images = _both(found, place, "single", name)
    left, n = [standing(record, images) for record in (plain, other)], int(images.sum())
    note = f"{words(place)}: the walk leaves {100 * left[0] / n:.1f} %, with {said} {100 * left[1] / n:.1f} %"
    return counted(abs(left[0] - left[1]), n, limit, "fail", note, inclusive=False)


def _loss_gap(found: Findings, place: Place) -> Part:
    walks = [found.probe(name)[place] for name in ("single", "single_standardised", "single_cross_entropy")]
    images = found.asked(*walks)
    margin, standardised, plain = (standing(record, images) for record in walks)
    n = int(images.sum())
    left = ", ".join(f"{100 * count / n:.1f} %" for count in (margin, standardised, plain))
    note = f"{words(place)}: one walk on the margin, on standardised and on plain cross-entropy leaves {left}"
    return counted(abs(plain - min(margin, standardised)), n, 2.0, "fail", note, inclusive=False)


def _changed(found: Findings, place: Place, name: str, said: str) -> Part:
    plain, other, images = _both(found, place, "single", name)
    changed, n = float((plain.per_image != other.per_image)[images].sum()), int(images.sum())
    note = f"{words(place)}: {said} changes the outcome of {changed:.0f} of {n} images"
    return counted(changed, n, 0.5, "warn", note, inclusive=False)
