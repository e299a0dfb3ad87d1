"""The architectures have the published sizes, return logits, and can be differentiated twice."""

import numpy as np
import pytest
import torch
from torch import nn

from lib.base.errors import InputError
from lib.models import cnn, wide_resnet
from lib.network import architecture
from lib.network.architecture import Model

GREY, COLOUR = (1, 28, 28), (3, 8, 8)


def narrow(width: float = 1.0, dropout: float = 0.0, **changes) -> Model:
    return Model("cnn", width, None, dropout, **changes)


def wide(width: float = 1.0, depth: int | None = 10, dropout: float = 0.0, **changes) -> Model:
    return Model("wide_resnet", width, depth, dropout, **{"conv_bias": False, "initialisation": "he", "final_momentum": 0.1, **changes})


def small(name: str, dropout: float = 0.0, **changes) -> nn.Module:
    torch.manual_seed(0)
    if name == "cnn":
        return cnn.build(COLOUR, 4, narrow(1 / 16, dropout, **changes))
    return wide_resnet.build(COLOUR, 4, wide(0.5, dropout=dropout, **changes))


both = pytest.mark.parametrize("name", ["cnn", "wide_resnet"])


def parameters(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def images(count: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(count, *COLOUR, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_the_cnn_has_the_parameters_of_the_paper():
    assert parameters(cnn.build(GREY, 10, narrow(dropout=0.5))) == 3_274_634


def test_wrn_28_10_has_the_published_number_of_parameters():
    with torch.device("meta"):
        model = wide_resnet.build((3, 32, 32), 10, wide(10, 28, 0.3))
    assert parameters(model) == 36_479_194


@pytest.mark.parametrize("depth", [10, 16, 28])
def test_depth_is_the_number_of_convolutions_counting_one_shortcut_per_group(depth):
    model = wide_resnet.build(COLOUR, 10, wide(2, depth))
    sizes = [module.kernel_size for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(sizes) == depth and sizes.count((1, 1)) == 3


def test_wide_resnet_halves_the_image_twice():
    model = wide_resnet.build((3, 12, 12), 10, wide())
    sizes = []
    for module in model.features:
        if isinstance(module, wide_resnet.Block):
            module.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    model(torch.rand(2, 3, 12, 12))
    assert sizes == [(16, 12, 12), (32, 6, 6), (64, 3, 3)]


@pytest.mark.parametrize("outputs, stride", [(4, 1), (4, 2), (6, 1)])
def test_without_its_residual_a_block_is_the_input_or_where_the_shape_changes_a_projection_of_the_activated_input(outputs, stride):
    block = wide_resnet.Block(4, outputs, stride, wide()).double()
    nn.init.zeros_(block.residual[-1].weight)
    inputs = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    changed = (outputs, stride) != (4, 1)
    activated = nn.functional.batch_norm(inputs, None, None, training=True).relu()
    expected = nn.functional.conv2d(activated, block.shortcut.weight, stride=stride) if changed else inputs
    torch.testing.assert_close(block(inputs), expected)


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_pooling_before_a_monotone_activation_is_pooling_after_it(activation):
    torch.manual_seed(0)
    model = cnn.build(GREY, 10, narrow(0.25, activation=activation)).double()
    layers = list(model.features)
    swapped = nn.Sequential(*(layers[index] for index in (0, 2, 1, 3, 5, 4, 6)), *model.classifier)
    inputs = torch.rand(2, *GREY, dtype=torch.float64, requires_grad=True)
    ours, theirs = model(inputs), swapped(inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    gradients = [torch.autograd.grad(logits.pow(2).sum(), inputs)[0] for logits in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_an_activation_that_is_not_monotone_comes_before_the_pooling(name):
    """At -5 and -0.5 the larger activation is that of the smaller value, which pooling first would drop."""
    layers = nn.Sequential(*cnn._pooled(name))
    values = torch.tensor([-5.0, -0.5, -5.0, -0.5]).view(1, 1, 2, 2)
    expected = {"silu": nn.functional.silu, "gelu": nn.functional.gelu}[name](torch.tensor(-5.0))
    assert layers(values).item() == pytest.approx(expected.item(), abs=1e-5) and layers(values).item() > -0.1


FORMULAS = {
    "relu": lambda x: x.clamp_min(0),
    "softplus": lambda x: torch.log1p(torch.exp(10 * x)) / 10,
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_activations_are_their_formulas(name):
    values = torch.linspace(-1.5, 1.5, 31, dtype=torch.float64)
    torch.testing.assert_close(architecture.activation(name)(values), FORMULAS[name](values))


@pytest.mark.parametrize("activation", ["softplus", "silu", "gelu"])
@pytest.mark.parametrize("name", ["cnn", "wide_resnet"])
def test_every_activation_of_a_network_is_the_one_that_was_asked_for(name, activation):
    kind = type(architecture.activation(activation))
    others = {type(architecture.activation(other)) for other in FORMULAS} - {kind}
    found = [type(module) for module in small(name, activation=activation).modules()]
    assert found.count(kind) == (3 if name == "cnn" else 7) and not others & set(found)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 9, 6), (2, 4, 4)])
@both
def test_any_image_shape_gives_one_logit_per_class(name, shape):
    model = architecture.build(narrow(0.1) if name == "cnn" else wide(0.1), shape, 7)
    assert model(torch.rand(2, *shape)).shape == (2, 7)


@both
def test_outputs_are_logits_because_they_double_with_the_last_layer(name):
    model = small(name).eval()
    before = model(images())
    with torch.no_grad():
        last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        last.weight *= 2
        last.bias *= 2
    torch.testing.assert_close(model(images()), 2 * before)
    assert not torch.allclose(before.sum(1), torch.ones(3))


@both
def test_the_gradient_of_a_gradient_norm_is_what_finite_differences_say(name):
    model = small(name).double().eval()
    weight = next(model.parameters())

    def norm() -> torch.Tensor:
        inputs = images(dtype=torch.float64).requires_grad_()
        (gradient,) = torch.autograd.grad(model(inputs)[:, 0].sum(), inputs, create_graph=True)
        return gradient.flatten(1).norm(dim=1).mean()

    (derivative,) = torch.autograd.grad(norm(), weight)
    step, direction = 1e-6, derivative / derivative.norm()
    with torch.no_grad():
        weight += step * direction
    above = norm().item()
    with torch.no_grad():
        weight -= 2 * step * direction
    below = norm().item()
    assert derivative.norm().item() > 1e-3
    assert (above - below) / (2 * step) == pytest.approx(derivative.norm().item(), rel=1e-5)


@both
def test_double_backpropagation_works_in_train_mode_and_reaches_every_kernel(name):
    model = small(name, dropout=0.3).train()
    inputs = images(8).requires_grad_()
    (gradient,) = torch.autograd.grad(model(inputs)[:, 0].sum(), inputs, create_graph=True)
    gradient.pow(2).sum().backward()
    kernels = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert all(kernel.grad is not None and kernel.grad.abs().sum() > 0 for kernel in kernels)


@both
def test_dropout_acts_in_train_mode_only(name):
    model = small(name, dropout=0.5)
    model.eval()
    assert torch.equal(model(images()), model(images()))
    model.train()
    assert not torch.equal(model(images()), model(images()))


@both
def test_without_dropout_training_is_deterministic(name):
    model = small(name, dropout=0.0).train()
    assert torch.equal(model(images()), model(images()))


@both
def test_forward_leaves_no_attribute_behind(name):
    model = small(name)
    before = {key: set(vars(module)) for key, module in model.named_modules()}
    model(images())
    assert before == {key: set(vars(module)) for key, module in model.named_modules()}


def test_convolutions_of_a_wide_resnet_start_with_the_variance_of_he():
    torch.manual_seed(0)
    model = wide_resnet.build(COLOUR, 10, wide(2))
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            expected = 2 / (module.kernel_size[0] * module.kernel_size[1] * module.out_channels)
            assert module.weight.var().item() == pytest.approx(expected, rel=0.1)


def test_narrow_networks_keep_at_least_one_channel():
    assert cnn.build(GREY, 10, narrow(0.001))(torch.rand(1, *GREY)).shape == (1, 10)


@both
def test_probabilities_are_the_softmax_of_the_network_that_is_kept_as_logits_of(name):
    torch.manual_seed(0)
    settings = narrow(1 / 16, outputs="probabilities") if name == "cnn" else wide(0.5, outputs="probabilities")
    model = architecture.build(settings, COLOUR, 4).double().eval()
    inputs = images(dtype=torch.float64)
    logits = model.logits_of(inputs).detach().numpy()
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(model(inputs).detach().numpy(), expected)
    assert not hasattr(small(name), "logits_of")


def test_biases_of_convolutions_are_a_switch_and_start_at_zero_as_in_he():
    convolutions = [module for module in small("wide_resnet", conv_bias=True).modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 10 and all(not module.bias.any() for module in convolutions)
    own = [module for module in small("wide_resnet", conv_bias=True, initialisation="pytorch").modules() if isinstance(module, nn.Conv2d)]
    assert all(module.bias.abs().max() > 0 for module in own)


def test_a_bias_of_a_convolution_changes_nothing_that_a_batch_normalisation_reads_in_train_mode():
    model = small("wide_resnet", conv_bias=True).double().train()
    inputs = images(8, torch.float64)
    before = model(inputs)
    with torch.no_grad():
        model.features[1].residual[0].bias += 3.0  # between two layers of one residual
    torch.testing.assert_close(model(inputs), before)


def test_pytorchs_initialisation_has_the_variance_of_its_uniform_distribution():
    torch.manual_seed(0)
    model = wide_resnet.build(COLOUR, 10, wide(2, initialisation="pytorch"))
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            inputs = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.var().item() == pytest.approx(1 / (3 * inputs), rel=0.1)


@pytest.mark.parametrize("momentum", [0.1, 0.9])
def test_the_final_momentum_is_that_of_the_last_batch_normalisation_only(momentum):
    model = small("wide_resnet", final_momentum=momentum).double().train()
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    shown = {}
    for index, layer in enumerate(layers):
        layer.register_forward_hook(lambda module, inputs, output, index=index: shown.update({index: inputs[0].mean((0, 2, 3))}))
    model(images(8, torch.float64))
    for index, layer in enumerate(layers):
        share = momentum if index == len(layers) - 1 else 0.1
        torch.testing.assert_close(layer.running_mean, share * shown[index].detach())


@pytest.mark.parametrize(
    "settings, shape, sentence",
    [
        (Model("cnn", 1, 4, 0), GREY, "depth must be null for the architecture cnn"),
        (narrow(conv_bias=False), GREY, "conv_bias must be null for the architecture cnn, which does not have it, got False"),
        (narrow(initialisation="he"), GREY, "initialisation must be null for the architecture cnn"),
        (narrow(final_momentum=0.1), GREY, "final_momentum must be null for the architecture cnn"),
        (narrow(), (1, 28, 3), "at least 4x4 pixels, got 3x28"),
        (wide(depth=None), GREY, "depth must be 6n . 4 with n at least 1 .* got None"),
        (wide(depth=4), GREY, "depth must be 6n . 4 with n at least 1 .* got 4"),
        (wide(depth=27), GREY, "depth must be 6n . 4 with n at least 1 .* got 27"),
        (wide(conv_bias=None), GREY, "conv_bias must be true or false for the architecture wide_resnet, got null"),
        (wide(initialisation=None), GREY, "initialisation must be he or pytorch for the architecture wide_resnet, got null"),
        (wide(final_momentum=None), GREY, r"final_momentum must be a number in \(0, 1\] for the architecture wide_resnet, got null"),
    ],
)
def test_unusable_settings_are_refused(settings, shape, sentence):
    with pytest.raises(InputError, match=sentence):
        architecture.build(settings, shape, 10)


@pytest.mark.parametrize("momentum", [0.0, 1.5, -0.1])
def test_a_final_momentum_outside_the_unit_interval_is_refused(momentum):
    with pytest.raises(InputError, match=r"final_momentum must lie in \(0, 1\] or be null"):
        wide(final_momentum=momentum)
