"""What a reader must know before the tables: the data, the attacks, the radius, the reference, and what is counted together."""

from lib.base import params
from lib.report.families import is_robust, teacher_targets
from lib.statistics.columns import Column

DATASETS = {"mnist5k": "5,000 digits of MNIST", "mnist": "MNIST", "cifar10": "CIFAR-10"}
STANDARD = {"iterations": 100, "targets": 9, "queries": 5000}  # AutoAttack's own
ATTACKS = {
    "paper": "the attack that the authors ran: gradient steps on the cross-entropy; the last step counts, and a mean over runs",
    "strict": "a search for the shortest perturbation that fools the network, image by image; an image falls if it is no longer than that",
}
TOGETHER = "an image counts only if none of these fools it, nor AutoAttack, nor an image made on another network"


def dataset(name: str) -> str:
    """A dataset as people call it."""
    return DATASETS.get(name, name)


def attacks(columns: dict[str, Column]) -> list[tuple[str, str]]:
    """Each attack in a line."""
    return [*((columns[name].called, words) for name, words in ATTACKS.items() if name in columns), ("all attacks together", TOGETHER)]


def shortened() -> str:
    """What AutoAttack was cut down to: `30 iterations, 3 targets, 200 queries`; nothing where it was not run, or in full."""
    settings = params.value("attacks", "referee")
    if settings is None or all(settings[name] == value for name, value in STANDARD.items()):
        return ""
    return f"{settings['iterations']} iterations, {settings['targets']} targets, {settings['queries']} queries"


def radius(column: Column) -> str:
    """Why the answer is given at the radius of `column`."""
    paper = (column.norm, column.epsilon) == ("linf", 0.2)
    reason = "the paper’s Figure 3a, its test of permuted maps on MNIST, uses it" if paper else "params.yaml names it"
    return f"Single radii are shown at {column.threat} because {reason}. At another radius the order of the rows may be another."


def reference() -> str:
    """What every gradient is compared with: `the SmoothGrad maps of the robust teacher R`."""
    name = params.value("gradients", "reference")
    teacher, method = teacher_targets().get(name, ("", ""))
    if not teacher:
        return f"the targets {name}"
    maps = {"simple": "simple gradients", "smoothgrad": "SmoothGrad maps"}.get(method, method)
    return f"the {maps} of the {'robust' if is_robust(teacher) else 'non-robust'} teacher {teacher}"
