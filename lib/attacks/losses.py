"""What an attack makes larger: losses of single images, (N, K) logits and (N,) labels to (N,)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

# At 1 the softmax is nearly flat and its gradient pulls towards all classes at once; from 3 to 8 it makes little difference.
SHARPNESS = 4.0

Loss = Callable[[Tensor, Tensor], Tensor]


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Best other logit minus the label's (Carlini & Wagner 2017): positive where fooled; its direction does not change with the
    logits' scale.

    >>> margin(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([-1.])
    """
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.amax(1) - logits.gather(1, labels[:, None])[:, 0]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy: its gradient vanishes in float32 where the network is confident."""
    return functional.cross_entropy(logits, labels, reduction="none")


def standardised_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of logits whose standard deviation over the classes is made `SHARPNESS`; the factor is taken as a constant.

    So it is the same for a network and for the same network with all logits multiplied, and does not saturate.

    >>> logits, labels = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0])
    >>> bool(standardised_cross_entropy(logits, labels) == standardised_cross_entropy(1024 * logits, labels))
    True
    """
    spread = logits.detach().std(1, keepdim=True)
    return cross_entropy(SHARPNESS * logits / spread.clamp_min(torch.finfo(logits.dtype).tiny), labels)


LOSSES: dict[str, Loss] = {
    "margin": margin,
    "cross_entropy": cross_entropy,
    "standardised_cross_entropy": standardised_cross_entropy,
}
