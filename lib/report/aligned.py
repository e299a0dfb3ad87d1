"""Tables as plain text of at most 110 columns."""

from collections.abc import Sequence

WIDTH = 110


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first to the left, the others to the right; columns that do not fit go below in a block of their own.

    >>> aligned([["", "clean"], ["JR", "97.0"]])
    ['    clean', 'JR   97.0']
    """
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    blocks: list[list[int]] = [[]]
    for place in range(1, len(widths)):
        if blocks[-1] and widths[0] + sum(widths[other] + 2 for other in [*blocks[-1], place]) > WIDTH:
            blocks.append([])
        blocks[-1].append(place)
    return [_joined(line, widths, block) for block in blocks for line in lines]


def _joined(line: Sequence[str], widths: list[int], block: list[int]) -> str:
    return (line[0].ljust(widths[0]) + "".join("  " + line[place].rjust(widths[place]) for place in block)).rstrip()
