"""Gradients of logits with respect to the image: rows of the input-logits Jacobian."""

from typing import Literal

import torch
from torch import Tensor, nn

from lib.base.errors import require

Of = Literal["logits", "outputs"]


def label_logit_gradient(logits: Tensor, images: Tensor, labels: Tensor, *, keep_graph: bool = False) -> Tensor:
    """Gradient of each image's own label logit, J_c(x): the simple-gradient saliency map (Simonyan et al. 2014, sec. 3).

    Args:
        logits: (N, K) unnormalised scores computed from `images`; never probabilities.
        images: (N, C, H, W), with `requires_grad` set before the forward pass.
        labels: (N,) int64 classes.
        keep_graph: whether the result itself can be differentiated, as a penalty on it needs.

    Returns:
        (N, C, H, W) signed gradients, in logits per unit of pixel intensity.

    Raises:
        InputError: `images` does not require a gradient.
    """
    require(images.requires_grad, "images must require a gradient before the forward pass, they do not")
    chosen = logits.gather(1, labels[:, None]).sum()
    return torch.autograd.grad(chosen, images, create_graph=keep_graph, retain_graph=keep_graph)[0]


def jacobian(logits: Tensor, images: Tensor, *, keep_graph: bool = False) -> Tensor:
    """All K rows of the input-logits Jacobian, (N, K, C, H, W), by one backward pass per class.

    Images are independent of each other only where the model treats them so: eval mode, or no batch normalisation.
    """
    require(images.requires_grad, "images must require a gradient before the forward pass, they do not")
    rows = [torch.autograd.grad(column.sum(), images, create_graph=keep_graph, retain_graph=True)[0] for column in logits.unbind(1)]
    return torch.stack(rows, 1)


def of_label(model: nn.Module, images: Tensor, labels: Tensor, of: Of = "logits") -> Tensor:
    """J_c at `images` (N, C, H, W), without a graph; the caller has put the model in the state it should be measured in.

    `of` matters where a network returns probabilities (model.outputs): "logits" differentiates what its softmax is taken of.
    """
    images = images.detach().requires_grad_(True)
    differentiated = getattr(model, "logits_of", model) if of == "logits" else model
    with torch.enable_grad():
        return label_logit_gradient(differentiated(images), images, labels)
