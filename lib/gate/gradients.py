"""Are there gradients to attack with? G10 gradient health, G13 local linearity."""

import numpy as np

from lib.evaluation.outcome_file import Record
from lib.gate.check import Check, Part, hardest, over
from lib.gate.findings import Findings, Place, words
from lib.gate.rules import RULES


def health(found: Findings) -> Check:
    """G10: gradients that are zero or NaN stop an attack; a floor under their norm stops the paper's.

    A zero gradient of the margin, on the walk of the probe `single`, fails like one at the image. In the strict attack, whose losses
    take turns, it only warns: one loss may have underflowed while another still works.
    """
    images = [(place, record) for place, record in found.probe("gradients").items() if len(record.noticed("zero"))]
    zero = hardest(_zero(*one) for one in images)
    walks = [_on_the_way(place, record, 10.0) for place, record in found.probe("single").items()]
    walks += [_on_the_way(place, record, np.inf) for place, record in found.at("strict", "pgd*").items()]
    size = _size(*images[0]) if images else None
    parts = [zero, hardest(_broken(found)), hardest(part for part in walks if part), _paper(found, zero), size]
    return RULES["G10"].check(parts, ["probe gradients"] * (not images))


def linearity(found: Findings) -> Check:
    """G13: where the gradient turns within the ball, one step from the image says little (Andriushchenko & Flammarion 2020)."""
    parts = []
    for place, record in found.probe("gradients").items():
        cosine, error = record.noticed("cosine"), record.noticed("taylor_error")
        if len(cosine):
            median = float(np.median(cosine))
            note = f"{words(place)}: median cosine {median:.2f}{_first_order(error)}"
            parts.append(Part("warn" if median < 0.2 else "pass", median, note))
    smallest = min(parts, key=lambda part: part.value, default=None)
    return RULES["G13"].check([smallest], [] if parts else ["probe gradients"])


def _first_order(error: np.ndarray) -> str:
    if not len(error):
        return ""
    median = 100 * float(np.median(error.astype(float)))
    return f", median error of the first-order prediction {'over 1000' if median > 1000 else f'{median:.0f}'} %"


def _zero(place: Place, record: Record) -> Part:
    seen = record.noticed("zero")
    return _share(100 * int(seen.sum()) / len(seen), 10.0, f"{int(seen.sum())} of {len(seen)} images have a gradient of exactly zero")


def _share(percent: float, failing: float, note: str) -> Part:
    verdict = over(percent, failing, "fail", "").verdict
    return Part(verdict if verdict == "fail" else over(percent, 0.1, "warn", "").verdict, percent, note)


def _broken(found: Findings) -> list[Part]:
    """Gradients that are not finite, anywhere."""
    parts = []
    for record in found.records:
        seen = record.noticed("nan" if record.attack == "gradients" else "nan_gradients")
        if len(seen) and seen.max() > 0:
            place = words((record.norm, record.epsilon))
            note = f"{int((seen > 0).sum())} images have gradients that are not finite under {record.semantics} {record.attack} at {place}"
            parts.append(Part("fail", 100 * float(seen.mean()), note))
    return parts


def _on_the_way(place: Place, record: Record, failing: float) -> Part | None:
    seen = record.noticed("zero_gradients")
    if not len(seen):
        return None
    percent = 100 * float(seen.sum(dtype=float)) / len(seen)
    note = f"{percent:.1f} % of the gradients under {record.semantics} {record.attack} at {words(place)} are exactly zero"
    return _share(percent, failing, note)


def _paper(found: Findings, zero: Part | None) -> Part | None:
    """The paper's L2 attack takes the shorter a step, the smaller the gradient is below its floor.

    That is the attack's fault, unless the gradients at the images are zero in the first place.
    """
    blame = "" if zero and zero.verdict == "fail" else " (the attack, not the model, is at fault)"
    records = {place: record for place, record in found.at("paper", "pgd*").items() if len(record.noticed("effective_step"))}
    return hardest(_step(place, record, blame) for place, record in records.items())


def _step(place: Place, record: Record, blame: str) -> Part:
    step, held = float(record.noticed("effective_step").mean()), record.noticed("steps_held_by_floor")
    bound = f", its gradient floor binds in {100 * held.mean():.0f} % of the steps" if len(held) else ""
    takes = f"at {words(place)} its attack takes {step:.2f} of its nominal step{bound}"
    if step < 0.95:
        return Part("fail", 1 - step, f"the paper's column fails{blame}: {takes}")
    return Part("pass", 1 - step, f"the paper's column: {takes}")


def _size(place: Place, record: Record) -> Part | None:
    seen = record.noticed("cross_entropy_norm")
    if not len(seen):
        return None
    median, low = np.median(seen), np.percentile(seen, 5)
    return Part("info", 0.0, f"norm of the cross-entropy's gradient: median {median:.1e}, 5th percentile {low:.1e}")
