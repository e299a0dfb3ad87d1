"""Projected gradient descent (Madry et al. 2018) and its single step (FGSM) in two named semantics.

`paper`, what the authors ran (lib/attacks/paper.py), and `strict`, what an evaluation is asked for today (lib/attacks/strict.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from lib.attacks import paper, strict
from lib.attacks.paper import Rules
from lib.attacks.paper import Settings as PaperSettings
from lib.base.errors import require
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Threat, in_tables
from lib.evaluation.work import Work


@dataclass(frozen=True)
class Settings(strict.Settings):
    """`restarts` are the independent runs of the paper's attack, too; `paper` holds its rules."""

    semantics: list[Literal["paper", "strict"]]
    paper: Rules

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.semantics) > 0, "semantics must name at least one of paper, strict")

    @property
    def authors(self) -> PaperSettings:
        """What the paper's attack needs of these."""
        return PaperSettings(self.seed, self.steps, self.restarts, self.paper.batch_size, self.paper.rule)


def records(model: nn.Module, work: Work, threats: Sequence[Threat], settings: Settings) -> list[Record]:
    """Attack correctly classified images: the strict attack in every threat model, everything else in those of the paper.

    Args:
        model: returns logits; in eval mode, parameters frozen.
    """
    found: list[Record] = []
    shown = in_tables(list(threats))
    if "paper" in settings.semantics:
        found += paper.paper(model, work, shown, settings.authors) + paper.fgsm(model, work, shown, settings.authors)
    if "strict" in settings.semantics:
        found += strict.strict(model, work, threats, settings) + strict.fgsm(model, work, shown, settings)
    return found
