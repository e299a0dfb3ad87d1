"""What the paper claims about robustness, sentence by sentence, with the comparisons that decide it and what its own tables say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lib.report import contrasts, printed
from lib.report.contrasts import HARDEST, Compared
from lib.report.families import families
from lib.report.verdicts import CANNOT_TELL, CONTRADICTED, NOT_TESTED, SUPPORTED, Verdict, every, most
from lib.report.wording import signed

Rule = Callable[[list[Compared]], Verdict]
Selection = Callable[[list[Compared]], list[Compared]]


@dataclass(frozen=True)
class Statement:
    """A claim that those comparisons of these `names` that the `selection` takes decide by the `rule`.

    It is only tested where the run is on the `dataset` that it is about (None: any). at_radii: whether it names radii, so that accuracies
    decide it under the strict attack, too; otherwise mean radii do.
    """

    key: str
    section: str
    sentence: str
    published: str
    names: tuple[str, ...]
    rule: Rule
    dataset: str | None = None
    selection: Selection = list
    at_radii: bool = False


def statements() -> list[Statement]:
    """Every claim of the paper that compares accuracies, in the order of its text."""
    return [*_against_jacobian(), _divergence(), *_controls(), _hardest(), *_smoothgrad(), *_targets(), _defended()]


def over_parts(rule: Callable[[Sequence[Verdict]], Verdict]) -> Rule:
    """A rule on verdicts as one on contrasts."""
    return lambda parts: rule([part.verdict for part in parts])


def falling(parts: list[Compared]) -> Verdict:
    """Robustness falls with the permuted share: from none to all it clearly does, and between no two shares does it clearly rise."""
    whole = every([part.verdict for part in parts if part.pair.name == contrasts.CONTENT])
    steps = [part.verdict for part in parts if part.pair.name == contrasts.STEP]
    return CONTRADICTED if CONTRADICTED in (whole, *steps) else whole


def at_large_radii(parts: list[Compared]) -> list[Compared]:
    """The parts at the two largest L∞ radii among them."""
    placed = [(part, part.column.epsilon) for part in parts if part.column is not None and part.norm == "linf"]
    radii = sorted({epsilon for _, epsilon in placed})[-2:]
    return [part for part, epsilon in placed if epsilon in radii]


def of_robust_teachers(parts: list[Compared]) -> list[Compared]:
    """The parts whose first row was trained towards a robust teacher's targets."""
    return [part for part in parts if families()[part.pair.first] == "robust"]


def widest_under_mismatch(parts: list[Compared]) -> Verdict:
    """Whether the differences in the group 80/255 under L∞ attacks are clearly larger than all others (their intervals do not meet)."""
    named = [part for part in parts if part.group == "80/255" and part.norm == "linf"]
    others = [part.contrast for part in parts if part not in named]
    if not named or not others:
        return NOT_TESTED
    if min(part.contrast.low for part in named) > max(other.high for other in others):
        return SUPPORTED
    beaten = max(other.low for other in others) > min(part.contrast.high for part in named)
    return CONTRADICTED if beaten else CANNOT_TELL


def _against_jacobian() -> list[Statement]:
    sentence = (
        "With SmoothGrad targets of a robust teacher, Interpretation Regularization beats Jacobian Regularization under every attack on"
    )
    smooth = {name: printed.both((printed.SMOOTH, printed.JACOBIAN), datasets=[name]) for name in printed.TABLES}
    simple = {name: printed.above(printed.gaps(name, printed.SIMPLE, printed.JACOBIAN)) for name in printed.TABLES}
    slip = f"The text’s “from 2.34” takes the better of the two in every cell, which gives {printed.better_of_two('cifar10'):.2f}."
    mnist = f"{smooth['mnist']}, as the text says. With simple gradients {simple['mnist']}."
    cifar = f"{smooth['cifar10']}; with simple gradients {simple['cifar10']}. {slip}"
    names, rule = (contrasts.JACOBIAN,), over_parts(every)
    return [
        Statement("jacobian_mnist", "4.5", f"{sentence} MNIST.", mnist, names, rule, "mnist"),
        Statement("jacobian_cifar10", "4.5", f"{sentence} CIFAR-10.", cifar, names, rule, "cifar10"),
    ]


def _divergence() -> Statement:
    found = printed.gaps("cifar10", printed.SMOOTH, printed.SIMPLE)
    named = [gap for gap in found if gap.group == "80/255" and gap.column.norm == "linf"]
    others = max(abs(gap.points) for gap in found if gap not in named)
    numbers = " and ".join(f"{gap.points:.2f}" for gap in named)
    published = f"Table 2: {numbers} (the text’s 6.67 is a slip of arithmetic); the largest other one is {others:.2f}."
    sentence = (
        "On CIFAR-10, targets by SmoothGrad and by simple gradients differ most, by 6.67 and 6.05 points, where the teacher was trained "
        "with a small L2 radius (80/255) and the attack is L∞."
    )
    return Statement(
        "divergence", "4.5", sentence, published, (contrasts.SMOOTH,), widest_under_mismatch, "cifar10", of_robust_teachers, True
    )


def _controls() -> list[Statement]:
    foreign = "Targets of a non-robust teacher make a network less robust than Jacobian Regularization or permuted targets do."
    permuted = "Permuted targets make a network less robust than Jacobian Regularization does."
    others = (printed.FOREIGN, printed.FOREIGN_SIMPLE)
    below = [printed.both(*((name, other) for other in others)) for name in (printed.JACOBIAN, printed.PERMUTED)]
    published = f"JR ahead of both such rows: {below[0]}. Permuted targets ahead: {below[1]}."
    ahead = f"JR ahead: {printed.both((printed.JACOBIAN, printed.PERMUTED))}."
    names = (contrasts.JACOBIAN_FOREIGN, contrasts.PERMUTED_FOREIGN)
    return [
        Statement("foreign", "4.5", foreign, published, names, over_parts(every)),
        Statement("permuted", "4.6", permuted, ahead, (contrasts.JACOBIAN_PERMUTED,), over_parts(every)),
    ]


def _hardest() -> Statement:
    leads = []
    for other in printed.TRAINED:
        for gap in printed.gaps("mnist", printed.SMOOTH, other):
            if (gap.column.norm, gap.column.epsilon) in HARDEST:
                leads.append(f"{signed(gap.points, 2)} over {other} at {gap.column.threat}")
    published = f"Table 1: {', '.join(leads)}; no interval is given."
    sentence = "In the two hardest settings on MNIST, L∞ 0.25 and 0.3, Interpretation Regularization surpasses adversarial training."
    return Statement("hardest", "4.5", sentence, published, (contrasts.ADVERSARIAL,), over_parts(every), "mnist", list, True)


def _smoothgrad() -> list[Statement]:
    robust, foreign = printed.both((printed.SMOOTH, printed.SIMPLE)), printed.both((printed.FOREIGN, printed.FOREIGN_SIMPLE))
    published = f"Robust teacher: {robust}; non-robust teacher: {foreign}."
    largest = {table: printed.largest_linf(printed.gaps(name, printed.SMOOTH, printed.SIMPLE)) for name, table in printed.TABLES.items()}
    words = "; ".join(f"{table}: {printed.above(found)}" for table, found in largest.items())
    general = "In most cases, SmoothGrad targets make a network more robust than simple gradients, whichever the teacher."
    large = "The advantage of SmoothGrad targets over simple gradients shows at the two largest L∞ radii."
    names = (contrasts.SMOOTH,)
    return [
        Statement("smoothgrad", "4.6", general, published, names, over_parts(most)),
        Statement("smoothgrad_large", "4.6", large, f"Robust teacher, {words}.", names, over_parts(every), None, at_large_radii, True),
    ]


def _targets() -> list[Statement]:
    robust = f"Both methods: {printed.both(*printed.TEACHERS)}."
    content = f"{printed.SMOOTH} ahead of {printed.PERMUTED}: {printed.both((printed.SMOOTH, printed.PERMUTED))}."
    teacher = "Targets of a robust teacher make a network more robust than a non-robust teacher’s, consistently."
    pixels = "Permuting the pixels of the targets makes the network clearly less robust."
    trend = "The larger the permuted share of the targets, the less robust the network."
    figure = "Figure 3a shows the fall at L∞ 0.2 for three networks per share; it prints no numbers."
    return [
        Statement("teacher", "4.6", teacher, robust, (contrasts.TEACHER,), over_parts(every)),
        Statement("content", "4.6", pixels, content, (contrasts.CONTENT,), over_parts(every)),
        Statement("falling", "4.4, Fig. 3a", trend, figure, (contrasts.CONTENT, contrasts.STEP), falling),
    ]


def _defended() -> Statement:
    sentence = "Every defended network is more robust than the one from standard training."
    published = f"{printed.TABLES['mnist']}: {printed.above(printed.defended('mnist'))}."
    return Statement("defended", "Tables 1, 2", sentence, published, (contrasts.STANDARD, contrasts.DEFENDED), over_parts(every))
