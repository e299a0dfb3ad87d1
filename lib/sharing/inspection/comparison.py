"""How far maps are from others, map by map."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Distances:
    """Of n pairs of maps: cosines (n,), NaN where both are zero and 0 where one is; differences (n,) in the L2 norm, relative to the
    larger of the two norms, 0 where both are zero; and `largest` (n,), the largest difference of two values."""

    cosines: np.ndarray
    relative: np.ndarray
    largest: np.ndarray


def distances(first: np.ndarray, second: np.ndarray) -> Distances:
    """Between maps (n, C, H, W) and maps of the same shape, computed in double precision.

    >>> found = distances(np.array([[[[3.0, 4.0]]]]), np.array([[[[3.0, 0.0]]]]))
    >>> [float(values[0]) for values in vars(found).values()]
    [0.6, 0.8, 4.0]
    """
    one, other = (maps.reshape(len(maps), -1).astype(np.float64) for maps in (first, second))
    norms = [np.linalg.norm(flat, axis=1) for flat in (one, other)]
    product = norms[0] * norms[1]
    cosines = np.divide(np.einsum("nd,nd->n", one, other), product, out=np.zeros(len(one)), where=product > 0)
    cosines[(norms[0] == 0) & (norms[1] == 0)] = np.nan
    gap = one - other
    scale = np.maximum(*norms)
    relative = np.divide(np.linalg.norm(gap, axis=1), scale, out=np.zeros(len(one)), where=scale > 0)
    return Distances(cosines, relative, np.abs(gap).max(1, initial=0))


def joined(parts: list[Distances]) -> Distances:
    """Those of consecutive maps together."""
    return Distances(*(np.concatenate([np.empty(0), *(getattr(part, name) for part in parts)]) for name in vars(parts[0])))
