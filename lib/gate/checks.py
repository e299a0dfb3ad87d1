"""The gate: checks of whether robust radii can be believed, answered from the outcomes of the attacks alone.

What each asks, where its rule comes from and what to do when it is red: docs/how-to/read-the-gate.md.
"""

from collections.abc import Sequence

from lib.evaluation.outcome_file import Outcomes
from lib.gate import convergence, gradients, paper, soundness, strength
from lib.gate.check import Check
from lib.gate.findings import Findings


def checks(outcomes: Sequence[Outcomes], reference: Sequence[Outcomes] | None = None) -> list[Check]:
    """Every check of `lib.gate.rules`, in order, of one model and seed.

    Args:
        outcomes: what was found on it: the evaluation first, then transfer and attacks of your own. What is lacking makes a check "not
            measured".
        reference: those of the undefended network of the same seed, for G15.

    Raises:
        InputError: the outcomes are not of one model on one set of images.
    """
    found = Findings.of(outcomes)
    undefended = Findings.of(reference) if reference else None
    return [
        soundness.returned(found),
        soundness.determinism(found),
        soundness.logits(found),
        strength.referee(found),
        strength.curve(found),
        convergence.convergence(found),
        strength.black_box(found),
        paper.column(found),
        gradients.health(found),
        paper.minus_strict(found),
        gradients.linearity(found),
        convergence.logit_scale(found),
        soundness.reference(undefended),
        soundness.interval(found),
    ]
