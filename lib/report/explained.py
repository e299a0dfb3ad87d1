"""What a reader must know before the tables: the data, the attacks, the radius, the reference, and what is counted together."""

from lib.base import params
from lib.columns import Column
from lib.report.families import is_robust, teacher_targets
from lib.report.survival import Survival

DATASETS = {"mnist5k": "5,000 digits of MNIST", "mnist": "MNIST", "cifar10": "CIFAR-10"}
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
    found = [(columns[name].called, said) for name, said in ATTACKS.items() if name in columns]
    return [*found, ("all attacks together", TOGETHER)]


def radius(column: Column) -> str:
    """Why the answer is given at the radius of `column`."""
    paper = (column.norm, column.epsilon) == ("linf", 0.2)
    reason = "the paper’s Figure 3a, its test of permuted maps on MNIST, uses it" if paper else "params.yaml names it"
    return f"The answer is given at {column.threat} because {reason}. At another radius the order of the rows may be another."


def reference() -> str:
    """What every gradient is compared with: `the SmoothGrad maps of the robust teacher R`."""
    name = params.value("gradients", "reference")
    teacher, method = teacher_targets().get(name, ("", ""))
    if not teacher:
        return f"the targets {name}"
    maps = {"simple": "simple gradients", "smoothgrad": "SmoothGrad maps"}.get(method, method)
    return f"the {maps} of the {'robust' if is_robust(teacher) else 'non-robust'} teacher {teacher}"


def counted(found: Survival | None, contrasts: int, studied: dict[str, int]) -> list[str]:
    """Where how many comparisons are corrected for together: `contrasts` under each attack, `studied` variants by study."""
    said = []
    if found:
        pairs = f"all {found.choices} pairs of a row of ours and another"
        said.append(f"Leads under all attacks together: intervals that hold for {pairs} (Bonferroni).")
        said.append(f"Orderings that turn round: intervals that hold for all {found.pairs} pairs of rows (Bonferroni).")
    said.append(f"Claims of the paper: Holm’s correction over the {contrasts} comparisons under the same attack.")
    said += [
        f"Study {name}: Holm’s correction over its {size} comparisons of a variant with its base, measure by measure."
        for name, size in studied.items()
    ]
    said.append("Leads of a larger run in the first table of this page: Holm’s correction over these leads.")
    return [
        *said,
        "Every other interval stands for itself: in Table 1, in the figures, attack by attack, and in the tables of larger runs.",
    ]
