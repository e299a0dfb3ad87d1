"""Square (Andriushchenko et al. 2020) by `pyautoattack`, on images whose height or width its first squares in L2 do not fit into."""

from collections.abc import Iterator

from pyautoattack.square import SquareAttack
from torch import Tensor

LOWEST = 5  # pixels: the first squares in L2 are a fifth of the height wide


class Square(SquareAttack):
    """Where the package lays its first squares beyond the border of the image, and fails, they are cut there; the same elsewhere."""

    def attack_single_run(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and adversarial versions of images `x` (N, C, H, W) with labels `y` (N,)."""
        self.laid = inside(x.shape[2], x.shape[3]) if self.norm == "L2" else iter(())
        return super().attack_single_run(x, y)

    def eta(self, s: int) -> "Tensor | _Cut":
        """The pattern of one square of `s` pixels a side; the package asks first for those that it lays, row by row, then for others."""
        pattern, size = super().eta(s), next(self.laid, None)
        return pattern if size is None else _Cut(pattern[: size[0], : size[1]])


class _Cut:
    """What is left of a pattern, for a caller who takes it to be whole."""

    def __init__(self, pattern: Tensor) -> None:
        self.pattern = pattern

    def view(self, *shape: int) -> Tensor:
        return self.pattern[None, None]


def inside(height: int, width: int) -> Iterator[tuple[int, int]]:
    """How many rows and columns of each of the first squares lie inside an image, in the order in which the package lays them.

    >>> list(inside(5, 5)) == [(1, 1)] * 25, list(inside(12, 5))[-2:]
    (True, [(1, 2), (1, 2)])
    """
    side = height // 5
    first = (height - 5 * side) // 2
    for row in range(height // side):
        for column in range(width // side):
            below, right = height - first - row * side, width - first - column * side
            yield min(side, max(below, 0)), min(side, max(right, 0))
