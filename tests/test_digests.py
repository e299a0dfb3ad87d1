"""Whatever one stage writes and another reads: one flipped byte, a cut end or a longer one is refused with the file's name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_checkpoint
import test_files
import torch

from lib.base import checksums, image_file
from lib.base.errors import InputError
from lib.evaluation import outcome_file, parts
from lib.gradients import gradient_file
from lib.network import checkpoint
from lib.studies import measure_file
from lib.studies.measure_file import Measures
from lib.targets import target_file
from lib.training import resume

FLIPS = 30
MEASURES = {seed: Measures(*np.full((7, 4), 0.5), np.full(4, -0.5), 0.25, {"strength": 2.0}) for seed in (0, 1)}
TENSORS = {"model/weight": torch.arange(12.0).view(3, 4), "random/order": torch.arange(9, dtype=torch.uint8), "best/steps": torch.tensor(3)}


class Training:
    """What a state is taken of and given back to."""

    restored: tuple | None = None

    def facts(self) -> dict:
        return {"history": [{"epoch": 1, "loss": 0.1}], "best": [0.5, 1]}

    def tensors(self) -> dict[str, torch.Tensor]:
        return TENSORS

    def restore(self, *found: Any) -> None:
        self.restored = found


@dataclass(frozen=True)
class Kind:
    """How a file is written at a place below the current folder, and what a reader makes of it."""

    write: Callable[[Path], object]
    read: Callable[[Path], object]
    name: str = "file.h5"
    all_bytes: bool = True  # else some are read by nobody


def write_model(path: Path) -> None:
    checkpoint.write(path.parent, test_checkpoint.built(), test_checkpoint.CNN, test_checkpoint.SHAPE, 3, test_checkpoint.HISTORY)


def read_model(path: Path) -> object:
    return checkpoint.read(path.parent, test_checkpoint.CPU).state_dict()


def write_state(path: Path) -> None:
    resume.Store(Path("R"), "mine").save(Training())


def read_state(path: Path) -> object:
    run = Training()
    resume.Store(Path("R"), "mine").load(run)
    if run.restored is None:
        raise InputError(f"{path} was not taken up")
    return run.restored


def model(name: str, all_bytes: bool = True) -> Kind:
    return Kind(write_model, read_model, f"R/{name}", all_bytes)


KINDS = {
    "images": Kind(test_files.write_images, lambda path: image_file.read(path, "train"), all_bytes=False),
    "maps": Kind(test_files.write_targets, lambda path: target_file.read(path, test_files.TRAIN), all_bytes=False),
    "radii": Kind(test_files.write_outcomes, outcome_file.read),
    "parts": Kind(lambda path: parts.write(path, test_files.OUTCOMES, parts.Part(0, 1, 2, 3, {"weights": "a"})), parts.read),
    "gradients": Kind(test_files.write_gradients, gradient_file.read),
    "measures": Kind(lambda path: measure_file.write(path, "relu", MEASURES), measure_file.read),
    "weights": model("weights.safetensors"),
    "description": model("model.json"),
    "history": model("history.csv"),
    "sums": model(checksums.SUMS, all_bytes=False),
    "training state": Kind(write_state, read_state, ".resume/R.safetensors", all_bytes=False),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plain(value: object) -> object:
    """Whatever a reader gives, for a comparison: arrays and tensors by their bytes."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        values = np.asarray(value)
        return str(values.dtype), values.shape, values.tobytes()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return plain(vars(value)) if hasattr(value, "__dataclass_fields__") else value


def refusal(kind: Kind, path: Path) -> str:
    """The sentence of the reader; none where it reads on."""
    try:
        kind.read(path)
    except InputError as error:
        return str(error)
    return ""


@every_kind
def test_one_flipped_byte_is_refused_or_stands_where_nobody_reads(folder: None, kind: Kind) -> None:
    path = Path(kind.name)
    kind.write(path)
    right, whole = plain(kind.read(path)), path.read_bytes()
    for place in sorted({*range(0, len(whole), -(-len(whole) // FLIPS)), len(whole) - 1}):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        told = refusal(kind, path)
        if told:
            assert all(path.name in sentence for sentence in told.splitlines()), place
        else:
            assert not kind.all_bytes and plain(kind.read(path)) == right, place


@pytest.mark.parametrize("kind", [kind for name, kind in KINDS.items() if name != "sums"], ids=[name for name in KINDS if name != "sums"])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[: len(data) // 2], lambda data: data + b"garbage"])
def test_an_end_that_is_cut_or_continued_is_refused(folder: None, kind: Kind, change: Callable[[bytes], bytes]) -> None:
    path = Path(kind.name)
    kind.write(path)
    path.write_bytes(change(path.read_bytes()))
    assert path.name in refusal(kind, path)
