"""Contexts that hand a model back exactly as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """Inside, no parameter asks for a gradient: attacks and saliency need the input's gradient only, at about half the cost."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield model.requires_grad_(False)
    finally:
        for parameter, required in before:
            parameter.requires_grad_(required)


@contextmanager
def mode(model: nn.Module, training: bool) -> Iterator[nn.Module]:
    """Inside, every module is in train or eval mode; afterwards each is in the mode it was in."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield model.train(training)
    finally:
        for module, was_training in before:
            module.training = was_training


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Eval mode with frozen parameters: how every measurement of a trained model is taken."""
    with frozen(model), mode(model, training=False):
        yield model
