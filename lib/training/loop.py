"""The training loop, the same for every objective: SGD with momentum, a cosine to zero, selection on validation."""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import InputError, require
from lib.network.batches import Batch
from lib.network.model_state import mode
from lib.network.progress import progress
from lib.training.shuffling import shuffled

# An objective returns the loss to minimise and the terms it is made of, by name, for the history.
Objective = Callable[[nn.Module, Batch, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Plan:
    """Section `training`. `selection` says which epoch's weights are kept: the best validation accuracy of the second half, or the last."""

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    augment: bool
    selection: Literal["validation", "last"]

    def __post_init__(self) -> None:
        require(self.epochs > 0, f"epochs must be positive, got {self.epochs}")
        require(self.batch_size > 0, f"batch_size must be positive, got {self.batch_size}")
        require(self.learning_rate > 0, f"learning_rate must be positive, got {self.learning_rate}")
        require(0 <= self.momentum < 1, f"momentum must lie in [0, 1), got {self.momentum}")
        require(self.momentum > 0 or not self.nesterov, "nesterov needs a momentum above 0, got 0")
        require(self.weight_decay >= 0, f"weight_decay must not be negative, got {self.weight_decay}")


def fit(model: nn.Module, train: Batch, validation: Batch, objective: Objective, plan: Plan, seed: int) -> list[dict]:
    """Train `model` in place and leave the selected epoch's weights in it, in eval mode.

    Returns:
        One dictionary per epoch: epoch, learning_rate, loss, the objective's terms, train_accuracy, validation_loss,
        validation_accuracy, selected. Accuracies are fractions; training figures are averages over the epoch's batches.

    Raises:
        InputError: the batch is larger than the data, or the loss became non-finite (names epoch and step).
    """
    noise = torch.Generator(train.images.device).manual_seed(seed + 1)  # another stream than the order of the data
    rule = partial(torch.optim.SGD, nesterov=plan.nesterov, weight_decay=plan.weight_decay)
    optimizer = rule(model.parameters(), lr=plan.learning_rate, momentum=plan.momentum)
    steps = math.ceil(len(train) / plan.batch_size)
    history: list[dict] = []
    best, weights = (-1.0, 0), model.state_dict()
    for index, batch in enumerate(progress(_batches(train, plan, seed), "training", plan.epochs * steps, "step")):
        epoch, step = index // steps + 1, index % steps + 1
        if step == 1:
            model.train()
            sums: dict[str, float] = {}
        rate = cosine(plan.learning_rate, index, plan.epochs * steps)
        for name, value in _step(model, optimizer, rate, objective, batch, noise, f"epoch {epoch}, step {step}").items():
            sums[name] = sums.get(name, 0.0) + value * len(batch) / len(train)
        if step == steps:
            measured = evaluate(model, validation)
            history.append({"epoch": epoch, "learning_rate": rate, **sums, **measured})
            candidate = (measured["validation_accuracy"] if plan.selection == "validation" else 0.0, epoch)
            if candidate >= best and 2 * epoch > plan.epochs:  # of equally good epochs the later one
                best, weights = candidate, deepcopy(model.state_dict())
    model.load_state_dict(weights)
    model.eval()
    return [{**entry, "selected": int(entry["epoch"] == best[1])} for entry in history]


def cosine(start: float, step: int, steps: int) -> float:
    """Learning rate at `step` of `steps`, from `start` to zero along half a cosine.

    >>> cosine(0.5, 0, 100), cosine(0.5, 50, 100)
    (0.5, 0.25)
    """
    return start * (1 + math.cos(math.pi * step / steps)) / 2


def evaluate(model: nn.Module, data: Batch) -> dict[str, float]:
    """Mean cross-entropy and accuracy on `data` in eval mode."""
    loss, correct = 0.0, 0
    with torch.no_grad(), mode(model, training=False):
        for index in range(0, len(data), EVALUATION_BATCH):
            part = data.take(slice(index, index + EVALUATION_BATCH))
            logits = model(part.images)
            loss += functional.cross_entropy(logits, part.labels, reduction="sum").item()
            correct += int((logits.argmax(1) == part.labels).sum())
    return {"validation_loss": loss / len(data), "validation_accuracy": correct / len(data)}


def _batches(train: Batch, plan: Plan, seed: int) -> Iterator[Batch]:
    """The batches of all epochs, one after the other."""
    order = torch.Generator().manual_seed(seed)
    for _ in range(plan.epochs):
        yield from shuffled(train, plan.batch_size, order, plan.augment)


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: float,
    objective: Objective,
    batch: Batch,
    noise: torch.Generator,
    where: str,
) -> dict[str, float]:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss, terms = objective(model, batch, noise)
    if not math.isfinite(loss.item()):
        raise InputError(f"the loss became {loss.item()} at {where}; nothing was written; a smaller learning rate or penalty may help")
    loss.backward()
    optimizer.step()
    return {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}
