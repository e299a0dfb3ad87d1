"""Models, weights and code that are not ours: taken as they are meant, or refused in one sentence that says why."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from classifiers import random_linear
from torch import Tensor, nn

from lib.attacks.losses import cross_entropy
from lib.attacks.pgd import ascent
from lib.base.errors import InputError
from lib.base.image_file import Split
from lib.sharing.foreign_models import factory, model, weights

CLASSES = 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of its own, and a path for imports that nobody else sees."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def some_images(channels: int) -> Split:
    pixels = np.random.default_rng(0).integers(1, 255, (8, channels, 4, 5), dtype=np.uint8)
    return Split("toy", pixels, np.arange(8) % CLASSES, np.arange(8), CLASSES, "")


class After(nn.Module):
    """A linear model on what `change` makes of its images."""

    def __init__(self, channels: int, change) -> None:
        super().__init__()
        self.model, self.change = random_linear(CLASSES, (channels, 4, 5)), change
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.model(self.change(images))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_may_change_its_images_in_place_and_nobody_elses(channels):
    test, plain, changing = some_images(channels), After(channels, lambda images: images), After(channels, lambda images: images.mul_(2.0))
    accepted = model.accepted(changing, test, torch.device("cpu"))
    images = (torch.rand(8, channels, 4, 5) / 2).contiguous(memory_format=torch.channels_last)
    kept, labels = images.clone(), torch.arange(8) % CLASSES
    expected = ascent(plain, 2 * images, labels, cross_entropy)
    gradient, logits, _ = ascent(accepted.model, images, labels, cross_entropy)
    with torch.no_grad():
        torch.testing.assert_close(accepted.model(images), expected[1])
    assert torch.equal(images, kept) and accepted.remarks == ()
    torch.testing.assert_close((gradient, logits), (2 * expected[0], expected[1]))


def alike(images: Tensor) -> Tensor:
    """Attention of every image to every other."""
    flat = images.flatten(1)
    return images + ((flat @ flat.T).softmax(1) @ flat).view_as(images)


@pytest.mark.parametrize(
    "change, remarks",
    [
        (lambda images: nn.functional.batch_norm(images, None, None, training=True), [model.OTHERS]),
        (lambda images: images / images.amax(), [model.OTHERS]),
        (alike, [model.OTHERS]),
        (lambda images: images * torch.linspace(0.5, 1, len(images)).view(-1, 1, 1, 1), [model.OTHERS]),
        (lambda images: images + torch.rand_like(images), [model.RANDOM]),
        (lambda images: nn.functional.instance_norm(images), []),
        (lambda images: images / images.amax((1, 2, 3), keepdim=True), []),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_looks_at_the_whole_batch_is_told_from_what_looks_at_each_image(change, remarks, channels):
    assert list(model.accepted(After(channels, change), some_images(channels), torch.device("cpu")).remarks) == remarks


def test_it_says_how_many_classes_the_model_tells_apart():
    wide = nn.Sequential(nn.Flatten(), nn.Linear(20, 7)).eval()
    assert model.accepted(wide, some_images(1), torch.device("cpu")).classes == 7


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, CLASSES))


STATE = network().state_dict()


@pytest.mark.parametrize("before", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_the_names_of_a_known_wrapper_are_taken_off_and_remarked_on(before):
    torch.save({before + name: tensor for name, tensor in STATE.items()}, "wrapped.pt")
    bare = network()
    assert weights.load(bare, Path("wrapped.pt")) == [
        f"the names in wrapped.pt begin with '{before}', as a wrapper saves them; they are taken without it"
    ]
    assert all(torch.equal(tensor, STATE[name]) for name, tensor in bare.state_dict().items())


def test_a_wrapper_of_the_models_own_is_left_alone():
    wrapped = nn.Module()
    wrapped.module = network()
    torch.save(wrapped.state_dict(), "own.pt")
    assert weights.load(wrapped, Path("own.pt")) == []


def saved(change) -> None:
    torch.save(change(network()), "some.pt")


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda net: net.state_dict() | {"epoch": 3}, "must hold .* it holds a dict with epoch .int. beside 4 tensors"),
        (lambda net: {"epoch": 3, "model": net.state_dict()}, "it holds a dict with epoch .int., model .a state dict: save that alone."),
        (
            lambda net: {"net." + name: 0 * one for name, one in STATE.items()},
            "the file's names are the model's with 'net.' before them; un",
        ),
        (lambda net: net[1].state_dict(), "unexpected weight, bias; missing 1.weight, 1.bias, 3.weight and 1 more$"),
        (lambda net: net.state_dict() | {"ema": torch.zeros(1)}, "the weights of this model: unexpected ema$"),
        (lambda net: net.state_dict() | {"3.bias": torch.zeros(10)}, r"this model: of another shape 3.bias \(10,\) instead of \(4,\)$"),
        (lambda net: list(net.parameters()), "it holds a list"),
        (lambda net: torch.zeros(2), r"it holds a tensor of shape \(2,\)"),
        (lambda net: net, "a whole model, TorchScript or exported program is opened by the factory instead"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_the_names_that_differ(change, sentence):
    saved(change)
    with pytest.raises(InputError, match=sentence):
        weights.load(network(), Path("some.pt"))


def test_names_that_the_model_has_more_of_are_said():
    torch.save(STATE, "some.pt")
    with pytest.raises(InputError, match="the model's names are the file's with 'module.' before them"):
        weights.load(nn.ModuleDict({"module": network()}), Path("some.pt"))


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("import torch; torch.zeros(1).to('cuda:99')", "importing mine from the current folder failed: .* .mine.py, line 2.$"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package' .mine.py, line 2.$"),
        ("import sys; sys.exit(3)", "SystemExit: 3 .mine.py, line 2.$"),
        ("raise KeyError('DATA')", "KeyError: 'DATA' .mine.py, line 2.$"),
        ("class Own(BaseException): pass\ndef make(:", "SyntaxError: "),
        ("open('no/such.csv')", "FileNotFoundError: .*no/such.csv"),
        ("def make(): return 1 / 0", "--factory mine:make: make failed: ZeroDivisionError: division by zero .mine.py, line 2.$"),
        ("def make(width): return 1", "is called without arguments, but: missing a required argument: 'width'"),
        ("make = dict", "must return a torch.nn.Module, it returned a dict"),
        ("make = 3", "mine has no function 'make'"),
    ],
)
def test_whatever_somebodys_module_raises_is_one_sentence_with_its_line(monkeypatch, line, sentence):
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    Path("mine.py").write_text(f"# mine\n{line}\n")
    with pytest.raises(InputError, match=sentence) as refused:
        factory.made("mine:make")
    assert "\n" not in str(refused.value)


def test_what_an_import_sets_for_the_process_is_set_back(folder):
    lines = ["import os, torch", "os.chdir('/')", "torch.set_default_dtype(torch.float64)", "torch.set_grad_enabled(False)"]
    lines += ["torch.set_default_device('meta')", "make = lambda: torch.nn.Flatten()"]
    Path("setting.py").write_text("\n".join(lines))
    factory.made("setting:make")
    assert (Path.cwd(), torch.get_default_dtype(), torch.is_grad_enabled()) == (folder, torch.float32, True)
    assert torch.zeros(1).device.type == "cpu"


def test_a_lib_of_their_own_is_imported_and_ours_is_back_afterwards(folder):
    Path("lib").mkdir()
    Path("lib/nets.py").write_text("from torch import nn\nmake = lambda: nn.Flatten()\n")
    Path("theirs.py").write_text("import lib.nets\ndef make():\n    from lib.nets import make\n    return make()\n")
    assert isinstance(factory.made("theirs:make"), nn.Flatten)
    assert sys.modules["lib.sharing.foreign_models.factory"] is factory and "lib.nets" not in sys.modules
