"""What an objective is to the loop, and what can be asked of one."""

import inspect
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lib.network.batches import Batch

# An objective returns the loss to minimise and the terms it is made of, by name, for the history.
Objective = Callable[[nn.Module, Batch, torch.Generator], tuple[Tensor, dict[str, Tensor]]]


def settings_of(objective: Objective) -> Any:
    """The settings that a stage has bound to its objective, None where there are none."""
    return objective.keywords.get("settings") if isinstance(objective, partial) else None


def additive(objective: Objective) -> bool:
    """Whether a batch's loss is the mean of what its images give, so that it can be computed in parts.

    The objective's file says so with `additive(settings) -> bool`; one without it is, unless its settings have `reduction: batch`.
    """
    module = inspect.getmodule(objective.func if isinstance(objective, partial) else objective)
    return divisible(module, settings_of(objective))


def divisible(module: ModuleType | None, settings: Any) -> bool:
    """The same of an objective's file and the settings of a row."""
    said = getattr(module, "additive", None)
    return bool(said(settings)) if said is not None and settings is not None else getattr(settings, "reduction", "sample") != "batch"


def second_order(objective: Objective) -> bool:
    """Whether gradients of gradients are taken; the objective's file says so with `SECOND_ORDER = True`."""
    return getattr(inspect.getmodule(objective.func if isinstance(objective, partial) else objective), "SECOND_ORDER", False)


def capturable(objective: Objective) -> bool:
    """Whether a CUDA graph may repeat the objective without running its Python again: not one that counts its calls and says False, nor
    one whose settings change along the training (`ramp`)."""
    return getattr(objective, "capturable", True) and not getattr(settings_of(objective), "ramp", 0)
