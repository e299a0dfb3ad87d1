"""bfloat16 changes rounding and nothing else; a batch in parts has the gradient of the whole batch, or is refused."""

from functools import partial

import pytest
import torch
from classifiers import grey, smooth
from test_captured import MODELS, OBJECTIVES, data, network
from torch import Tensor, nn

from lib.base.errors import InputError
from lib.network.architecture import Model, Probabilities, build
from lib.network.batches import Batch
from lib.objectives import adversarial, interpretation, jacobian
from lib.training import loop
from lib.training.loop import Plan
from lib.training.mixed_precision import lowered
from lib.training.objective import additive
from lib.training.steps import Gradients


def gradient(model: nn.Module, objective, batch: Batch, precision: str = "float32", parts: int = 1) -> tuple[Tensor, Tensor]:
    """The parameters' gradient as one vector, and the figures."""
    torch.manual_seed(0)
    noise = torch.Generator().manual_seed(0)
    figures = Gradients(model, objective, noise, model.zero_grad, precision=precision, parts=parts)(batch)
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()]), figures


# bfloat16


@pytest.mark.parametrize("name", MODELS)
def test_convolutions_and_products_run_in_bfloat16_and_logits_come_out_in_float32(name):
    model, types = network(name).eval(), set()
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(lambda module, inputs, output: types.add(output.dtype))
    logits = lowered(model)(data().images)
    assert types == {torch.bfloat16} and logits.dtype == torch.float32
    difference = (logits - model(data().images)).abs().max()
    assert 0 < difference < 0.02 * logits.abs().max()


def test_the_lowered_network_has_the_parameters_and_modes_of_the_one_it_wraps():
    model = network()
    low = lowered(model)
    assert list(map(id, low.parameters())) == list(map(id, model.parameters()))
    low.requires_grad_(False)
    low.train(False)
    assert not any(parameter.requires_grad for parameter in model.parameters()) and not any(part.training for part in model.modules())


def test_a_softmax_at_the_end_stays_in_float32_and_its_logits_can_be_found():
    model = build(Model("cnn", 0.25, None, 0.0, outputs="probabilities"), (1, 8, 8), 3)
    low = lowered(model)
    assert isinstance(low, Probabilities) and low.logits_of(data().images).dtype == torch.float32
    torch.testing.assert_close(low(data().images).sum(1), torch.ones(20), rtol=0, atol=1e-6)


def without_dropout(name: str) -> nn.Module:
    model = network(name).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("objective", sorted(set(OBJECTIVES) - {"AT"}))
def test_gradients_in_bfloat16_point_where_those_in_float32_do(objective, name):
    """Also those through the input gradient. bfloat16 has 8 significant bits, float32 24."""
    model = without_dropout(name)
    exact, _ = gradient(model, OBJECTIVES[objective], data())
    rounded, _ = gradient(model, OBJECTIVES[objective], data(), "bfloat16")
    cosine = torch.cosine_similarity(rounded, exact, dim=0).item()
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    assert cosine > {"cnn": 0.99, "wide_resnet": 0.95}[name]  # batch statistics of few images and depth add up rounding


def test_examples_found_in_bfloat16_are_others_but_raise_the_loss_as_much():
    """The loss in float32, which is what an example is for."""
    model, batch, losses = without_dropout("cnn").eval(), data(), []
    settings = OBJECTIVES["AT"].keywords["settings"]
    for crafted_with in (model, lowered(model)):
        found = adversarial.examples(crafted_with, batch, torch.Generator().manual_seed(0), settings)
        losses.append(nn.functional.cross_entropy(model(found), batch.labels).item())
    clean = nn.functional.cross_entropy(model(batch.images), batch.labels).item()
    assert losses[0] != losses[1] and losses[1] - clean == pytest.approx(losses[0] - clean, rel=0.02)


def test_norms_and_cosines_are_not_rounded_to_bfloat16():
    """The terms of interpretation regularization: none of them is a bfloat16 number."""
    _, figures = gradient(network("cnn"), OBJECTIVES["IR"], data(), "bfloat16")
    terms = figures[:4]  # the last is an accuracy
    assert (terms.to(torch.bfloat16).double() != terms).all()


# Parts of a batch

SMOOTH = partial(smooth, classes=3, shape=(1, 8, 8))
ADDITIVE = {
    "standard": partial(adversarial.loss, settings=adversarial.Settings(None, "l2", 0.5, 2, "eval", "strict")),
    "AT": partial(adversarial.loss, settings=adversarial.Settings(0.1, "linf", 0.05, 2, "eval", "strict")),
    "JR": partial(jacobian.loss, settings=jacobian.Settings(0.3, "half_squared", 0, "sample")),
    "JR norm": partial(jacobian.loss, settings=jacobian.Settings(0.3, "norm", 0, "sample")),
    "IR": partial(interpretation.loss, settings=interpretation.Settings(3.0, 0.15, "sample")),
    "IR square": partial(interpretation.loss, settings=interpretation.Settings(3.0, 0.15, "square")),
}


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("objective", ADDITIVE)
def test_the_gradient_and_the_figures_of_parts_are_those_of_the_whole_batch(objective, parts):
    """Ten images in parts that need not be equal, in float64, without dropout and batch statistics."""
    model = SMOOTH().double()
    targets = torch.randn(10, 1, 8, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    batch = Batch(grey(10).double(), torch.arange(10) % 3, targets)
    whole, figures = gradient(model, ADDITIVE[objective], batch)
    found, sums = gradient(model, ADDITIVE[objective], batch, parts=parts)
    torch.testing.assert_close(found, whole, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(sums, figures, rtol=1e-6, atol=1e-9)


def test_a_training_in_parts_is_the_same_training():
    batch, histories = Batch(data().images.double(), data().labels), []
    for parts in (1, 4):
        plan = Plan(2, 8, 0.1, 0.9, True, 0.0, False, "last", accumulate=parts)
        histories.append(loop.fit(SMOOTH().double(), batch, batch, ADDITIVE["standard"], plan, 0))
    for entry, other in zip(*histories, strict=True):
        assert entry == pytest.approx(other, rel=1e-9)


WHOLE = {
    "IR": partial(interpretation.loss, settings=interpretation.Settings(3.0, 0.15, "batch")),
    "JR": partial(jacobian.loss, settings=jacobian.Settings(0.3, "norm", 0, "batch")),
}


@pytest.mark.parametrize("objective", WHOLE)
def test_a_penalty_of_the_whole_batch_is_refused_in_parts_because_it_has_another_gradient(objective):
    model, batch = SMOOTH().double(), data(10)
    batch = Batch(batch.images.double(), batch.labels, batch.targets.double())
    whole, parts = (gradient(model, WHOLE[objective], batch, parts=count)[0] for count in (1, 2))
    assert (whole - parts).norm() > 0.01 * whole.norm()
    assert not additive(WHOLE[objective]) and all(map(additive, ADDITIVE.values()))
    with pytest.raises(InputError, match="accumulate must be 1 for a penalty of the whole batch, .* got 2"):
        loop.fit(SMOOTH(), batch, batch, WHOLE[objective], Plan(1, 8, 0.1, 0.0, False, 0.0, False, "last", accumulate=2), 0)


def test_an_objective_says_itself_whether_it_has_parts(monkeypatch):
    monkeypatch.setattr(interpretation, "additive", lambda settings: settings.lambda_m == 0, raising=False)
    free = partial(interpretation.loss, settings=interpretation.Settings(3.0, 0.0, "batch"))
    assert additive(free) and not additive(ADDITIVE["IR"])


@pytest.mark.parametrize("accumulate", [0, 9])
def test_a_batch_has_at_least_one_part_and_at_most_its_size(accumulate):
    with pytest.raises(InputError, match=f"accumulate must lie between 1 and batch_size 8, got {accumulate}"):
        Plan(1, 8, 0.1, 0.0, False, 0.0, False, "last", accumulate=accumulate)
