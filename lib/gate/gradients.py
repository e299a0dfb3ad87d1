"""Are there gradients to attack with? G10 gradient health, G13 local linearity."""

import numpy as np

from lib.evaluation.outcome_file import Radius, Record
from lib.gate.check import Check, Part, hardest, over
from lib.gate.findings import Findings, called
from lib.gate.rules import RULES

FACTOR = 100.0  # by which the distance that a gradient predicts may be off, at the median


def health(found: Findings) -> Check:
    """G10: gradients that are zero, not finite, or not those of the model stop an attack."""
    probes = found.probe("gradients")
    zero = hardest(_zero(norm, record) for norm, record in probes.items())
    size = hardest(_predicted(norm, record) for norm, record in probes.items())
    way = hardest(_on_the_way(norm, radius) for norm, radius in found.radii.items() if "zero" in radius.telemetry)
    parts = [zero, way, size, hardest(_broken(found))]
    return RULES["G10"].check(parts, ["probe gradients"] * (not probes) + ["the search's telemetry"] * (way is None))


def linearity(found: Findings) -> Check:
    """G13: where the gradient turns within the ball, one step from the image says little (Andriushchenko & Flammarion 2020)."""
    parts = [_median_cosine(norm, record) for norm, record in found.probe("gradients").items()]
    return RULES["G13"].check([min(parts, key=lambda part: part.value, default=None)], [] if parts else ["probe gradients"])


def _median_cosine(norm: str, record: Record) -> Part:
    median = float(np.median(record.noticed("cosine")))
    return Part("warn" if median < 0.2 else "pass", median, f"{called(norm)}: median cosine {median:.2f}")


def _zero(norm: str, record: Record) -> Part:
    seen = record.noticed("zero")
    count, n = int(seen.sum()), len(seen)
    return _share(100 * count / max(1, n), f"{called(norm)}: {count} of {n} images have a gradient of exactly zero")


def _on_the_way(norm: str, found: Radius) -> Part:
    seen = found.telemetry["zero"][~np.isnan(found.telemetry["zero"])]
    percent = 100 * float(seen.mean(dtype=float)) if len(seen) else 0.0
    return _share(percent, f"{called(norm)}: {percent:.1f} % of the search's gradients are exactly zero")


def _share(percent: float, note: str) -> Part:
    verdict = over(percent, 10.0, "fail", "").verdict
    return Part(verdict if verdict == "fail" else over(percent, 0.1, "warn", "").verdict, percent, note)


def _predicted(norm: str, record: Record) -> Part:
    """How far the found distances are from those that gradients and logits predict, as a factor (Moosavi-Dezfooli et al. 2016, Eq. 6)."""
    seen = record.noticed("predicted")
    factor = float(np.exp(np.median(np.log(np.maximum(seen.astype(float), np.finfo(float).tiny))))) if len(seen) else 1.0
    note = f"{called(norm)}: images fall at {1 / factor if factor else np.inf:.2g} times the distance that the gradient predicts (median)"
    return Part("pass" if 1 / FACTOR <= factor <= FACTOR else "fail", 0.0, note)


def _broken(found: Findings) -> list[Part]:
    """Gradients that are not finite, anywhere."""
    seen = {f"in the search, {called(norm)}": radius.telemetry.get("nan", np.empty(0)) for norm, radius in found.radii.items()}
    seen |= {f"at the images, {called(norm)}": record.noticed("nan") for norm, record in found.probe("gradients").items()}
    counts = {where: int((values > 0).sum()) for where, values in seen.items()}
    return [Part("fail", 0.0, f"{count} images have gradients that are not finite ({where})") for where, count in counts.items() if count]
