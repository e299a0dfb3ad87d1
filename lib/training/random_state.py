"""The states of all generators that a training draws from, as tensors."""

import torch
from torch import Tensor


def states(generators: dict[str, torch.Generator]) -> dict[str, Tensor]:
    """By name the states of `generators` and of PyTorch's default ones: "default", and "cuda" where one of them lives on such a device."""
    found = {name: generator.get_state() for name, generator in generators.items()} | {"default": torch.get_rng_state()}
    for device in _cuda(generators):
        found["cuda"] = torch.cuda.get_rng_state(device)
    return found


def restore_states(found: dict[str, Tensor], generators: dict[str, torch.Generator]) -> None:
    """Put all generators back into the states `found`."""
    for name, generator in generators.items():
        generator.set_state(found[name])
    torch.set_rng_state(found["default"])
    for device in _cuda(generators):
        torch.cuda.set_rng_state(found["cuda"], device)


def _cuda(generators: dict[str, torch.Generator]) -> set[torch.device]:
    return {generator.device for generator in generators.values() if generator.device.type == "cuda"}
