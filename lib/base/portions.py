"""Work cut into pieces of one size, shared out among several commands: everybody's portion is a run of whole pieces."""

from lib.base.errors import require


def portion(total: int, size: int, index: int, count: int, called: str) -> tuple[range, int]:
    """Which pieces are portion `index` (1 to `count`) of `total` things cut into pieces of `size`, and how many pieces there are.

    Args:
        called: what the pieces are, for the sentence about a portion that cannot be.

    >>> portion(90, 20, 1, 2, "batches of 20"), portion(90, 20, 2, 2, "batches of 20")
    ((range(0, 3), 5), (range(3, 5), 5))

    Raises:
        InputError: there is no such portion, or fewer pieces than portions.
    """
    pieces = -(-total // size)
    require(
        1 <= index <= count <= pieces,
        f"the part must be I K with 1 <= I <= K <= {pieces} ({called}), got {index} {count}",
    )
    first, last = (-(-pieces * edge // count) for edge in (index - 1, index))
    return range(first, last), pieces
