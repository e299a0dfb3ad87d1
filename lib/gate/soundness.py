"""Is the question well posed? G1 returned images, G2 determinism, G3 logits, G15 undefended reference, G16 interval."""

import numpy as np

from lib.evaluation import radii
from lib.evaluation.outcome_file import Radius
from lib.gate.check import Check, Part, counted, hardest, over
from lib.gate.findings import Findings, Place, called, words
from lib.gate.rules import RULES
from lib.statistics.intervals import t_half_width

# Dataset -> place -> percent that may stand of an undefended network, and whether exactly that is allowed.
_MNIST: dict[Place, tuple[float, bool]] = {("linf", 0.3): (2.0, False), ("l2", 3.5): (1.0, True)}
ANCHORS = {"mnist": _MNIST, "mnist5k": _MNIST, "cifar10": {("l2", 320 / 255): (0.5, True)}}


def returned(found: Findings) -> Check:
    """G1: what an attack returned must be adversarial, in the box, and at the distance that it is counted with."""
    probes = found.probe("returned")
    parts = [_again(norm, record.noticed("outside"), record.noticed("lead")) for norm, record in probes.items()]
    for record in found.records:
        seen = record.noticed("violation")
        if len(seen):
            place = words((record.norm, record.epsilon))
            parts.append(over(float(seen.max()), 1e-5, "fail", f"largest excess under {record.semantics} {record.attack} at {place}"))
    return RULES["G1"].check([hardest(parts)], [] if probes else ["probe returned"])


def _again(norm: str, outside: np.ndarray, lead: np.ndarray) -> Part:
    right, excess = int((lead > 1e-4).sum()), float(outside.max(initial=0))
    if right:
        return Part("fail", excess, f"{called(norm)}: {right} of {len(lead)} images that had fooled the model do not do so again")
    return over(excess, 1e-5, "fail", f"{called(norm)}: {len(lead)} images looked at")


def determinism(found: Findings) -> Check:
    """G2: a model that answers differently each time makes every attack look weak; one that looks at the whole batch, or jumps at the
    slightest change, has no answer to an image. The first hides the others."""
    spread, alone, near = (_forward(found, name) for name in ("spread", "alone", "near"))
    if not len(spread):
        return RULES["G2"].check([None], ["probe forward"])
    differ, depend, jump = int((spread >= 1e-4).sum()), int((alone >= 1e-4).sum()), int((near >= 1e-2).sum())
    if differ:
        return RULES["G2"].check([Part("fail", float(spread.max()), f"{differ} of {len(spread)} images differ")])
    if depend:
        among = f"{depend} of {len(alone)} images are answered otherwise alone than among others: outcomes depend on the batch size"
        return RULES["G2"].check([Part("fail", float(alone.max()), among)])
    if jump:
        moved = f"{jump} of {len(near)} images are answered otherwise when every pixel moves by 1e-6"
        return RULES["G2"].check([Part("fail", float(near.max()), moved)])
    return RULES["G2"].check([Part("pass", float(spread.max()), f"0 of {len(spread)} images differ")])


def logits(found: Findings) -> Check:
    """G3: probabilities saturate, and APGD-T's loss divides by a difference that needs four classes."""
    seen, classes = _forward(found, "probabilities"), _forward(found, "classes")
    if not len(seen) or not len(classes):
        return RULES["G3"].check([None], ["probe forward"])
    share, count = 100 * float(seen.mean()), int(classes.max())
    given = "outputs are non-negative and sum to 1" if share else "outputs are no probabilities"
    enough = Part("pass" if count > 3 else "warn", count, f"{count} classes")
    return RULES["G3"].check([Part("fail" if share else "pass", share, given), enough])


def reference(undefended: Findings | None) -> Check:
    """G15: an attack that cannot break an undefended network says nothing about a defended one."""
    if undefended is None:
        return RULES["G15"].check([None], ["an undefended network of the same seed"])
    anchors = ANCHORS.get(undefended.dataset, {})
    lengths: dict[str, np.ndarray] = {norm: found.radius for norm, found in undefended.radii.items()}
    parts = [_anchored(lengths[place[0]], place, *limit) for place, limit in anchors.items() if place[0] in lengths]
    missing = [f"a radius in {called(norm)}" for norm, _ in anchors if norm not in lengths]
    return RULES["G15"].check([hardest(parts)], missing if anchors else [f"a rule for the dataset {undefended.dataset!r}"])


def _anchored(radius: np.ndarray, place: Place, limit: float, inclusive: bool) -> Part:
    left, n = int(radii.stands(radius, place[1]).sum()), len(radius)
    return counted(left, n, limit, "fail", f"{100 * left / n:.1f} % left at {words(place)}", inclusive)


def interval(found: Findings) -> Check:
    """G16: how far the mean radius may be from the one that more images would show."""
    parts = [_interval(norm, radius) for norm, radius in found.radii.items() if len(radius.radius) > 1 and radius.capped.any()]
    return RULES["G16"].check([hardest(parts)], [] if parts else ["a radius of two images"])


def _interval(norm: str, found: Radius) -> Part:
    mean, half = float(found.capped.mean()), t_half_width(found.capped.tolist())
    return Part("info", 100 * half / mean, f"{called(norm)}: mean radius {mean:.4g} ± {half:.2g} of {len(found.radius)} images")


def _forward(found: Findings, name: str) -> np.ndarray:
    seen = [record.noticed(name) for record in found.probe("forward").values()]
    return np.concatenate(seen) if seen else np.empty(0)
