"""Which rows belong together: what a row was trained for follows from the section of params.yaml that trains it.

`document` is the params.yaml of a published run; without it, the one in the current folder.
"""

from functools import reduce
from operator import getitem
from typing import Any, Literal, get_args

from lib.base import params

Family = Literal["standard", "adversarial", "jacobian", "other", "permuted", "non_robust", "robust"]
FAMILIES: tuple[Family, ...] = get_args(Family)

NAMES: dict[Family, str] = {
    "standard": "standard training",
    "adversarial": "adversarial training",
    "jacobian": "Jacobian regularization",
    "other": "an objective that the paper does not have",
    "permuted": "IR, permuted targets of the robust teacher",
    "non_robust": "IR, targets of a non-robust teacher",
    "robust": "IR, targets of a robust teacher",
}


def families(document: dict | None = None) -> dict[str, Family]:
    """The family of every row, in the order of params.yaml's rows."""
    return {row: _family(row, document) for row in _value(document, "rows")}


def trained_by(section: str, document: dict | None = None) -> list[str]:
    """The rows that a section of params.yaml trains."""
    return list(_value(document, section))


def is_robust(teacher: str, document: dict | None = None) -> bool:
    """Whether this teacher is trained adversarially."""
    return _value(document, "teachers", teacher, "epsilon") is not None


def teacher_targets(document: dict | None = None) -> dict[str, tuple[str, str]]:
    """Target set -> (teacher, saliency method), those of robust teachers first."""
    teachers = sorted(_value(document, "saliency", "teachers"), key=lambda name: not is_robust(name, document))
    methods = _value(document, "saliency", "methods")
    return {f"{teacher}_{method}": (teacher, method) for teacher in teachers for method in methods}


def permuted_targets(document: dict | None = None) -> dict[str, float]:
    """Target set -> fraction of permuted pixels, in ascending order; the unpermuted source with 0 comes first."""
    source = _value(document, "permute", "source")
    fractions = sorted(_value(document, "permute", "fractions").items(), key=lambda entry: entry[1])
    return {source: 0.0} | {f"{source}_{name}": float(fraction) for name, fraction in fractions}


def _family(row: str, document: dict | None) -> Family:
    if row in _value(document, "teachers"):
        return "adversarial" if is_robust(row, document) else "standard"
    if row in _value(document, "at"):
        return "adversarial"
    if row in _value(document, "jr"):
        return "jacobian"
    if row not in _value(document, "ir"):
        return "other"
    if permuted_targets(document).get(row, 0.0) > 0:
        return "permuted"
    teacher = teacher_targets(document).get(row, ("", ""))[0]
    return "robust" if teacher and is_robust(teacher, document) else "non_robust"


def _value(document: dict | None, *keys: str) -> Any:
    return params.value(*keys) if document is None else reduce(getitem, keys, document)
