"""Where the walks of the search start, to which class they go, and how their steps and radii change on the way."""

import math
from dataclasses import dataclass
from typing import NamedTuple


class Start(NamedTuple):
    """Where a walk starts, `share` of the way from the image to its best adversarial one, or at a random point of the ball; and the class
    that it goes to: number `rank` of those nearest to the image, or of the likeliest at the best image (`rival`)."""

    share: float
    rank: int
    rival: bool = False
    noise: bool = False


EXPLORE = (
    Start(0.0, 0),
    Start(1.5, 0, rival=True),
    Start(0.0, 1),
    Start(0.0, 2),
    Start(0.5, 0),
    Start(1.5, 1, rival=True),
    Start(0.0, 3),
    Start(1.0, 0, noise=True),
    Start(2.0, 0, rival=True),
    Start(0.5, 1),
    Start(0.0, 4),
    Start(1.5, 2, rival=True),
    Start(1.0, 1, noise=True),
)
GO_ON = tuple(Start(share, rank, rival=True) for share in (1.5, 1.5, 2.0, 1.0) for rank in (0, 1))
SETTLE = 5  # each walk whose number is a multiple of it starts at the best image and takes small steps


@dataclass(frozen=True)
class Course:
    """By what share the radius shrinks or grows in a step, and a step's length in units of the radius: in the first and the last step."""

    change: tuple[float, float]
    length: tuple[float, float]

    def at(self, step: int, steps: int) -> tuple[float, float]:
        """Change and length of one of `steps` steps: the one falls as a geometric sequence, the other along half a cosine.

        >>> WIDE.at(0, 14)
        (0.12, 3.0)
        """
        share = step / max(steps - 1, 1)
        (first, last), (longest, shortest) = self.change, self.length
        return first * (last / first) ** share, shortest + (longest - shortest) * (1 + math.cos(math.pi * share)) / 2


WIDE = Course((0.12, 0.004), (3.0, 0.02))
NARROW = Course((0.02, 0.0005), (0.5, 0.005))
