"""Whether a training had come to its end: one rule for every objective, from the loss on train images that it minimised itself.

A network that is compared before that stands for the number of its epochs, not for its method. Why this rule, what it was held against
and what it misses: docs/decisions/trained-out.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.base.errors import require

FELL = 0.1  # of its first value at least; a training that never left its plateau loses a hundredth
LATE = 0.25  # of the whole descent at most in the second half of the epochs


@dataclass(frozen=True)
class Course:
    """How a training loss came down.

    fell: by which share of its value before the first step, in absolute terms; not positive where it rose.
    late: which share of that descent came in the second half of the epochs; of an odd number the middle one belongs to it.
    """

    fell: float
    late: float

    @property
    def trained_out(self) -> bool:
        """The loss has left where it started, and most of the way was done by half-time."""
        return self.fell >= FELL and self.late <= LATE


def course(start: float, losses: Sequence[float]) -> Course:
    """The course of a training whose loss was `start` before the first step, and then `losses` on average over each epoch.

    A factor on the loss changes nothing, nor does a constant `late`.

    >>> course(4.0, [4.0, 2.0, 1.5, 1.0])
    Course(fell=0.75, late=0.3333333333333333)
    >>> course(2.3, [1.0, 0.4, 0.3, 0.3]).trained_out
    True

    Raises:
        InputError: there are no epochs.
    """
    require(len(losses) > 0, "expected the losses of at least one epoch, got none")
    half = losses[len(losses) // 2 - 1] if len(losses) > 1 else start
    descent = start - losses[-1]
    return Course(descent / abs(start) if start else 0.0, (half - losses[-1]) / descent if descent > 0 else float("inf"))
