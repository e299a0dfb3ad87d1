"""Numbers as people print them."""

from math import isfinite

from lib.statistics.crossed import Contrast


def signed(value: float, digits: int = 1) -> str:
    """A difference as people print it.

    >>> signed(-4.26), signed(0.5, 2)
    ('−4.3', '+0.50')
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def between(low: float, high: float, digits: int = 1) -> str:
    """An interval in brackets; a limit beside zero has a digit more, so that one sees on which side of it.

    >>> between(3.72, 8.21), between(-0.04, 8), between(0.0, 7.8)
    ('[+3.7, +8.2]', '[−0.04, +8.0]', '[+0.0, +7.8]')
    """
    low, high = (round(limit, 9) + 0.0 for limit in (low, high))
    near = 0.5 * 10.0**-digits
    return f"[{', '.join(signed(limit, digits + (0 < abs(limit) < near)) for limit in (low, high))}]"


def interval(contrast: Contrast, digits: int = 1) -> str:
    """`+6.0 [+3.7, +8.2]`; the estimate alone where there is no interval, a dash where there is neither."""
    if not isfinite(contrast.estimate):
        return "–"
    estimate = signed(round(contrast.estimate, digits) + 0.0, digits)  # the sum makes -0.0 positive
    return f"{estimate} {between(contrast.low, contrast.high, digits)}" if isfinite(contrast.low) else estimate


def p_value(p: float) -> str:
    """A p value as people print it.

    >>> p_value(0.0312), p_value(0.00001)
    ('p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
