"""What lets a killed training go on after its last finished epoch: one file in `.resume`, outside of what DVC knows.

The file holds tensors and, in its header, JSON and the digest of both. It is replaced as a whole after each epoch and removed when the
result is written. A fingerprint says which training it belongs to: one with any other setting, datum, code or version does not take it up.
"""

import hashlib
import json
import sys
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lib.base import digests, files, resume_folder
from lib.base.errors import require
from lib.network import processes
from lib.training.objective import Objective
from lib.training.run import Run


class Store:
    """The file that belongs to the result `out`, for the training with this `fingerprint`."""

    def __init__(self, out: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = resume_folder.place(out, ".safetensors"), fingerprint

    def load(self, run: Run) -> None:
        """Bring `run` to where the file says it was, if there is one of this training; say so, or why not, on standard error.

        Of several processes the first reads the file, which need not lie where the others are.
        """
        found = processes.from_first(self._found)
        if found is not None:
            run.restore(*found)

    def _found(self) -> tuple[dict, dict[str, Tensor]] | None:
        if not self.path.is_file():
            return None
        try:
            header, tensors = _read(self.path)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            _say(f"{self.path} is damaged ({' '.join(str(error).split())[:100]}); training starts over")
            return None
        if header["fingerprint"] != self.fingerprint:
            _say(f"{self.path} belongs to a training with other settings, data or code; training starts over")
            return None
        _say(f"training resumes at epoch {len(header['facts']['history']) + 1}, from {self.path}")
        return header["facts"], tensors

    def save(self, run: Run) -> None:
        """Put the file of `run` in the place of the one before; a kill at any time leaves one of the two. The first process does it."""
        if not processes.is_first():
            return
        state = json.dumps({"fingerprint": self.fingerprint, "facts": run.facts()})
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in run.tensors().items()}
        with files.writing(self.path) as part:
            save_file(tensors, part, {"state": state, "digest": _digest(state, tensors)})

    def remove(self) -> None:
        """Remove the file and the folders that it leaves empty. The first process does it."""
        if not processes.is_first():
            return
        for path in (self.path, self._part()):
            path.unlink(missing_ok=True)
        resume_folder.remove_empty(self.path)

    def _part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")


def fingerprint(objective: Objective, **facts: Any) -> str:
    """SHA-256 of everything that decides what a training gives: objective, `facts` (dataclasses or plain values), torch, this code."""
    told = {"objective": _told(objective), "facts": _told(facts), "torch": torch.__version__, "code": digests.of_code()}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _told(value: Any) -> Any:
    """`value` for JSON: settings by their fields, functions by their name."""
    if isinstance(value, partial):
        return [_told(value.func), _told(list(value.args)), _told(value.keywords)]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__qualname__, _told(asdict(value))]
    if isinstance(value, dict):
        return {str(key): _told(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(entry) for entry in value]
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
    return value if value is None or isinstance(value, (str, int, float)) else repr(value)


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    with safe_open(path, "pt") as file:
        header = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dictionary)
    require(header["digest"] == _digest(header["state"], tensors), "its digest is not that of its content")
    return json.loads(header["state"]), tensors


def _digest(state: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 over the text, and each tensor's name, type, shape and bytes in the order of the names."""
    found = hashlib.sha256(state.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
