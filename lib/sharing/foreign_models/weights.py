"""Somebody's weights, loaded into somebody's model; where they do not fit, the names that differ are said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.base.errors import InputError, require
from lib.sharing.foreign_models import foreign

WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name
_LISTED = 3


def load(model: nn.Module, path: Path) -> list[str]:
    """Load a .safetensors file, or else a state dict saved by torch, into `model`; nothing in the file is executed.

    Returns:
        what a person should know of it: that the names were a wrapper's.

    Raises:
        InputError: the file is no such file, or not of this model; the sentence names what is too many, missing or of another shape.
    """
    state = _safetensors(path) if path.suffix == ".safetensors" else _state_dict(path)
    own = model.state_dict()
    bare, wrapper = _unwrapped(state) if set(state) != set(own) else (state, "")
    if wrapper and set(bare) == set(own):
        state, remarks = bare, [f"the names in {path} begin with {wrapper!r}, as a wrapper saves them; they are taken without it"]
    else:
        remarks = []
    wrong = _differences(own, state)
    require(not wrong, f"{path} does not hold the weights of this model: {wrong}")
    with foreign.blamed(f"{path} does not hold the weights of this model"):
        model.load_state_dict(state)
    return remarks


def _unwrapped(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The state without the names of known wrappers before all of its names, and these."""
    before = ""
    while state and (wrapper := next((one for one in WRAPPERS if all(name.startswith(one) for name in state)), "")):
        state, before = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}, before + wrapper
    return state, before


def _differences(own: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """In words; empty where the names are the same and so are the shapes that the model already knows."""
    missing, unknown = [name for name in own if name not in state], [name for name in state if name not in own]
    other = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and not torch.nn.parameter.is_lazy(tensor) and state[name].shape != tensor.shape
    ]
    said = [_prefixed(own, state)] if missing and unknown else []
    said += [
        f"{words} {_listed(names)}"
        for words, names in (("unexpected", unknown), ("missing", missing), ("of another shape", other))
        if names
    ]
    return "; ".join(entry for entry in said if entry)


def _prefixed(own: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """Whether one set of names is the other with something before it."""
    for more, less, whose in ((state, own, "the file's names are the model's"), (own, state, "the model's names are the file's")):
        name = next(iter(less))
        for prefix in (longer.removesuffix(name) for longer in more if longer.endswith(name)):
            if {prefix + name for name in less} == set(more):
                return f"{whose} with {prefix!r} before them"
    return ""


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a readable safetensors file: {foreign.reason(error)}") from error


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what the restricted unpickler raises depends on how the file is damaged
        wanted = "is not a state dict that torch reads with weights_only=True"
        cure = "save model.state_dict(); a whole model, TorchScript or exported program is opened by the factory instead"
        raise InputError(f"{path} {wanted} ({type(error).__name__}): {cure}") from error
    found = f"a tensor of shape {tuple(state.shape)}" if isinstance(state, Tensor) else f"a {type(state).__name__}"
    if isinstance(state, dict):
        odd = {name: value for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))}
        found = f"a dict with {_listed([_entry(*entry) for entry in odd.items()])}"
        found += f" beside {len(state) - len(odd)} tensors" * (len(odd) < len(state))
    plain = isinstance(state, dict) and not odd
    require(plain, f"{path} must hold a state dict (names and tensors, nothing else), it holds {found}")
    return state


def _entry(name: Any, value: Any) -> str:
    inner = isinstance(value, dict) and value and all(isinstance(one, Tensor) for one in value.values())
    return f"{name} ({'a state dict: save that alone' if inner else type(value).__name__})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + f" and {len(names) - _LISTED} more" * (len(names) > _LISTED)
