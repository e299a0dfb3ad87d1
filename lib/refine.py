"""From saliency maps to target interpretations: threshold and permutation, pure functions of numpy arrays, one map at a time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lib import draws
from lib.base.errors import require


@dataclass(frozen=True)
class Threshold:
    """Section `threshold`: `phi`, how many standard deviations around a map's mean are erased (Sec. 3.1)."""

    phi: float

    def __post_init__(self) -> None:
        require(self.phi > 0, f"phi must be positive, got {self.phi}")


def threshold(maps: np.ndarray, phi: float) -> np.ndarray:
    """Zero every value inside [mean - phi std, mean + phi std] of its own map, over all channels (Sec. 3.1).

    Args:
        maps: (N, C, H, W).
        phi: number of standard deviations (divided by D - 1, as torch does and the authors' code did).

    >>> threshold(np.array([[[[0.0, 0.0, 0.0, 1.0]]]]), 1.0)
    array([[[[0., 0., 0., 1.]]]])
    >>> threshold(np.array([[[[5.0, 5.0, 5.0, 9.0]]]]), 2.0)
    array([[[[0., 0., 0., 0.]]]])
    """
    flat = maps.reshape(len(maps), -1)
    mean, spread = flat.mean(1, dtype=np.float64, keepdims=True), flat.std(1, dtype=np.float64, ddof=1, keepdims=True)
    kept = np.abs(flat - mean) > phi * spread
    return np.where(kept, flat, 0).astype(maps.dtype).reshape(maps.shape)


@dataclass(frozen=True)
class Permutation:
    """`fraction` of the pixels of each map change places; `seed` and the `replication` (which seed's targets) choose which."""

    fraction: float
    seed: int
    replication: int

    def __post_init__(self) -> None:
        number = isinstance(self.fraction, (int, float)) and not isinstance(self.fraction, bool)
        require(number and 0 <= self.fraction <= 1, f"fraction must be a number in [0, 1], got {self.fraction!r}")
        require(type(self.seed) is int and self.seed >= 0, f"permute.seed must be a non-negative integer, got {self.seed!r}")


def permute(maps: np.ndarray, rows: Iterable[int], settings: Permutation) -> np.ndarray:
    """Let an exact fraction of each map's values change places among themselves (Sec. 4.4).

    floor(fraction * D) positions are chosen and shuffled; a value may fall back on its own place. Each map keeps its values, so its
    mean and deviation; its permutation depends on the settings and its row alone.

    Args:
        maps: (N, C, H, W); channels are permuted together with pixels.
        rows: the N row numbers.
    """
    result = maps.reshape(len(maps), -1).copy()
    count = int(settings.fraction * result.shape[1])
    stream = f"permute {settings.replication} {float(settings.fraction)!r}"
    for values, row in zip(result, rows, strict=True):
        random = draws.generator(settings.seed, stream, row)
        chosen = random.choice(result.shape[1], count, replace=False)
        values[chosen] = values[random.permutation(chosen)]
    return result.reshape(maps.shape)
