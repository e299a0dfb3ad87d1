"""What the values of a target set are like, gathered part by part."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Statistics:
    """Shares are of values: `zeros` of all, `negative` of those that are not zero (None: all are). `norm` is the mean L2 norm of a map."""

    maps: int
    zeros: float
    negative: float | None
    minimum: float
    maximum: float
    norm: float
    zero_maps: int


def statistics(parts: Iterable[np.ndarray]) -> Statistics:
    """Of all maps in `parts`, each (n, C, H, W); at least one map.

    >>> statistics([np.array([[[[3.0, -4.0]]], [[[0.0, 0.0]]]])])
    Statistics(maps=2, zeros=0.5, negative=0.5, minimum=-4.0, maximum=3.0, norm=2.5, zero_maps=1)
    """
    maps = values = zeros = negative = zero_maps = 0
    norm, low, high = 0.0, np.inf, -np.inf
    for part in parts:
        flat = part.reshape(len(part), -1)
        lengths = np.sqrt(np.einsum("nd,nd->n", flat, flat, dtype=np.float64))
        maps, values = maps + len(flat), values + flat.size
        zeros, negative = zeros + int((flat == 0).sum()), negative + int((flat < 0).sum())
        low, high = min(low, float(flat.min())), max(high, float(flat.max()))
        norm, zero_maps = norm + float(lengths.sum()), zero_maps + int((~flat.any(1)).sum())
    others = negative / (values - zeros) if values > zeros else None
    return Statistics(maps, zeros / values, others, low, high, norm / maps, zero_maps)
