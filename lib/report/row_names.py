"""What the names of the rows are made of, in a few lines; only what the rows at hand use."""

from lib.base import params
from lib.report.families import families, is_robust, permuted_targets, teacher_targets
from lib.report.results import Evidence, labels

METHODS = {"simple": ("simp", "the simple gradient"), "smoothgrad": ("SmG", "SmoothGrad, a mean over noisy copies of the image (Eq. 10)")}


def key(evidence: Evidence) -> list[tuple[str, str]]:
    """(name, words) pairs."""
    kinds = families()
    present = {kinds[row] for row in evidence.rows}
    found = [("IR(…)", "Interpretation Regularization: trained to resemble the maps that the brackets name (Eq. 9)")]
    found.append(_teachers(evidence))
    methods = dict.fromkeys(method for row, (_, method) in teacher_targets().items() if row in evidence.rows)
    found += [(", ".join(METHODS[name][0] for name in methods if name in METHODS), _methods(list(methods)))] if methods else []
    if "permuted" in present:
        shares = [100 * share for row, share in permuted_targets().items() if 0 < share < 1 and row in evidence.rows]
        names, parts = (", ".join(form.format(share) for share in shares) for form in ("perm{:g}", "{:g} %"))
        part = f"; {names}: with {parts} of them" if shares else ""
        found.append(("perm", f"the maps with all of their pixels in random places: the same values, no picture{part}"))
    rest = {"jacobian": ("JR", "Jacobian Regularization: gradients kept small, no maps (Eq. 13)")}
    rest["adversarial"] = ("AT(…)", "adversarial training: trained on attacked images, at the radius in the brackets")
    return [*found, *(words for kind, words in rest.items() if kind in present)]


def brief(evidence: Evidence) -> str:
    """The same in one sentence, for a reader who has not come to the key."""
    present = {families()[row] for row in evidence.rows}
    words = {
        "robust": "IR(R,…) is trained on the saliency maps of a robust teacher (simp: simple gradients, SmG: SmoothGrad)",
        "non_robust": "IR(NR,…) on those of a non-robust one",
        "permuted": "perm on maps with their pixels permuted",
        "jacobian": "JR on small gradients alone",
        "adversarial": "AT on attacked images",
    }
    sentence = "; ".join(text for kind, text in words.items() if kind in present)
    return f"{sentence[:1].upper()}{sentence[1:]}. More: what the names mean, below."


def _teachers(evidence: Evidence) -> tuple[str, str]:
    names = labels(evidence.rows)
    parts = []
    teachers = sorted(params.value("saliency", "teachers"), key=lambda name: not is_robust(name))
    for teacher in teachers:
        kind = "a robust network, trained adversarially" if is_robust(teacher) else "one of standard training, not robust"
        parts.append(f"{teacher}: {kind}{f' (itself the row {names[teacher]})' if teacher in names else ''}")
    return ", ".join(teachers), f"whose maps: {'; '.join(parts)}"


def _methods(methods: list[str]) -> str:
    return f"which maps: {'; '.join(': '.join(METHODS[name]) for name in methods if name in METHODS)}"
