"""Rows of the input-logits Jacobian equal those of torch.func, class by class and image by image."""

import pytest
import torch
from classifiers import Quadratic, Scaled, grey, random_linear, smooth

from lib.base.errors import InputError
from lib.network import input_gradients

SHAPE = (2, 4, 4)
LABELS = torch.tensor([2, 0, 1, 2, 1])


def exact(model, images):
    """(N, K, C, H, W) by torch.func, one image at a time."""
    return torch.stack([torch.func.jacrev(lambda one: model(one[None])[0])(image) for image in images])


def double(count: int = 5) -> torch.Tensor:
    return grey(count, SHAPE, low=0, high=1).double()


def test_the_jacobian_is_that_of_torch_func():
    model, images = smooth(3, SHAPE).double(), double().requires_grad_()
    torch.testing.assert_close(input_gradients.jacobian(model(images), images), exact(model, images.detach()), rtol=1e-12, atol=1e-14)


def test_the_label_gradient_is_the_labels_row_of_the_jacobian():
    model, images = smooth(3, SHAPE).double(), double().requires_grad_()
    expected = exact(model, images.detach())[torch.arange(5), LABELS]
    torch.testing.assert_close(input_gradients.label_logit_gradient(model(images), images, LABELS), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(input_gradients.of_label(model, images, LABELS), expected, rtol=1e-12, atol=1e-14)


def test_the_gradient_of_a_linear_model_is_the_signed_weight_of_the_label():
    model = random_linear(3, SHAPE)
    found = input_gradients.of_label(model, grey(5, SHAPE), LABELS)
    assert torch.equal(found, model.weight.detach()[LABELS]) and found.min() < 0 < found.max()


def test_the_gradient_is_of_logits_and_not_of_probabilities():
    """It doubles with the logits, however confident the model is."""
    model, images = random_linear(3, SHAPE), grey(5, SHAPE)
    confident = input_gradients.of_label(Scaled(model, 1000.0), images, LABELS)
    torch.testing.assert_close(confident, 1000 * input_gradients.of_label(model, images, LABELS))


def test_a_kept_graph_gives_second_derivatives():
    """The gradient of a quadratic is H x + b, so the derivative of <v, gradient> is H v."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(3, 32, 32, generator=generator, dtype=torch.float64)
    curvature, slope = half + half.transpose(1, 2), torch.randn(3, 32, generator=generator, dtype=torch.float64)
    model, images = Quadratic(curvature, slope), double().requires_grad_()
    gradient = input_gradients.label_logit_gradient(model(images), images, LABELS, keep_graph=True)
    expected = torch.einsum("nij,nj->ni", curvature[LABELS], images.detach().flatten(1)) + slope[LABELS]
    torch.testing.assert_close(gradient.detach().flatten(1), expected)
    vector = torch.randn(5, *SHAPE, generator=generator, dtype=torch.float64)
    (second,) = torch.autograd.grad((gradient * vector).sum(), images, retain_graph=True)
    torch.testing.assert_close(second.flatten(1), torch.einsum("nij,nj->ni", curvature[LABELS], vector.flatten(1)))
    rows = input_gradients.jacobian(model(images), images, keep_graph=True)
    (of_rows,) = torch.autograd.grad((rows[torch.arange(5), LABELS] * vector).sum(), images)
    torch.testing.assert_close(of_rows, second)


def test_without_a_kept_graph_the_result_is_detached_and_weights_get_no_gradient():
    model, images = smooth(3, SHAPE), grey(5, SHAPE)
    found = input_gradients.of_label(model, images, LABELS)
    assert not found.requires_grad and not images.requires_grad
    assert all(weight.grad is None for weight in model.parameters())
    with torch.no_grad():
        assert torch.equal(input_gradients.of_label(model, images, LABELS), found)


def test_images_that_ask_for_no_gradient_are_refused():
    model, images = smooth(3, SHAPE), grey(5, SHAPE)
    with pytest.raises(InputError, match="images must require a gradient before the forward pass"):
        input_gradients.label_logit_gradient(model(images), images, LABELS)
    with pytest.raises(InputError, match="images must require a gradient before the forward pass"):
        input_gradients.jacobian(model(images), images)
