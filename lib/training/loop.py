"""The training loop, the same for every objective: SGD with momentum, a cosine to zero, selection of one epoch's weights."""

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.base.errors import InputError, require
from lib.network import input_gradients, processes
from lib.network.batches import Batch
from lib.network.model_state import evaluating, mode
from lib.network.progress import progress
from lib.training.layout import laid_out
from lib.training.objective import Objective, additive
from lib.training.resume import Store
from lib.training.run import Run
from lib.training.shuffling import Finish, shuffled
from lib.training.steps import Stepper, stepper

EVALUATION_BATCH = 500
NORM_IMAGES = 200


@dataclass(frozen=True)
class Plan:
    """Section `training`.

    selection: which epoch's weights are kept: the best validation accuracy of the second half, the last, or the best TEST accuracy of
        the second half ("leaking_test", what the authors did: test accuracies of such a network are biased upwards).
    precision: what convolutions and matrix products are computed in.
    accumulate: how many parts each batch is computed in, one after the other, for less memory.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    augment: bool
    selection: Literal["validation", "last", "leaking_test"]
    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = 1

    def __post_init__(self) -> None:
        require(self.epochs > 0, f"epochs must be positive, got {self.epochs}")
        require(self.batch_size > 0, f"batch_size must be positive, got {self.batch_size}")
        require(self.learning_rate > 0, f"learning_rate must be positive, got {self.learning_rate}")
        require(0 <= self.momentum < 1, f"momentum must lie in [0, 1), got {self.momentum}")
        require(self.momentum > 0 or not self.nesterov, "nesterov needs a momentum above 0, got 0")
        require(self.weight_decay >= 0, f"weight_decay must not be negative, got {self.weight_decay}")
        fits = 1 <= self.accumulate <= self.batch_size
        require(fits, f"accumulate must lie between 1 and batch_size {self.batch_size}, got {self.accumulate}")


def fit(
    model: nn.Module,
    train: Batch,
    validation: Batch,
    objective: Objective,
    plan: Plan,
    seed: int,
    *,
    test: Batch | None = None,
    finish: Finish | None = None,
    store: Store | None = None,
) -> list[dict]:
    """Train `model` in place and leave the selected epoch's weights in it, in eval mode.

    With CUDA_GRAPHS=1 the objective's Python runs a few times only and is repeated as a graph (lib/training/cuda_graphs.py). Several
    processes compute each step together (lib/training/distributed.py); the first measures each epoch and keeps the state.

    Args:
        test: the test split, for the selection `leaking_test` and for no other.
        finish: done to the targets of each batch after they were cropped and flipped.
        store: where the state is kept after each epoch, and taken up if it is there.

    Returns:
        One dictionary per epoch: epoch, learning_rate, first_loss (of the epoch's first batch, before any of its steps), loss, the
        objective's terms, train_accuracy, validation_loss, validation_accuracy, validation_gradient_norm, with `test` also
        test_accuracy, selected. Accuracies are fractions; other training figures are averages over the epoch's batches, summed in
        float64.

    Raises:
        InputError: the batch is larger than the data, or the loss became non-finite (names epoch and step).
    """
    _check(plan, objective, test, len(train))
    train = laid_out(model, train, objective)
    run = _begun(model, plan, seed, train.images.device)
    if store is not None:
        store.load(run)
    steps, done = math.ceil(len(train) / plan.batch_size), len(run.history)
    step = stepper(model, run.optimizer, objective, run.noise, precision=plan.precision, parts=plan.accumulate)
    shuffles = _batches(train, plan, run.order, done, finish)
    reports = progress(shuffles, "training", plan.epochs * steps, "step", done * steps, lambda: _last(run.history))
    with closing(reports) as batches:
        for epoch in range(done + 1, plan.epochs + 1):
            model.train()
            rates = [cosine(plan.learning_rate, index, plan.epochs * steps) for index in range((epoch - 1) * steps, epoch * steps)]
            figures = descend(step, run.optimizer, batches, rates)
            averages = _averages(step.names, figures, plan.batch_size, len(train), epoch)
            measured = processes.from_first(
                lambda: evaluate(model, validation) | gradient_norm(model, validation) | _test_accuracy(model, test)
            )
            run.history.append({"epoch": epoch, "learning_rate": rates[-1], **averages, **measured})
            if 2 * epoch > plan.epochs:
                run.consider(_score(plan, measured), epoch)
            if store is not None:
                store.save(run)
        next(batches, None)  # lets the report on progress come to its end
    model.load_state_dict(run.weights)
    model.eval()
    return [{**entry, "selected": int(entry["epoch"] == run.best[1])} for entry in run.history]


def descend(step: Stepper, rule: torch.optim.Optimizer, batches: Iterator[Batch], rates: list[float]) -> Tensor:
    """One step of `rule` for each rate: the figures of the batches, (steps, k) on the device. No step waits for the device."""
    figures = []
    for rate, batch in zip(rates, batches):  # the rates come first: they end before a batch of the next epoch is drawn
        for group in rule.param_groups:
            group["lr"] = rate
        figures.append(step(batch).clone())
        rule.step()
    return torch.stack(figures)


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


def gradient_norm(model: nn.Module, data: Batch) -> dict[str, float]:
    """Mean L2 norm of the label logit's gradient over the first images of `data`, in eval mode, in logits per unit of pixel intensity."""
    few = data.take(slice(0, NORM_IMAGES))
    with evaluating(model):
        norms = input_gradients.of_label(model, few.images, few.labels).flatten(1).norm(dim=1)
    return {"validation_gradient_norm": float(norms.mean())}


def _last(history: list[dict]) -> str:
    """The last epoch for the eyes of whoever waits."""
    if not history:
        return ""
    last = history[-1]
    return f"epoch {last['epoch']}: loss {last['loss']:.3g}, validation {100 * last['validation_accuracy']:.1f} %"


def _check(plan: Plan, objective: Objective, test: Batch | None, images: int) -> None:
    """Combinations that make no sense."""
    whole = plan.accumulate == 1 or additive(objective)
    require(whole, f"accumulate must be 1 for a penalty of the whole batch, which has no parts (reduction: batch), got {plan.accumulate}")
    leaking = plan.selection == "leaking_test"
    require(leaking == (test is not None), f"the test split is for the selection leaking_test alone, got selection {plan.selection}")
    smallest = min(max(1, size // plan.accumulate) for size in (plan.batch_size, images % plan.batch_size) if size > 0)
    needed = f"every process needs an image of each batch, the smallest of this training (or part of one) has {smallest}"
    require(smallest >= processes.count(), f"{needed} for {processes.count()} processes")


def optimizer(model: nn.Module, plan: Plan) -> torch.optim.SGD:
    """SGD as the plan says; on a CPU each update is one pass over memory, which takes less than half the time of several."""
    fused = next(model.parameters()).device.type == "cpu"
    rule = partial(torch.optim.SGD, nesterov=plan.nesterov, weight_decay=plan.weight_decay, fused=fused)
    return rule(model.parameters(), lr=plan.learning_rate, momentum=plan.momentum)


def _begun(model: nn.Module, plan: Plan, seed: int, device: torch.device) -> Run:
    """A run before its first epoch."""
    noise = torch.Generator(device).manual_seed(seed + 1)  # another stream than the order of the data
    return Run(model, optimizer(model, plan), torch.Generator().manual_seed(seed), noise)


def _batches(train: Batch, plan: Plan, order: torch.Generator, done: int, finish: Finish | None) -> Iterator[Batch]:
    """The batches of the epochs after the first `done`, one after the other."""
    steps = math.ceil(len(train) / plan.batch_size)
    for epoch in range(done, plan.epochs):
        for index, batch in enumerate(shuffled(train, plan.batch_size, order, plan.augment, finish), 1):
            yield replace(batch, progress=(epoch * steps + index) / (plan.epochs * steps))


def _averages(names: tuple[str, ...], figures: Tensor, batch_size: int, images: int, epoch: int) -> dict[str, float]:
    """Figures (steps, k) of an epoch, the loss first, averaged over images, behind the first batch's loss.

    Raises:
        InputError: a loss is not finite.
    """
    rows = figures.tolist()  # the epoch's one transfer from the device
    for step, row in enumerate(rows, 1):
        if not math.isfinite(row[0]):
            place = f"epoch {epoch}, step {step}"
            raise InputError(f"the loss became {row[0]} at {place}; nothing was written; a smaller learning rate or penalty may help")
    sizes = [min(batch_size, images - step * batch_size) for step in range(len(rows))]
    averages = {name: sum(row[place] * size / images for row, size in zip(rows, sizes)) for place, name in enumerate(names)}
    return {"first_loss": rows[0][0], **averages}


def _test_accuracy(model: nn.Module, test: Batch | None) -> dict[str, float]:
    return {} if test is None else {"test_accuracy": evaluate(model, test)["validation_accuracy"]}


def _score(plan: Plan, measured: dict[str, float]) -> float:
    """What decides between epochs; equal scores leave it to the last."""
    return {"validation": measured["validation_accuracy"], "leaking_test": measured.get("test_accuracy", 0.0), "last": 0.0}[plan.selection]
