"""Whatever happens inside, a model comes back in the modes and with the requirements it had."""

import pytest
import torch
from torch import nn

from lib.network.model_state import evaluating, frozen, mode


def mixed() -> nn.Sequential:
    """Train mode with one module in eval mode, one parameter frozen."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5)), nn.Linear(2, 2))
    model[1][0].eval()
    model[0].bias.requires_grad_(False)
    return model


def state(model: nn.Module) -> tuple[list[bool], list[bool]]:
    return [module.training for module in model.modules()], [weight.requires_grad for weight in model.parameters()]


def test_frozen_parameters_ask_for_no_gradient_and_ask_again_afterwards():
    model = mixed()
    before = state(model)
    with frozen(model) as same:
        assert same is model and not any(weight.requires_grad for weight in model.parameters())
        assert state(model)[0] == before[0]
    assert state(model) == before


@pytest.mark.parametrize("training", [True, False])
def test_every_module_is_in_the_asked_mode_and_returns_to_its_own(training):
    model = mixed()
    before = state(model)
    with mode(model, training=training):
        assert all(module.training is training for module in model.modules())
        assert state(model)[1] == before[1]
    assert state(model) == before


def test_evaluating_is_eval_mode_with_frozen_parameters():
    model = mixed()
    before = state(model)
    with evaluating(model):
        assert not any(state(model)[0]) and not any(state(model)[1])
    assert state(model) == before


@pytest.mark.parametrize("context", [frozen, evaluating, lambda model: mode(model, training=False)])
def test_an_exception_inside_restores_the_model_too(context):
    model = mixed()
    before = state(model)
    with pytest.raises(KeyError), context(model):
        raise KeyError
    assert state(model) == before


def test_gradients_and_running_statistics_are_not_touched():
    model = mixed().train()
    model[0].weight.grad = torch.ones(2, 2)
    statistics = model[1][0].running_mean.clone()
    with evaluating(model):
        model(torch.randn(4, 2))
    assert torch.equal(model[0].weight.grad, torch.ones(2, 2)) and torch.equal(model[1][0].running_mean, statistics)


def test_contexts_nest():
    model = mixed()
    before = state(model)
    with evaluating(model), mode(model, training=True), frozen(model):
        assert all(state(model)[0])
    assert state(model) == before
