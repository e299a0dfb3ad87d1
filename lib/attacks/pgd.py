"""Projected gradient descent (Madry et al. 2018) and its single step (FGSM) in two named semantics.

`paper`, what the authors ran (lib/attacks/paper.py), and `strict`, what an evaluation is asked for today (lib/attacks/strict.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from lib.attacks import paper, strict
from lib.base.errors import require
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Threat, in_tables
from lib.evaluation.work import Work


@dataclass(frozen=True)
class Settings(strict.Settings):
    """`restarts` are the independent runs of the paper's attack, too; `paper_batch_size` divides its gradients."""

    semantics: list[Literal["paper", "strict"]]
    paper_batch_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.semantics) > 0, "semantics must name at least one of paper, strict")
        require(self.paper_batch_size > 0, f"paper_batch_size must be positive, got {self.paper_batch_size}")

    @property
    def paper(self) -> paper.Settings:
        """What the paper's attack needs of these."""
        return paper.Settings(self.seed, self.steps, self.restarts, self.paper_batch_size)


def records(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """Attack correctly classified images: the strict attack in every threat model, everything else in those of the paper.

    Args:
        model: returns logits; in eval mode, parameters frozen.
    """
    found: list[Record] = []
    shown = in_tables(list(threats))
    if "paper" in settings.semantics:
        found += paper.paper(model, work, shown, settings.paper) + paper.fgsm(model, work, shown, settings.paper)
    if "strict" in settings.semantics:
        found += strict.strict(model, work, threats, settings) + strict.fgsm(model, work, shown, settings)
    return found
