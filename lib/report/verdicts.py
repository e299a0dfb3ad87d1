"""The verdicts on a claim, and how those on its parts make one."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from lib.statistics import CONFIDENCE, t_half_width

Verdict = Literal["supported", "contradicted", "cannot tell", "not tested here"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
SUPPORTED, CONTRADICTED, CANNOT_TELL, NOT_TESTED = VERDICTS


def every(parts: Sequence[Verdict]) -> Verdict:
    """A claim that all parts must bear out: supported if every one is, contradicted if any one is.

    >>> every(["supported", "cannot tell"]), every(["supported", "contradicted"])
    ('cannot tell', 'contradicted')
    """
    return at_least(len(parts), parts)


def most(parts: Sequence[Verdict]) -> Verdict:
    """A claim about most cases: supported, or contradicted, if more than half of the parts are.

    >>> most(["supported", "supported", "contradicted"])
    'supported'
    """
    return at_least(len(parts) // 2 + 1, parts)


def almost_every(parts: Sequence[Verdict]) -> Verdict:
    """A claim about almost all cases: at most one exception.

    >>> almost_every(["supported", "supported", "contradicted"])
    'supported'
    """
    return at_least(max(1, len(parts) - 1), parts)


def at_least(needed: int, parts: Sequence[Verdict]) -> Verdict:
    """Supported if `needed` parts are; contradicted if so many are contradicted that they cannot be; not tested without any part."""
    if not parts:
        return NOT_TESTED
    if parts.count(SUPPORTED) >= needed:
        return SUPPORTED
    return CONTRADICTED if parts.count(CONTRADICTED) > len(parts) - needed else CANNOT_TELL


def over_seeds(differences: Sequence[float], parts: int) -> Verdict:
    """Whether a difference measured once per seed is above zero: all seeds agree and the t interval over seeds excludes zero.

    For a claim of several `parts`, a contradiction of one is a contradiction of all, so that the interval is widened (Bonferroni); a
    claim that needs every part needs no such correction. A single seed decides nothing.

    >>> over_seeds([1.0, 1.1, 0.9], 1), over_seeds([-1.0, -1.1, -0.9], 1), over_seeds([1.0], 1)
    ('supported', 'contradicted', 'cannot tell')
    """
    if len(differences) < 2:
        return CANNOT_TELL
    mean = float(np.mean(differences))
    if min(differences) > 0 and mean > t_half_width(differences):
        return SUPPORTED
    clear = max(differences) < 0 and -mean > t_half_width(differences, 1 - (1 - CONFIDENCE) / parts)
    return CONTRADICTED if clear else CANNOT_TELL
