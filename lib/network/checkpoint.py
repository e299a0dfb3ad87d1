"""A trained model as a folder: `weights.safetensors`, `model.json` (how to build it) and `history.csv` (how it was trained), with their
digests.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lib.base import checksums, digests, files, json_text, params
from lib.base.errors import InputError, require
from lib.network import architecture
from lib.network.architecture import Model

FILES = {"weights.safetensors": "weights", "model.json": "a model description", "history.csv": "the history of a training"}


def write(folder: Path, model: nn.Module, settings: Model, shape: tuple[int, int, int], classes: int, history: list[dict]) -> None:
    """Write the three files and their digests; the folder appears under its name only when all are complete."""
    with files.writing_folder(folder) as part:
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        save_file(state, part / "weights.safetensors")
        described = {"model": asdict(settings), "shape": list(shape), "classes": classes}
        (part / "model.json").write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        _write_history(part / "history.csv", history)
        checksums.seal(part)


@dataclass(frozen=True)
class Description:
    """What model.json holds: how to build the network that the weights belong to; `shape` is (C, H, W)."""

    model: Model
    shape: list[int]
    classes: int

    def __post_init__(self) -> None:
        require(len(self.shape) == 3 and min(self.shape) > 0, f"shape must be three positive numbers, got {self.shape}")
        require(self.classes > 1, f"classes must be 2 or more, got {self.classes}")


def read(folder: Path, device: torch.device) -> nn.Module:
    """The trained model in eval mode; raises `InputError` for missing, truncated, changed or mismatched files, and for weights that are not
    finite."""
    described = _description(folder / "model.json")
    channels, height, width = described.shape
    model = architecture.build(described.model, (channels, height, width), described.classes)
    weights = folder / "weights.safetensors"
    require(weights.is_file(), f"expected weights at {weights}, found nothing there")
    try:
        model.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{weights} does not hold the weights that model.json describes: {' '.join(str(error).split())[:200]}") from error
    for name, what in FILES.items():
        checksums.unchanged(folder / name, what)
    require_finite(model, str(weights))
    return model.to(device).eval()


def require_finite(model: nn.Module, where: str) -> None:
    """Raises `InputError`, naming the first, unless all parameters and buffers of `model`, found at `where`, are finite."""
    for name, tensor in model.state_dict().items():
        require(bool(torch.isfinite(tensor).all()), f"{where}: weights must be finite, {name} is not")


def all_of(models: Path, rows: Iterable[str]) -> None:
    """Raises `InputError` unless each of `rows` has a folder in `models`, the trained models of one seed."""
    untrained = [row for row in rows if not (models / row).is_dir()]
    require(
        not untrained, f"params.yaml: expected a stage that trains each of the rows, found nothing in {models} of {', '.join(untrained)}"
    )


def _description(path: Path) -> Description:
    require(path.is_file(), f"expected a model description at {path}, found nothing there")
    return params.parse(Description, json_text.parsed(path.read_bytes(), str(path)), str(path))


def _write_history(path: Path, history: list[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def digest(folder: Path) -> str:
    """SHA-256 of the weights file, as 64 hexadecimal digits: which network this is, whatever its folder is called."""
    weights = folder / "weights.safetensors"
    require(weights.is_file(), f"expected weights at {weights}, found nothing there")
    return digests.of_file(weights)
