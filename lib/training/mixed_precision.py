"""The same network, computed in bfloat16 inside and giving float32."""

import torch
from torch import Tensor, nn

from lib.network.architecture import Probabilities


def lowered(model: nn.Module) -> nn.Module:
    """`model` in bfloat16, with the same parameters; a softmax at its end stays in float32."""
    return Probabilities(Lowered(model.logits_of)) if isinstance(model, Probabilities) else Lowered(model)


class Lowered(nn.Module):
    """Convolutions and matrix products in bfloat16 by autocast, logits in float32; parameters and their gradients stay float32.

    Only the forward pass lies within autocast: what an objective makes of logits and input gradients (cross-entropy, norms, cosines)
    is computed in float32. A backward pass works in the types that its forward pass left behind.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        # Without the cache of lowered weights: each is used once in a pass, and a CUDA graph must not hold on to another's copies.
        with torch.autocast(images.device.type, torch.bfloat16, cache_enabled=False):
            outputs = self.model(images)
        return outputs.float()
