"""The columns of the paper's attack: G9 what holds that attack back, G11 what it leaves beyond the search."""

from lib.evaluation import radii
from lib.evaluation.outcome_file import Record
from lib.gate.check import Check, Part, counted, hardest
from lib.gate.findings import CLEARLY, PAPER, Findings, Place, called, words
from lib.gate.rules import RULES


def column(found: Findings) -> Check:
    """G9: where a network is confident, cross-entropy's gradient underflows, or falls below the floor that the paper's attack divides by.

    Both are faults of that attack, not of the network, and say nothing of the radii.
    """
    records, probes = found.at("paper"), found.probe("gradients")
    if not records:
        return RULES["G9"].check([None], ["the paper's PGD"])
    vanished = hardest(_vanished(norm, record) for norm, record in probes.items())
    steps = [_step(place, record) for place, record in records.items() if len(record.noticed("effective_step"))]
    return RULES["G9"].check([vanished, hardest(steps)], ["probe gradients"] * (not probes))


def _vanished(norm: str, record: Record) -> Part:
    seen = record.noticed("vanished")
    share = 100 * int(seen.sum()) / max(1, len(seen))
    note = f"cross-entropy's gradient is exactly zero at {int(seen.sum())} of {len(seen)} images: this column reads too high"
    return Part("fail" if share > 10 else "info", share, note if share else "")


def _step(place: Place, record: Record) -> Part:
    step, held = float(record.noticed("effective_step").mean()), record.noticed("steps_held_by_floor")
    bound = f", its gradient floor binds in {100 * held.mean():.0f} % of the steps" if len(held) else ""
    late = ": this column reads too high" if step < 0.95 else ""
    return Part("info", 100 * (1 - step), f"at {words(place)} the paper's attack takes {step:.2f} of its nominal step{bound}{late}")


def minus_strict(found: Findings) -> Check:
    """G11: what the paper's attack leaves standing beyond the search; it must not find what the search has missed."""
    records = found.at("paper")
    gaps = [_difference(found, place, record) for place, record in records.items() if place[0] in found.radii]
    beaten = [_beaten(found, norm) for norm in found.radii]
    return RULES["G11"].check([hardest(gaps), hardest(part for part in beaten if part)], [] if gaps else ["the paper's PGD"])


def _difference(found: Findings, place: Place, record: Record) -> Part:
    strict, n = radii.stands(found.radii[place[0]].radius, place[1]), len(found.rows)  # type: ignore[index]
    left = float(record.per_image.sum()), float(strict.sum())
    note = f"{words(place)}: paper {100 * left[0] / n:.1f} %, strict {100 * left[1] / n:.1f} %"
    return Part("info", 100 * (left[0] - left[1]) / n, note)


def _beaten(found: Findings, norm: str) -> Part | None:
    images = int(found.beaten(norm, *PAPER).sum())  # type: ignore[arg-type]
    if not images:
        return None
    note = f"{called(norm)}: the paper's attack finds less than {CLEARLY:g} of the search's radius on {images} of {len(found.rows)} images"
    return counted(images, len(found.rows), 0.0, "fail", note)
