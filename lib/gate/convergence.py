"""Would another search find more? G6 convergence, G14 logit scale and float64."""

import numpy as np

from lib.evaluation import radii
from lib.evaluation.outcome_file import Radius
from lib.gate.check import Check, Part, hardest, over
from lib.gate.findings import Findings, called, searched, shortening
from lib.gate.rules import RULES


def convergence(found: Findings) -> Check:
    """G6: a search that takes more and shorter steps finds nothing much shorter, and the search's own last gradients found little."""
    longer = _again(found, "longer", "a longer search", 2.0)
    late = [_late(norm, radius) for norm, radius in found.radii.items() if "late" in radius.telemetry]
    missing = ["probe longer"] * (not longer) + ["the search's telemetry"] * (not late)
    return RULES["G6"].check([hardest(longer), hardest(late)], missing)


def logit_scale(found: Findings) -> Check:
    """G14: neither the size of the logits nor the digits of float32 hide anything from the search."""
    parts = _again(found, "float64", "in float64, with logits of size 1, a short walk", 3.0)
    return RULES["G14"].check([hardest(parts)], [] if parts else ["probe float64"])


def _again(found: Findings, name: str, said: str, allowed: float) -> list[Part]:
    """By how much another search shortens the mean radius; more than `allowed` percent warns, more than 3 fail."""
    parts = []
    for norm, record in found.probe(name).items():
        before, after = record.telemetry["before"], record.telemetry["after"]
        percent, n = shortening(before, after), int((~np.isnan(after)).sum())
        note = f"{called(norm)}: {said} shortens the mean radius of {n} images by {percent:.2f} %"
        parts.append(over(percent, 3.0, "fail", note) if percent > 3.0 else over(percent, allowed, "warn", note))
    return parts


def _late(norm: str, found: Radius) -> Part:
    """By how much the last tenth of the gradients shortened the mean radius; an image that it did not reach counts with 0."""
    late = np.nan_to_num(found.telemetry["late"].astype(float))
    after = radii.capped(searched(found), found.telemetry["reach"])
    before = radii.capped(after / np.maximum(1 - late, np.finfo(float).tiny), found.telemetry["reach"])
    percent = shortening(before, after)
    return over(percent, 2.0, "warn", f"{called(norm)}: the last tenth of the search shortened the mean radius by {percent:.2f} %")
