"""The verdicts on a claim, and how those on its parts make one."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from lib.statistics import crossed
from lib.statistics.crossed import Contrast

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


def verdict(contrast: Contrast) -> Verdict:
    """Whether the first of two is ahead: by the interval and after the correction."""
    if not contrast.decided:
        return CANNOT_TELL
    return SUPPORTED if contrast.estimate > 0 else CONTRADICTED


def over_seeds(parts: Sequence[Sequence[float]]) -> list[Verdict]:
    """Of differences measured once per seed, part by part: which are above zero, by their intervals over seeds and Holm's correction.

    >>> over_seeds([[1.0, 1.1, 0.9], [-1.0, -1.1, -0.9], [1.0, -1.0, 0.2]])
    ['supported', 'contradicted', 'cannot tell']
    """
    contrasts = crossed.corrected([crossed.over_seeds(np.asarray(differences, dtype=float)) for differences in parts])
    return [verdict(contrast) for contrast in contrasts]
