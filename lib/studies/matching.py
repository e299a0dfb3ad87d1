"""Matched validation loss: the strength at which a method costs as much validation loss as a reference does.

Sec. 4.1 of the paper says that its networks have "roughly the same validation loss", without a procedure. This is one: the strength
multiplies the method's own parameters, and is found by bisection on its logarithm until the loss lies within a tolerance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log

from lib.base.errors import require


@dataclass(frozen=True)
class Search:
    """Section `search`: strengths between `low` and `high`, at most `trials` trainings, `tolerance` relative to the reference's loss."""

    low: float
    high: float
    trials: int
    tolerance: float

    def __post_init__(self) -> None:
        require(0 < self.low < 1 < self.high, f"low and high must lie on both sides of 1, got {self.low} and {self.high}")
        require(self.trials > 1, f"trials must be 2 or more, got {self.trials}")
        require(self.tolerance > 0, f"tolerance must be positive, got {self.tolerance}")


@dataclass(frozen=True)
class Match:
    """The strength whose loss came closest, that loss, how many trainings it took, and whether it lies within the tolerance."""

    strength: float
    loss: float
    trials: int
    matched: bool


def match(loss: Callable[[float], float], wanted: float, search: Search) -> Match:
    """Look for a strength whose `loss` is `wanted`, given that the loss grows with the strength.

    The first strength tried is 1, the parameters as they are; each later one halves the interval between a strength that was too
    weak (at first `low`) and one that was too strong (at first `high`). A loss that is not finite is too strong.

    >>> found = match(lambda strength: 2 * strength, 3.0, Search(0.1, 10, 20, 0.01))
    >>> round(found.strength, 1), found.matched
    (1.5, True)
    """
    require(wanted > 0, f"the wanted loss must be positive, got {wanted}")
    weak, strong, strength = log(search.low), log(search.high), 0.0
    best: Match | None = None
    for trial in range(1, search.trials + 1):
        found = loss(exp(strength))
        near = abs(found - wanted) <= search.tolerance * wanted
        if best is None or abs(found - wanted) < abs(best.loss - wanted):
            best = Match(exp(strength), found, trial, near)
        if near:
            break
        weak, strong = (strength, strong) if found < wanted else (weak, strength)
        strength = (weak + strong) / 2
    assert best is not None
    return Match(best.strength, best.loss, trial, best.matched)
