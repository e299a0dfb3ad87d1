"""Which rows belong together: what a row was trained for follows from the section of params.yaml that trains it."""

from typing import Literal, get_args

from lib.base import params

Family = Literal["standard", "adversarial", "jacobian", "permuted", "non_robust", "robust"]
FAMILIES: tuple[Family, ...] = get_args(Family)

NAMES: dict[Family, str] = {
    "standard": "standard training",
    "adversarial": "adversarial training",
    "jacobian": "Jacobian regularization",
    "permuted": "IR, permuted targets of the robust teacher",
    "non_robust": "IR, targets of a non-robust teacher",
    "robust": "IR, targets of a robust teacher",
}


def families() -> dict[str, Family]:
    """The family of every row, in the order of params.yaml's rows."""
    return {row: _family(row) for row in params.value("rows")}


def is_robust(teacher: str) -> bool:
    """Whether this teacher is trained adversarially."""
    return params.value("teachers", teacher, "epsilon") is not None


def teacher_targets() -> dict[str, tuple[str, str]]:
    """Target set -> (teacher, saliency method), those of robust teachers first."""
    teachers = sorted(params.value("saliency", "teachers"), key=lambda name: not is_robust(name))
    return {f"{teacher}_{method}": (teacher, method) for teacher in teachers for method in params.value("saliency", "methods")}


def permuted_targets() -> dict[str, float]:
    """Target set -> fraction of permuted pixels, in ascending order; the unpermuted source with 0 comes first."""
    source = params.value("permute", "source")
    fractions = sorted(params.value("permute", "fractions").items(), key=lambda entry: entry[1])
    return {source: 0.0} | {f"{source}_{name}": float(fraction) for name, fraction in fractions}


def _family(row: str) -> Family:
    if row in params.value("teachers"):
        return "adversarial" if is_robust(row) else "standard"
    if row in params.value("at"):
        return "adversarial"
    if row in params.value("jr"):
        return "jacobian"
    if permuted_targets().get(row, 0.0) > 0:
        return "permuted"
    teacher = teacher_targets().get(row, ("", ""))[0]
    return "robust" if teacher and is_robust(teacher) else "non_robust"
