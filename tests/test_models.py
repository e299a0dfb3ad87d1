"""The architectures have the published sizes, return logits, and can be differentiated twice."""

import pytest
import torch
from torch import nn

from lib.base.errors import InputError
from lib.models import cnn, wide_resnet

GREY, COLOUR = (1, 28, 28), (3, 8, 8)


def small(name: str, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    if name == "cnn":
        return cnn.build(COLOUR, 4, width=1 / 16, depth=None, dropout=dropout)
    return wide_resnet.build(COLOUR, 4, width=0.5, depth=10, dropout=dropout)


both = pytest.mark.parametrize("name", ["cnn", "wide_resnet"])


def parameters(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def images(count: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(count, *COLOUR, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_the_cnn_has_the_parameters_of_the_paper():
    assert parameters(cnn.build(GREY, 10, width=1, depth=None, dropout=0.5)) == 3_274_634


def test_wrn_28_10_has_the_published_number_of_parameters():
    with torch.device("meta"):
        model = wide_resnet.build((3, 32, 32), 10, width=10, depth=28, dropout=0.3)
    assert parameters(model) == 36_479_194


@pytest.mark.parametrize("depth", [10, 16, 28])
def test_depth_is_the_number_of_convolutions_counting_one_shortcut_per_group(depth):
    model = wide_resnet.build(COLOUR, 10, width=2, depth=depth, dropout=0)
    sizes = [module.kernel_size for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(sizes) == depth and sizes.count((1, 1)) == 3


def test_wide_resnet_halves_the_image_twice():
    model = wide_resnet.build((3, 12, 12), 10, width=1, depth=10, dropout=0)
    sizes = []
    for module in model.features:
        if isinstance(module, wide_resnet.Block):
            module.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    model(torch.rand(2, 3, 12, 12))
    assert sizes == [(16, 12, 12), (32, 6, 6), (64, 3, 3)]


@pytest.mark.parametrize("outputs, stride", [(4, 1), (4, 2), (6, 1)])
def test_without_its_residual_a_block_is_the_input_or_where_the_shape_changes_a_projection_of_the_activated_input(outputs, stride):
    block = wide_resnet.Block(4, outputs, stride, dropout=0)
    nn.init.zeros_(block.residual[-1].weight)
    inputs = torch.randn(3, 4, 6, 6)
    changed = (outputs, stride) != (4, 1)
    activated = nn.functional.batch_norm(inputs, None, None, training=True).relu()
    expected = nn.functional.conv2d(activated, block.shortcut.weight, stride=stride) if changed else inputs
    torch.testing.assert_close(block(inputs), expected)


def test_pooling_before_relu_is_pooling_after_relu():
    torch.manual_seed(0)
    model = cnn.build(GREY, 10, width=0.25, depth=None, dropout=0).double()
    layers = list(model.features)
    swapped = nn.Sequential(*(layers[index] for index in (0, 2, 1, 3, 5, 4, 6)), *model.classifier)
    inputs = torch.rand(2, *GREY, dtype=torch.float64, requires_grad=True)
    ours, theirs = model(inputs), swapped(inputs)
    assert torch.equal(ours, theirs)
    gradients = [torch.autograd.grad(logits.pow(2).sum(), inputs)[0] for logits in (ours, theirs)]
    assert torch.equal(*gradients)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 9, 6), (2, 4, 4)])
@both
def test_any_image_shape_gives_one_logit_per_class(name, shape):
    module, depth = (cnn, None) if name == "cnn" else (wide_resnet, 10)
    model = module.build(shape, 7, width=0.1, depth=depth, dropout=0)
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
    model = wide_resnet.build(COLOUR, 10, width=2, depth=10, dropout=0)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            expected = 2 / (module.kernel_size[0] * module.kernel_size[1] * module.out_channels)
            assert module.weight.var().item() == pytest.approx(expected, rel=0.1)


def test_narrow_networks_keep_at_least_one_channel():
    assert cnn.build(GREY, 10, width=0.001, depth=None, dropout=0)(torch.rand(1, *GREY)).shape == (1, 10)


@pytest.mark.parametrize(
    "module, changes, sentence",
    [
        (cnn, {"depth": 4}, "depth must be null for the architecture cnn"),
        (cnn, {"shape": (1, 28, 3)}, "at least 4x4 pixels, got 3x28"),
        (wide_resnet, {"depth": None}, "depth must be 6n . 4 with n at least 1 .* got None"),
        (wide_resnet, {"depth": 4}, "depth must be 6n . 4 with n at least 1 .* got 4"),
        (wide_resnet, {"depth": 27}, "depth must be 6n . 4 with n at least 1 .* got 27"),
    ],
)
def test_unusable_settings_are_refused(module, changes, sentence):
    usable = {"shape": GREY, "classes": 10, "width": 1, "depth": None if module is cnn else 10, "dropout": 0}
    with pytest.raises(InputError, match=sentence):
        module.build(**{**usable, **changes})
