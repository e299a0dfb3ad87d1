"""Any torch model as one that can be attacked: asked what it is, refused or remarked on."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lib.attacks.outcomes import Settings
from lib.attacks.probes import change
from lib.base.errors import require
from lib.base.image_file import Split
from lib.network.batches import on_device
from lib.network.model_state import evaluating
from lib.sharing.foreign_models.foreign import blamed

GOOD_ENOUGH = (torch.float32, torch.float64)
TRAIN_MODE = "the model came in train mode; it is evaluated in eval mode"
FIXED_MODE = "the model has no modes, as torch.export makes it; it is evaluated as it was exported"
PROBABILITIES = (
    "the model's outputs lie in [0, 1] and sum to 1: they are probabilities, but attacks compute their losses from logits; G3 fails"
)
RANDOM = "the model gives other outputs for the same images each time; G2 fails, and no attack here fits it"
OTHERS = (
    "the model's output for an image depends on the others in its batch, so that every accuracy depends on --batch-size and none is one of "
    "single images; G2 fails unless --batch-size is 1"
)
_CHANGE = 1e-4  # from here on logits are other logits, as a share of the largest; rounding stays below 1e-5
_TRIED = 8  # images that a model is asked about before anything else is done with it


@dataclass(frozen=True)
class Accepted:
    """A model that can be attacked, in the mode and state it came in, how many classes it tells apart, and what a person should know of
    it, a sentence each."""

    model: nn.Module
    classes: int
    remarks: tuple[str, ...]

    def require_classes(self, settings: Settings) -> None:
        """Raise `InputError` where the referee needs more classes than the model has."""
        if settings.referee:
            settings.referee.require_classes(self.classes, "attacks.referee.attacks")


class Adapted(nn.Module):
    """`model` as the attacks call it: its images come in the floating-point type and the memory order of its parameters, as a copy.

    Our own batches are float32 in channels-last order, in which a model that calls `view` on its images fails, and they are wanted again
    by who asks, while a model may change its own in place. Whatever it raises is an `InputError`: these images it could not take.
    """

    like: Tensor

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.training = model, model.training
        self.order, self.has_modes = _memory_order(model), True
        self.register_buffer("like", torch.empty(0, dtype=dtype), persistent=False)  # a buffer, so that .double() turns it too

    def forward(self, images: Tensor) -> Tensor:
        own = images.to(self.like.dtype).clone(memory_format=self.order)
        with blamed(f"the model cannot take images of shape {tuple(images.shape)}"):
            return self.model(own)

    def train(self, mode: bool = True) -> "Adapted":
        """As of any module, but one that refuses, as those of torch.export do, stays as it is."""
        try:
            return super().train(mode)
        except NotImplementedError:
            self.has_modes = False
        for module in self.modules():
            module.training = mode
        return self


def accepted(model: nn.Module, test: Split, device: torch.device) -> Accepted:
    """Ask `model` about the first images of `test`, together, again and one by one; it is handed back as it came, inside an adapter.

    Raises:
        InputError: it has parameters without values, its parameters or outputs are less than float32, it cannot take these images, its
            outputs are not (N, K), not finite, or no function of the images that can be differentiated, or K is smaller than the number
            of classes.
    """
    _require_values(model)
    adapted, in_train_mode = Adapted(model, _precision(model)), any(module.training for module in model.modules())
    with blamed(f"the model cannot be moved to {device}"):
        adapted.to(device)
    images = on_device(test, device).images[:_TRIED]
    with evaluating(adapted):
        together, again = (_answer(adapted, images, test) for _ in range(2))
        alone = torch.cat([_answer(adapted, image, test) for image in images.split(1)])
    remarks = [TRAIN_MODE if adapted.has_modes else FIXED_MODE] * (in_train_mode or not adapted.has_modes)
    remarks += [PROBABILITIES] * _probabilities(together)
    same = float(change(together, again).max()) < _CHANGE
    remarks += [RANDOM] if not same else [OTHERS] * (float(change(together, alone).max()) >= _CHANGE)
    return Accepted(adapted, together.shape[1], tuple(remarks))


def _require_values(model: nn.Module) -> None:
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        sentence = "which has no values yet: call the model once in the factory, or give it weights"
        require(
            not is_lazy(tensor) and not tensor.is_meta,
            f"the model must come ready to use, with all layers built; not so {name}, {sentence}",
        )


def _precision(model: nn.Module) -> torch.dtype:
    """The type of its parameters; attacks work with differences that half precision does not see."""
    tensors = [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()]
    for tensor in tensors:
        require(tensor.dtype in GOOD_ENOUGH, f"attacks need float32 or float64, the model has parameters of {tensor.dtype}; use .float()")
    kinds = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    return torch.float64 if kinds == {torch.float64} else torch.float32


def _memory_order(model: nn.Module) -> torch.memory_format:
    kernels = [parameter for parameter in model.parameters() if parameter.dim() == 4 and not parameter.is_contiguous()]
    channels_last = any(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    return torch.channels_last if channels_last else torch.contiguous_format


def _answer(model: nn.Module, images: Tensor, test: Split) -> Tensor:
    """The logits (n, K) for images that ask for their gradient, as they do under attack, and get it."""
    asking = images.detach().clone().requires_grad_(True)
    logits = model(asking)
    _require_usable(logits, images, test)
    with blamed("the model's outputs must be differentiable in the images"):
        torch.autograd.grad(logits.sum(), asking)
    return logits.detach()


def _require_usable(logits: Any, images: Tensor, test: Split) -> None:
    shaped = isinstance(logits, Tensor) and logits.dim() == 2 and len(logits) == len(images)
    said = f"the model must return logits (N, K), for images of shape {tuple(images.shape)}"
    returned = f"a tensor of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
    require(shaped, f"{said} it returned {returned}")
    require(logits.dtype in GOOD_ENOUGH, f"attacks need float32 or float64, the model's outputs are {logits.dtype}")
    finite = torch.isfinite(logits).all(1)
    require(bool(finite.all()), f"the model's outputs must be finite, for {int((~finite).sum())} of {len(images)} images they are not")
    count = logits.shape[1]
    require(count >= test.classes, f"the model must have an output for each of the {test.classes} classes of the images, it has {count}")
    require(logits.requires_grad, "the model's outputs must be differentiable in the images, its forward pass cuts the graph")


def _probabilities(logits: Tensor) -> bool:
    return bool(((logits >= 0) & (logits <= 1)).all() and ((logits.sum(1) - 1).abs() < 1e-5).all())
