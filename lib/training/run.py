"""A training as it stands after an epoch: everything that decides how it goes on, as tensors and as plain values."""

from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lib.training.random_state import restore_states, states


@dataclass
class Run:
    """`order` draws the order and the augmentation of the data, `noise` what the objective needs; the epochs in `history` are done.

    `best` is the selected epoch's score and number, `weights` what the model held after it.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    order: torch.Generator
    noise: torch.Generator
    history: list[dict] = field(default_factory=list)
    best: tuple[float, int] = (-1.0, 0)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def consider(self, score: float, epoch: int) -> None:
        """Keep this epoch's weights unless an earlier one was better; of equally good epochs the later one."""
        if (score, epoch) >= self.best:
            self.best, self.weights = (score, epoch), deepcopy(self.model.state_dict())

    def facts(self) -> dict:
        """What is not a tensor, for JSON."""
        return {"history": self.history, "best": list(self.best)}

    def tensors(self) -> dict[str, Tensor]:
        """Weights, momentum, the selected weights and the states of all generators."""
        momentum = {str(index): buffer for index, buffer in enumerate(self._momentum()) if buffer is not None}
        groups = {"model": self.model.state_dict(), "momentum": momentum, "best": self.weights, "random": states(self._generators())}
        return {f"{group}/{name}": tensor for group, entries in groups.items() for name, tensor in entries.items()}

    def restore(self, facts: dict, tensors: dict[str, Tensor]) -> None:
        """Take over what `facts` and `tensors` of another run said."""
        self.history, self.best = facts["history"], (facts["best"][0], facts["best"][1])
        self.model.load_state_dict(_group(tensors, "model"))
        self.weights = _group(tensors, "best")
        for index, buffer in _group(tensors, "momentum").items():
            parameter = self._parameters()[int(index)]  # whose memory layout a buffer has
            self.optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter, requires_grad=False).copy_(buffer)
        restore_states(_group(tensors, "random"), self._generators())

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _momentum(self) -> list[Tensor | None]:
        return [self.optimizer.state.get(parameter, {}).get("momentum_buffer") for parameter in self._parameters()]

    def _generators(self) -> dict[str, torch.Generator]:
        return {"order": self.order, "noise": self.noise}


def _group(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.partition("/")[2]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}
