"""Any torch model as one that the attack suites can be run on: made by an importable factory, asked what it is, refused or remarked on."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.base.errors import InputError, require
from lib.base.image_file import Split
from lib.network.batches import on_device
from lib.network.model_state import evaluating

GOOD_ENOUGH = (torch.float32, torch.float64)
TRAIN_MODE = "the model came in train mode; it is evaluated in eval mode"
PROBABILITIES = (
    "the model's outputs lie in [0, 1] and sum to 1: they are probabilities, but attacks compute their losses from logits; G3 fails"
)
_TRIED = 8  # images that a model is asked about before anything else is done with it


@dataclass(frozen=True)
class Accepted:
    """A model that can be attacked, in the mode and state it came in, and what a person should know of it, a sentence each."""

    model: nn.Module
    remarks: tuple[str, ...]


class Adapted(nn.Module):
    """`model` as the suites call it: its images come in the floating-point type and the memory order of its parameters.

    Our own batches are float32 in channels-last order, in which a model that calls `view` on its images fails.
    """

    like: Tensor

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.training = model, model.training
        self.order = _memory_order(model)
        self.register_buffer("like", torch.empty(0, dtype=dtype), persistent=False)  # a buffer, so that .double() turns it too

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.to(self.like.dtype).contiguous(memory_format=self.order))


def from_factory(name: str, weights: Path | None, device: torch.device) -> nn.Module:
    """The model that `package.module:function` returns when it is called without arguments, with `weights` loaded into it.

    Raises:
        InputError: there is no such function, it needs arguments, it returns no model, or the weights are not this model's. What the
            function itself raises is passed on.
    """
    model = _factory(name)()
    require(isinstance(model, nn.Module), f"--factory {name} must return a torch.nn.Module, it returned {_described(model)}")
    if weights is not None:
        load(model, weights)
    return model.to(device)


def _factory(name: str) -> Callable[[], Any]:
    module_name, _, function_name = name.partition(":")
    require(bool(module_name and function_name), f"--factory must be written package.module:function, got {name!r}")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError, TypeError) as error:
        raise InputError(f"--factory {name}: importing {module_name} from the current folder failed: {_first_line(error)}") from error
    function: Any = getattr(module, function_name, None)
    require(callable(function), f"--factory {name}: {module_name} has no function {function_name!r}")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise InputError(f"--factory {name} is called without arguments, but: {error}") from error
    return function


def load(model: nn.Module, path: Path) -> None:
    """Load a .safetensors file, or else a state dict saved by torch, into `model`; nothing in the file is executed."""
    state = _safetensors(path) if path.suffix == ".safetensors" else _state_dict(path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path} does not hold the weights of this model: {_one_line(error)}") from error


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a readable safetensors file: {_first_line(error)}") from error


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what the restricted unpickler raises depends on how the file is damaged
        raise InputError(f"{path} is not a state dict that torch reads with weights_only=True ({type(error).__name__})") from error
    plain = isinstance(state, dict) and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items())
    found = f"a dict with {', '.join(map(str, list(state)[:5]))}" if isinstance(state, dict) else _described(state)
    require(plain, f"{path} must hold a state dict (names and tensors, nothing else), it holds {found}")
    return state


def accepted(model: nn.Module, test: Split, device: torch.device) -> Accepted:
    """Ask `model` about the first images of `test`, alone and together; it is handed back as it came, inside an adapter.

    Raises:
        InputError: its parameters or outputs are less than float32, it cannot take these images, its outputs are not (N, K), not
            finite, or no function of the images that can be differentiated, or K is smaller than the number of classes.
    """
    adapted = Adapted(model, _precision(model)).to(device)
    remarks = [TRAIN_MODE] * any(module.training for module in model.modules())
    images = on_device(test, device).images[:_TRIED]
    with evaluating(adapted):
        for asked in (images, images[:1]):
            _require_usable(_answer(adapted, asked), asked, test)
        remarks += [PROBABILITIES] * _probabilities(_answer(adapted, images))
    return Accepted(adapted, tuple(remarks))


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


def _answer(model: nn.Module, images: Tensor) -> Any:
    """What the model returns for images that ask for their gradient, as they do under attack."""
    try:
        return model(images.detach().clone().requires_grad_(True))
    except Exception as error:  # whatever a model of unknown origin raises here, it is these images that it could not take
        raise InputError(f"the model cannot take images of shape {tuple(images.shape)}: {_first_line(error)}") from error


def _require_usable(logits: Any, images: Tensor, test: Split) -> None:
    shaped = isinstance(logits, Tensor) and logits.dim() == 2 and len(logits) == len(images)
    said = f"the model must return logits (N, K), for images of shape {tuple(images.shape)}"
    require(shaped, f"{said} it returned {_described(logits)}")
    require(logits.dtype in GOOD_ENOUGH, f"attacks need float32 or float64, the model's outputs are {logits.dtype}")
    finite = torch.isfinite(logits).all(1)
    require(bool(finite.all()), f"the model's outputs must be finite, for {int((~finite).sum())} of {len(images)} images they are not")
    count = logits.shape[1]
    require(count >= test.classes, f"the model must have an output for each of the {test.classes} classes of the images, it has {count}")
    require(logits.requires_grad, "the model's outputs must be differentiable in the images, its forward pass cuts the graph")


def _probabilities(logits: Tensor) -> bool:
    return bool(((logits >= 0) & (logits <= 1)).all() and ((logits.sum(1) - 1).abs() < 1e-5).all())


def _described(found: Any) -> str:
    return f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0][:200]}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
