"""Does anything find more than the search? G4 referee, G5 end of the curve, G8 black-box not better."""

from dataclasses import replace

import numpy as np

from lib.evaluation import radii
from lib.evaluation.outcome_file import Radius, Record
from lib.evaluation.threats import Norm
from lib.gate.check import Check, Part, counted, hardest, over
from lib.gate.findings import BLACK_BOX, CLEARLY, PAPER, Findings, Place, called, named, searched, shortening, words
from lib.gate.rules import RULES

LISTED = 10  # rows named in a note
GREY = 0.5  # L∞ radius from which on the grey image is in every ball


def referee(found: Findings) -> Check:
    """G4: what a stronger attack breaks of what the search left, the search had missed."""
    records = found.at("autoattack")
    parts = [_missed(place, record) for place, record in records.items()]
    own = [_own(norm, radius) for norm, radius in found.radii.items()]
    return RULES["G4"].check([hardest(parts), hardest(own)], [] if records else ["AutoAttack"])


def _missed(place: Place, record: Record) -> Part:
    asked = np.ones(record.correct.shape[1], bool) if record.asked is None else record.asked
    n, broken = int(asked.sum()), int((asked & ~record.correct.all(0)).sum())
    if not n:
        return Part("pass", 0.0, f"{words(place)}: the search left none standing")
    part = counted(broken, n, 1.0, "fail", f"{words(place)}: {record.attack} AutoAttack breaks {broken} of {n} images that the search left")
    return replace(part, verdict="pass") if part.verdict == "warn" else part  # of so few images one is no sign of more than 1 %


def _own(norm: Norm, found: Radius) -> Part:
    """By how much white-box attacks other than the search shorten the mean radius, with AutoAttack among them."""
    white = ~named(found, (*BLACK_BOX, *PAPER))
    before = radii.capped(searched(found), found.telemetry["reach"])
    percent = shortening(before, np.where(white, found.radius, before))
    return over(percent, 3.0, "fail", f"{called(norm)}: other white-box attacks shorten the mean radius by {percent:.2f} %")


def curve(found: Findings) -> Check:
    """G5: what the search leaves falls with the radius, down to nothing in the box."""
    parts = [_end(found, norm, searched(radius)) for norm, radius in found.radii.items()]
    return RULES["G5"].check([hardest(parts)], [] if parts else ["the search"])


def _end(found: Findings, norm: Norm, radius: np.ndarray) -> Part:
    n = len(radius)
    never, grey = int(np.isinf(radius).sum()), int(radii.stands(radius, GREY).sum())
    if never:
        return Part("fail", 100 * never / n, f"{called(norm)}: the search fools the model on {never} of {n} images nowhere in the box")
    largest = int(np.unique(found.labels, return_counts=True)[1].max())
    if norm == "linf" and grey > largest:
        reachable = f"where the grey image is in every ball and at most {100 * largest / n:.1f} % can be classified correctly"
        return Part("fail", 100 * grey / n, f"{100 * grey / n:.1f} % left at L∞ {GREY:g}, {reachable}")
    return Part("pass", 0.0, f"{called(norm)}: largest radius {radius.max():.3g}")


def black_box(found: Findings) -> Check:
    """G8: an attack that sees no gradient must not find what the search has missed."""
    parts, probes = [], found.probe("black_box")
    for norm in found.radii:
        shorter = {"transfer": found.beaten(norm, "from "), "Square": found.beaten(norm, "autoattack square")}
        if norm in probes:
            shorter |= {name: _shorter(probes[norm], key) for name, key in (("noise", "noise"), ("a straight line", "line"))}
        parts.append(_alone(found, norm, shorter))
    missing = [] if probes else ["probe black_box"]
    return RULES["G8"].check([hardest(parts)], missing)


def _shorter(record: Record, name: str) -> np.ndarray:
    """The images (n,) bool on which this probe found something clearly shorter than what was known; not those that were not asked."""
    return np.asarray(record.telemetry[name] < CLEARLY * record.telemetry["before"])


def _alone(found: Findings, norm: Norm, shorter: dict[str, np.ndarray]) -> Part:
    """The images on which black-box attacks find less, with their rows, as a share of those that the model classifies correctly."""
    images, n = np.flatnonzero(np.logical_or.reduce(list(shorter.values()))), max(1, int(found.clean.sum()))
    if not len(images):
        return Part("pass", 0.0, f"{called(norm)}: {', '.join(shorter)} find nothing shorter")
    rows = ", ".join(str(row) for row in found.rows[images[:LISTED]]) + f" and {len(images) - LISTED} more" * (len(images) > LISTED)
    kinds = ", ".join(kind for kind, mask in shorter.items() if mask.any())
    note = f"{called(norm)}: {kinds} finds less than the search at row{'s' * (len(images) > 1)} {rows}"
    return counted(len(images), n, 0.0, "fail", note)
