"""Random numbers that belong to an image: drawn from (seed, stream, row) alone.

So no result depends on batch size, order, sharding or device: row 17 gets the same noise whether it is computed alone or among
thousands, on a CPU or on a GPU. Streams keep apart what must be independent (attack starts of run 0 and run 1, say).
"""

from collections.abc import Iterable

import numpy as np

from lib.base.errors import require


def generator(seed: int, stream: str, row: int) -> np.random.Generator:
    """The generator of one image in one stream.

    >>> bool(generator(0, "noise", 5).random() == generator(0, "noise", 5).random())
    True
    """
    return np.random.default_rng(np.random.SeedSequence([seed, int.from_bytes(stream.encode(), "big"), int(row)]))


def normal(seed: int, stream: str, rows: Iterable[int], shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers (len(rows), *shape) float32."""
    return np.stack([generator(seed, stream, row).standard_normal(shape, dtype=np.float32) for row in rows])


def uniform(seed: int, stream: str, rows: Iterable[int], shape: tuple[int, ...]) -> np.ndarray:
    """Numbers uniform in [0, 1), (len(rows), *shape) float32."""
    return np.stack([generator(seed, stream, row).random(shape, dtype=np.float32) for row in rows])


def ball(seed: int, stream: str, rows: Iterable[int], shape: tuple[int, ...], norm: str) -> np.ndarray:
    """Points uniform in the unit ball of "l2" or "linf", (len(rows), *shape) float32.

    For L2 a normal direction times U^(1/D): volume grows with the D-th power of the radius.
    """
    require(norm in ("l2", "linf"), f"norm must be 'l2' or 'linf', got {norm!r}")
    rows = list(rows)
    if norm == "linf":
        return 2 * uniform(seed, stream, rows, shape) - 1
    direction = normal(seed, stream, rows, shape)
    length = np.sqrt((direction**2).sum(tuple(range(1, direction.ndim)), keepdims=True))
    radius = uniform(seed, stream + ".radius", rows, (1,) * len(shape)) ** (1 / np.prod(shape))
    return (direction / length * radius).astype(np.float32)
