"""A model folder is complete or absent, says what it is, and cannot run code."""

import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from classifiers import grey
from safetensors.torch import load_file, save_file
from torch import nn

from lib.base.errors import InputError
from lib.network import architecture, checkpoint
from lib.network.architecture import Model

SHAPE, CPU = (1, 8, 8), torch.device("cpu")
HISTORY = [{"epoch": 1, "loss": 0.5, "selected": 0}, {"epoch": 2, "loss": 0.25, "selected": 1}]
CNN = Model("cnn", 0.1, None, 0.5)
WIDE = Model("wide_resnet", 0.5, 10, 0.3, conv_bias=True, initialisation="pytorch", final_momentum=0.9)


def built(settings: Model = CNN, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return architecture.build(settings, SHAPE, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint.write(tmp_path / "models" / "NR", built(), CNN, SHAPE, 3, HISTORY)
    return tmp_path / "models" / "NR"


@pytest.mark.parametrize(
    "settings", [CNN, WIDE, Model("cnn", 0.1, None, 0.5, "gelu", "probabilities")], ids=["cnn", "wide_resnet", "probabilities"]
)
def test_what_is_read_gives_the_logits_of_what_was_written(tmp_path, settings):
    model, images = built(settings), grey(16, SHAPE)
    model.train()(images)  # so that batch normalisation has statistics of its own
    checkpoint.write(tmp_path / "model", model, settings, SHAPE, 3, HISTORY)
    found = checkpoint.read(tmp_path / "model", CPU)
    assert not any(module.training for module in found.modules())
    assert torch.equal(found(images), model.eval()(images))


def test_reading_leaves_the_global_random_state_to_its_owner_and_weights_to_the_file(folder):
    """Two reads agree, whatever random weights the architecture starts from."""
    torch.manual_seed(1)
    first = checkpoint.read(folder, CPU)
    torch.manual_seed(2)
    assert all(map(torch.equal, first.parameters(), checkpoint.read(folder, CPU).parameters()))


def test_a_folder_holds_weights_description_history_and_their_digests_and_nothing_else(folder):
    assert {path.name for path in folder.iterdir()} == {"weights.safetensors", "model.json", "history.csv", "SHA256SUMS"}
    assert {path.name for path in folder.parent.iterdir()} == {"NR"}
    described = json.loads((folder / "model.json").read_text())
    assert described == {
        "model": {
            "architecture": "cnn", "width": 0.1, "depth": None, "dropout": 0.5, "activation": "relu", "outputs": "logits",
            "conv_bias": None, "initialisation": None, "final_momentum": None,
        },
        "shape": [1, 8, 8],
        "classes": 3,
    }  # fmt: skip
    assert (folder / "history.csv").read_bytes() == b"epoch,loss,selected\n1,0.5,0\n2,0.25,1\n"


def test_writing_the_same_model_twice_gives_the_same_bytes_and_digest(tmp_path, folder):
    checkpoint.write(tmp_path / "again", built(), CNN, SHAPE, 3, HISTORY)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert checkpoint.digest(folder) == checkpoint.digest(tmp_path / "again")
    checkpoint.write(tmp_path / "other", built(seed=1), CNN, SHAPE, 3, HISTORY)
    assert checkpoint.digest(folder) != checkpoint.digest(tmp_path / "other")


def test_a_writer_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_write_history", lambda *rest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        checkpoint.write(tmp_path / "model", built(), CNN, SHAPE, 3, HISTORY)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_keeps_the_model_that_was_there(folder, monkeypatch):
    before = checkpoint.digest(folder)
    monkeypatch.setattr(checkpoint, "_write_history", lambda *rest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        checkpoint.write(folder, built(seed=1), CNN, SHAPE, 3, HISTORY)
    assert checkpoint.digest(folder) == before and len(list(folder.parent.iterdir())) == 1


def test_a_new_model_replaces_the_whole_folder(folder):
    (folder / "leftover.txt").write_text("from an earlier version")
    before = checkpoint.digest(folder)
    checkpoint.write(folder, built(seed=1), CNN, SHAPE, 3, HISTORY)
    assert checkpoint.digest(folder) != before and not (folder / "leftover.txt").exists()


def test_the_rest_of_a_killed_writer_does_not_disturb(folder):
    part = folder.with_name("NR.part")
    part.mkdir()
    (part / "rest").write_text("")
    checkpoint.write(folder, built(), CNN, SHAPE, 3, HISTORY)
    assert not part.exists() and not (folder / "rest").exists()


def refused(folder: Path, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        checkpoint.read(folder, CPU)
    sentences = str(caught.value).splitlines()
    assert all(str(folder) in each for each in sentences) and len(str(caught.value)) < 600


@pytest.mark.parametrize("name, what", [("weights.safetensors", "weights"), ("model.json", "a model description")])
def test_missing_files_are_named(folder, name, what):
    (folder / name).unlink()
    refused(folder, f"expected {what} at .*{name}, found nothing there")


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_truncated_weights_are_refused(folder, size):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    refused(folder, "weights.safetensors does not hold the weights that model.json describes")


@pytest.mark.parametrize("width", [0.2, 0.05])
def test_weights_of_another_architecture_are_refused(folder, width):
    described = json.loads((folder / "model.json").read_text())
    described["model"]["width"] = width
    (folder / "model.json").write_text(json.dumps(described))
    refused(folder, "does not hold the weights that model.json describes: .*size mismatch")


@pytest.mark.parametrize("change", ["missing", "additional"])
def test_weights_with_missing_or_additional_tensors_are_refused(folder, change):
    state = load_file(folder / "weights.safetensors")
    if change == "missing":
        state.pop(next(iter(state)))
    else:
        state["more"] = torch.zeros(1)
    save_file(state, folder / "weights.safetensors")
    refused(folder, "does not hold the weights that model.json describes")


@pytest.mark.parametrize("text", ["", "{", '{"model": '])
def test_a_description_that_is_not_json_is_refused(folder, text):
    (folder / "model.json").write_text(text)
    refused(folder, "model.json is not valid JSON")


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b"\xff\xfe\x00",
        b'{"model": {"architecture": "cnn"}, "shape": [1, 8, 8], "classes": 3}',
        b'{"model": {"architecture": "cnn", "width": "1", "depth": null, "dropout": 0.5}, "shape": [1, 8, 8], "classes": 3}',
        b'{"model": {"architecture": "cnn", "width": 1, "depth": null, "dropout": 0.5}, "shape": [8, 8], "classes": 3}',
    ],
    ids=["empty", "list", "binary", "lacking keys", "text for a number", "two dimensions"],
)
def test_a_description_of_something_else_is_refused(folder, content):
    (folder / "model.json").write_bytes(content)
    refused(folder, "model.json")


def test_an_unknown_architecture_is_refused(folder):
    described = json.loads((folder / "model.json").read_text())
    described["model"]["architecture"] = "os.path"
    (folder / "model.json").write_text(json.dumps(described))
    refused(folder, "architecture must be a file in lib/models, got 'os.path'")


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_planted_pickle_is_refused_and_not_executed(folder, tmp_path, how):
    trap, planted = tmp_path / "executed", folder / "weights.safetensors"
    if how == "pickle":
        planted.write_bytes(pickle.dumps(Trap(trap)))
    else:
        torch.save({"weight": Trap(trap)}, planted)
    refused(folder, "does not hold the weights that model.json describes")
    assert not trap.exists()
    if how == "pickle":
        pickle.loads(planted.read_bytes()).close()
        assert trap.exists()  # the trap works


def test_no_code_of_the_project_unpickles():
    sources = [path for folder in ("lib", "stages") for path in Path(folder).rglob("*.py")]
    assert len(sources) > 30
    for path in sources:
        text = path.read_text()
        assert not any(word in text for word in ("pickle.load", "allow_pickle=True", "joblib", "dill")), path
        assert text.count("torch.load(") == len(re.findall(r"torch\.load\([^\n]*weights_only=True", text)), path


def test_a_digest_needs_weights(tmp_path):
    with pytest.raises(InputError, match="expected weights at .*, found nothing there"):
        checkpoint.digest(tmp_path)


def test_rows_that_nothing_has_trained_are_named_together(folder):
    (folder.parent / "JR").mkdir()
    checkpoint.all_of(folder.parent, ["JR"])
    with pytest.raises(InputError, match="params.yaml: expected a stage that trains each of the rows, found nothing in .* of AT, other$"):
        checkpoint.all_of(folder.parent, ["AT", "JR", "other"])
