"""A thin convolution is a convolution: outputs, gradients, and gradients of gradients."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from lib.network.thin_convolution import ThinConvolution, adjoint

CASES = list(product((1, 3), (1, 3, 5), (0, 1, 2)))  # channels, kernel, padding


def pair(channels: int, kernel: int, padding: int, bias: bool = True) -> tuple[ThinConvolution, nn.Conv2d]:
    """The two with the same parameters, in float64."""
    torch.manual_seed(0)
    thin = ThinConvolution(channels, 4, kernel, padding, bias).double()
    plain = nn.Conv2d(channels, 4, kernel, padding=padding, bias=bias).double()
    plain.load_state_dict(thin.state_dict())
    return thin, plain


def images(channels: int, seed: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(3, channels, 7, 6, generator=random, dtype=torch.float64).to(memory_format=torch.channels_last)


def derivatives(layer: nn.Module, given: Tensor) -> list[Tensor]:
    """Output, image gradient, and all gradients of a function of both and of the parameters' gradients."""
    given = given.detach().requires_grad_(True)
    output = layer(given)
    parameters = list(layer.parameters())
    of_images, *of_parameters = torch.autograd.grad(output.tanh().sum(), [given, *parameters], create_graph=True)
    value = of_images.square().sum() + sum(gradient.sin().sum() for gradient in of_parameters) + output.square().sum()
    return [output, of_images, *of_parameters, *torch.autograd.grad(value, [given, *parameters])]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels, kernel, padding", CASES)
def test_values_and_derivatives_of_first_and_second_order_are_those_of_pytorch(channels, kernel, padding, bias):
    thin, plain = pair(channels, kernel, padding, bias)
    for ours, theirs in zip(derivatives(thin, images(channels)), derivatives(plain, images(channels)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_gradients_agree_with_finite_differences():
    thin, _ = pair(1, 3, 1)
    given = images(1).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x, w: nn.functional.tanh(_with(thin, x, w)), (given, thin.weight))
    assert torch.autograd.gradgradcheck(lambda x, w: nn.functional.tanh(_with(thin, x, w)), (given, thin.weight))


def _with(layer: nn.Module, given: Tensor, weight: Tensor) -> Tensor:
    return torch.func.functional_call(layer, {"weight": weight}, (given,))


@pytest.mark.parametrize("channels, kernel, padding", CASES)
def test_the_adjoint_is_one(channels, kernel, padding):
    """<conv(x), y> = <x, adjoint(y)> for any x and y."""
    thin, plain = pair(channels, kernel, padding, bias=False)
    output = plain(images(channels))
    other = torch.randn(output.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert (output * other).sum().item() == pytest.approx((images(channels) * adjoint(other, thin.weight, padding)).sum().item())


def test_frozen_parameters_get_no_gradient_and_images_still_do():
    thin, plain = pair(1, 5, 2)
    found = []
    for layer in (thin, plain):
        given = images(1).requires_grad_(True)
        layer.requires_grad_(False)
        layer(given).square().sum().backward()
        assert all(parameter.grad is None for parameter in layer.parameters())
        found.append(given.grad)
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_in_bfloat16_and_without_image_gradients_it_is_pytorch_itself():
    thin, plain = (layer.float() for layer in pair(1, 5, 2))
    given = images(1).float()
    assert torch.equal(thin(given), plain(given)) and type(thin(given).grad_fn) is type(plain(given).grad_fn)
    with torch.autocast("cpu", torch.bfloat16):
        lowered = thin(given.requires_grad_(True))
    assert lowered.dtype == torch.bfloat16


def test_its_parameters_go_by_the_names_of_a_convolution():
    thin, plain = pair(3, 3, 1)
    assert {name: value.shape for name, value in thin.state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
