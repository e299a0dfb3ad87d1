"""Is the question well posed? G1 constraints, G2 determinism, G3 logits, G15 undefended reference, G16 interval."""

import numpy as np

from lib.gate.check import Check, Part, counted, hardest, over
from lib.gate.findings import Findings, Place, standing, words
from lib.gate.rules import RULES
from lib.statistics import wilson

# Dataset -> place -> percent that a correct attack may leave of an undefended network, and whether exactly that is allowed.
_MNIST: dict[Place, tuple[float, bool]] = {("linf", 0.3): (2.0, False), ("l2", 3.5): (1.0, True)}
ANCHORS = {"mnist": _MNIST, "mnist5k": _MNIST, "cifar10": {("l2", 320 / 255): (0.5, True)}}
_SAME_RADIUS = 1e-6


def constraints(found: Findings) -> Check:
    """G1: what an attack returned must lie in the ball and in the box."""
    parts, count = [], 0
    for record in found.records:
        seen = record.noticed("violation")
        if len(seen):
            count += 1
            place = words((record.norm, record.epsilon))
            parts.append(over(float(seen.max()), 1e-5, "fail", f"largest under {record.semantics} {record.attack} at {place}"))
    summary = Part("pass", 0.0, f"{count} attacks looked at") if count else None
    return RULES["G1"].check([hardest(parts), summary], [] if count else ["violations of any attack"])


def determinism(found: Findings) -> Check:
    """G2: a model that answers differently each time makes every attack look weak; one that looks at the whole batch has no answer to an
    image. Of the second nothing is said where there is none, or where the first hides it."""
    seen, alone = _forward(found, "spread"), _forward(found, "alone")
    if not len(seen):
        return RULES["G2"].check([None], ["probe forward"])
    differ, depend = (int((values >= 1e-4).sum()) for values in (seen, alone))
    among = f"{depend} of {len(alone)} images are answered otherwise alone than among others: outcomes depend on the batch size"
    if depend and not differ:
        return RULES["G2"].check([Part("fail", float(alone.max()), among)])
    return RULES["G2"].check([Part("fail" if differ else "pass", float(seen.max()), f"{differ} of {len(seen)} images differ")])


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
    """G15: an attack that cannot break an undefended network says nothing about a defended one.

    Where the strict attack was not run at the radius of the rule, the largest smaller one is taken: if that leaves little enough, so
    would the rule's own, because the outcomes are nested; if it does not, nothing is known.
    """
    if undefended is None:
        return RULES["G15"].check([None], ["an undefended network of the same seed"])
    anchors = ANCHORS.get(undefended.dataset, {})
    parts = [_anchored(undefended, place, *limit) for place, limit in anchors.items()]
    known = [part for part in parts if part]
    missing = [f"strict PGD at {words(place)}" for place, part in zip(anchors, parts) if part is None]
    return RULES["G15"].check([hardest(known)], missing if anchors else [f"a rule for the dataset {undefended.dataset!r}"])


def interval(found: Findings) -> Check:
    """G16: how far the strict accuracy may be from the one that more images would show; at the probed radii, else at all."""
    records = found.at("strict", "pgd*")
    places = [place for place in found.probed if place in records] or list(records)
    parts = []
    for place in places:
        images, n = standing(records[place], found.asked(records[place])), int(found.asked(records[place]).sum())
        low, high = (100 * end for end in wilson(images / n, n))
        note = f"{words(place)}: {100 * images / n:.1f} % [{low:.1f}, {high:.1f}] of {n} images"
        parts.append(Part("warn" if (high - low) / 2 > 5 else "info", (high - low) / 2, note))
    return RULES["G16"].check([hardest(parts)], [] if parts else ["strict PGD"])


def _forward(found: Findings, name: str) -> np.ndarray:
    seen = [record.noticed(name) for record in found.probe("forward").values()]
    return np.concatenate(seen) if seen else np.empty(0)


def _anchored(undefended: Findings, place: Place, limit: float, inclusive: bool) -> Part | None:
    norm, radius = place
    records = undefended.at("strict", "pgd*")
    reached = [there for there in records if there[0] == norm and there[1] <= radius + _SAME_RADIUS]
    if not reached:
        return None
    largest = max(reached, key=lambda there: there[1])
    images = undefended.asked(records[largest])
    left = standing(records[largest], images)
    note = f"{100 * left / images.sum():.1f} % left at {words(largest)}"
    part = counted(left, int(images.sum()), limit, "fail", note, inclusive)
    return part if part.verdict == "pass" or largest[1] >= radius - _SAME_RADIUS else None
