"""The gate: sixteen checks of whether a robust accuracy can be believed, answered from the records of the attacks alone.

What each asks, where its rule comes from and what to do when it is red: docs/how-to/read-the-gate.md.
"""

from collections.abc import Sequence

from lib.evaluation.outcome_file import Outcomes
from lib.gate import convergence, gradients, soundness, strength
from lib.gate.check import Check
from lib.gate.findings import Findings


def checks(outcomes: Sequence[Outcomes], reference: Sequence[Outcomes] | None = None) -> list[Check]:
    """G1 to G16, in order, of one model and seed.

    Args:
        outcomes: all suites that were run on it, in any order; what they lack makes a check "not measured".
        reference: those of the undefended network of the same seed, for G15.

    Raises:
        InputError: the outcomes are not of one model on one set of images.
    """
    found = Findings.of(outcomes)
    undefended = Findings.of(reference) if reference else None
    return [
        soundness.constraints(found),
        soundness.determinism(found),
        soundness.logits(found),
        strength.order(found),
        strength.curve(found),
        convergence.convergence(found),
        convergence.restarts(found),
        strength.black_box(found),
        convergence.losses(found),
        gradients.health(found),
        strength.paper_minus_strict(found),
        convergence.silent_success(found),
        gradients.linearity(found),
        convergence.logit_scale(found),
        soundness.reference(undefended),
        soundness.interval(found),
    ]
