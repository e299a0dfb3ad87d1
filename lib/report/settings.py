"""What the report itself is told."""

from dataclasses import dataclass
from typing import Literal

from lib.base.errors import require
from lib.evaluation.threats import Norm


@dataclass(frozen=True)
class FigureThreat:
    """Where Figure 3a is measured; also the threat model that the answer is given at."""

    norm: Norm
    epsilon: float
    semantics: Literal["paper", "strict"]


@dataclass(frozen=True)
class Report:
    """Section `report`; `gallery` is the number of images in Figures 1 and 2."""

    figure_threat: FigureThreat
    gallery: int

    def __post_init__(self) -> None:
        require(self.gallery > 0, f"gallery must be a positive integer, got {self.gallery}")
