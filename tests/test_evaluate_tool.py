"""`python -m tools.evaluate` on tiny models of known behaviour: what it writes, what it remarks on, what it refuses."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from classifiers import random_linear, smooth
from click.testing import CliRunner, Result
from PIL import Image
from project import ROOT
from ruamel.yaml import YAML
from safetensors.torch import save_file
from torch import Tensor, nn

from lib.attacks import outcomes
from lib.attacks.work import Evaluation
from lib.base import image_file, params
from lib.base.errors import InputError
from lib.evaluation import outcome_file
from lib.evaluation.outcome_file import Outcomes
from lib.evaluation.threats import threats
from lib.gate.rules import RULES
from lib.network import architecture, checkpoint
from lib.sharing.foreign_models import images as any_images
from lib.sharing.foreign_models import model as any_model
from tools.evaluate import main

SHAPE, CLASSES, COUNT = (3, 4, 4), 4, 24
PARAMS = {
    "evaluation": {"images": 20, "batch_size": 7},
    "threats": {
        "table": [{"norm": "l2", "epsilon": 0.5, "step_size": 0.2}, {"norm": "linf", "epsilon": 0.03, "step_size": 0.01}],
        "large": [{"norm": "linf", "epsilon": 0.3, "step_size": 0.1}],
        "small": [{"norm": "linf", "epsilon": 0.02, "step_size": 0.01}],
    },
    "attacks": {
        "search": {"seed": 0, "gradients": 14, "classes": 3, "steps": 5, "worth": 0.01},
        "paper": {"seed": 0, "steps": 5, "runs": 2, "batch_size": 50},
        "referee": {"seed": 0, "radii": {"linf": 0.03}, "images": 4, "attacks": ["apgd-ce"], "iterations": 2, "targets": 1, "queries": 2},
        "probes": {"seed": 0, "images": 10, "draws": 2, "norms": ["linf"], "longer": 1.5},
    },
    "own_attacks": {},
}


def weighty() -> nn.Module:
    """The honest model of these tests."""
    return nn.Sequential(nn.Flatten(), nn.Linear(48, CLASSES)).eval().requires_grad_(True)


def honest() -> nn.Module:
    model = weighty()
    linear = random_linear(CLASSES, SHAPE)
    model[1].load_state_dict({"weight": linear.weight.flatten(1), "bias": linear.bias})
    return model


class Wrapped(nn.Module):
    """What `change` makes of the honest logits and the images."""

    def __init__(self, change) -> None:
        super().__init__()
        self.model, self.change = honest(), change
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.change(self.model(images), images)


class Changed(nn.Module):
    """The honest model on images that `change` has seen before."""

    def __init__(self, change) -> None:
        super().__init__()
        self.model, self.change = honest(), change
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.model(self.change(images))


def softmax() -> nn.Module:
    return Wrapped(lambda logits, images: logits.softmax(1))


def not_a_number() -> nn.Module:
    return Wrapped(lambda logits, images: logits / torch.where(images.flatten(1)[:, :1] > 0, 0.0, 1.0) * 0.0)


def flat() -> nn.Module:
    return Wrapped(lambda logits, images: logits.argmax(1))


def squeezed() -> nn.Module:
    return Wrapped(lambda logits, images: logits.squeeze())


def paired() -> nn.Module:
    return Wrapped(lambda logits, images: (logits, images))


def two_classes() -> nn.Module:
    return Wrapped(lambda logits, images: logits[:, :2])


def half_outputs() -> nn.Module:
    return Wrapped(lambda logits, images: logits.half())


def cut() -> nn.Module:
    return Wrapped(lambda logits, images: logits.detach())


def half() -> nn.Module:
    return honest().half()


def double() -> nn.Module:
    return honest().double()


def viewed() -> nn.Module:
    return Wrapped(lambda logits, images: logits + 0 * images.view(len(images), -1).sum(1, keepdim=True))


def other_shape() -> nn.Module:
    return nn.Linear(7, CLASSES).eval()


def always_first() -> nn.Module:
    model = honest()
    model[1].bias.data[0] += 1e4
    return model


class NoWayBack(torch.autograd.Function):
    @staticmethod
    def forward(context, logits):
        return logits.clone()

    @staticmethod
    def backward(context, gradient):
        raise RuntimeError("no way back")


def severed() -> nn.Module:
    return Wrapped(lambda logits, images: NoWayBack.apply(logits))


def unbuilt() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(CLASSES))


def without_storage() -> nn.Module:
    return weighty().to("meta")


def exported_for_two() -> nn.Module:
    return torch.export.export(honest(), (torch.zeros(2, *SHAPE),)).module()


def exported() -> nn.Module:
    return torch.export.export(honest(), (torch.zeros(2, *SHAPE),), dynamic_shapes=({0: torch.export.Dim("n")},)).module()


def crashing() -> nn.Module:
    return torch.load("weights.pt")


def leaving() -> nn.Module:
    sys.exit("train it first")


def a_class() -> type:
    return nn.Linear


def in_place() -> nn.Module:
    return Changed(lambda images: images.mul_(0.5).mul_(2.0))


def beside_others() -> nn.Module:
    """Centred with the mean of its batch."""
    return Changed(lambda images: images - images.mean((0, 2, 3), keepdim=True) + 0.5)


def forgetful() -> nn.Module:
    return Changed(lambda images: nn.functional.dropout(images, 0.2, training=True))


def no_model() -> str:
    return "a model"


def hungry(path: str) -> nn.Module:
    return honest()


DROPPED = smooth(CLASSES, SHAPE, dropout=0.5)


def dropped() -> nn.Module:
    """A model in train mode, but for one of its layers, with one frozen parameter."""
    DROPPED.train()[0].eval()
    DROPPED[1].weight.requires_grad_(False)
    return DROPPED


def dropped_in_eval_mode() -> nn.Module:
    return DROPPED.eval()


def pixels(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def decided(model: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(images).float() / 255).argmax(1).numpy()


def write_images(path: Path, model: nn.Module, dataset: str = "toy") -> None:
    """The images, labelled by the model but for the first two."""
    images = pixels()
    labels = decided(model, images)
    labels[:2] = (labels[:2] + 1) % CLASSES
    image_file.write(path, dataset, CLASSES, {"test": (images, labels, np.arange(COUNT))})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with params.yaml and images that the honest model knows."""
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(PARAMS, file)
    write_images(tmp_path / "images.h5", honest())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


FEW = ("--without", "probes", "--without", "referee")


def evaluate(*words: str, factory: str | None = "honest", images: str = "images.h5", out: str = "out") -> Result:
    made = [] if factory is None else ["--factory", f"{__name__}:{factory}"]
    return CliRunner().invoke(main, [*made, "--images", images, "--out", out, *words])


def done(*words: str, **where: str) -> Result:
    result = evaluate(*words, **where)
    assert result.exit_code == 0, result.output
    return result


def found(out: str = "out") -> Outcomes:
    return outcome_file.read(Path(out) / "radii.h5")


def gate(out: str = "out") -> dict[str, dict]:
    (line,) = json.loads((Path(out) / "gate.json").read_text()).values()
    return {check["check"]: check for check in line["seeds"]["0"]}


def same_records(one: Outcomes, other: Outcomes) -> bool:
    pairs = zip(one.records, other.records, strict=True)
    close = all(np.allclose(one.radii[norm].radius, other.radii[norm].radius, rtol=1e-3) for norm in one.radii)
    return close and np.array_equal(one.clean, other.clean) and all(np.array_equal(left.correct, right.correct) for left, right in pairs)


# What it writes


def test_every_file_says_what_the_outcomes_say(folder):
    printed = done().stdout
    kept = found()
    assert (len(kept.rows), kept.clean.sum(), kept.dataset) == (20, 18, "toy")
    said = json.loads((folder / "out/results.json").read_text())
    assert said["clean"]["accuracy"] == 0.9 and said["clean"]["low"] < 0.9 < said["clean"]["high"]
    lines = pd.read_csv(folder / "out/results.csv")
    assert list(lines.columns) == ["dataset", "technique", "seed", "semantics", "attack", "norm", "epsilon", "accuracy", "n"]
    entries = {(entry["semantics"], entry["norm"], entry["epsilon"]): entry for entry in said["attacks"]}
    assert set(entries) == {(attack, *place) for attack in ("paper", "strict") for place in (("l2", 0.5), ("linf", 0.03))}
    for line in lines.iloc[1:].itertuples():
        assert line.accuracy == pytest.approx(entries[line.semantics, line.norm, line.epsilon]["accuracy"], rel=1e-5) and line.n == 20
    strict = kept.strict("linf", 0.03).accuracy
    assert 0 < strict < 0.9 and entries["strict", "linf", 0.03]["accuracy"] == strict
    for text in (printed, (folder / "out/table.md").read_text()):
        row = next(line for line in text.splitlines() if line.lstrip("| ").startswith("L∞ 0.03"))
        assert f"{100 * strict:.1f}" in row and f"mean robust radius {kept.radii['l2'].capped.mean(dtype=float):.4g}" in text
    assert said["mean_radius"]["linf"] == pytest.approx(kept.radii["linf"].capped.mean(), rel=1e-4)
    assert [(entry["norm"], entry["asked"]) for entry in said["referee"]] == [("linf", 4)]
    assert said["gate"] == {key: check["verdict"] for key, check in gate().items()} and set(said["gate"]) == set(RULES)


def test_every_image_has_its_radius_and_the_curve_counts_them(folder):
    done("--without", "probes", "--without", "referee")
    kept, lines, curves = found(), pd.read_csv("out/radii.csv", keep_default_na=False), pd.read_csv("out/curves.csv")
    for norm, radius in kept.radii.items():
        np.testing.assert_allclose(lines[f"radius_{norm}"], radius.radius, rtol=1e-5)
        assert lines[f"found_by_{norm}"].tolist() == radius.found_by.tolist()
        for line in curves[curves["norm"] == norm].itertuples():
            far = np.abs(radius.radius - line.epsilon) > 1e-4 * line.epsilon
            assert (
                (radius.radius[far] > line.epsilon).sum() / 20
                <= line.accuracy + 1e-5
                <= (1 - (radius.radius[far] <= line.epsilon).sum() / 20) + 2e-5
            )
    assert lines["image"].tolist() == list(range(20)) and lines["clean"].tolist() == kept.clean.astype(int).tolist()


def test_a_folder_without_parameters_gets_those_of_the_quick_scale(folder, monkeypatch):
    (folder / "params.yaml").unlink()
    seen = {}

    def refuse(model, test, asked, device):
        seen.update(asked.settings)
        raise InputError("enough seen")

    monkeypatch.setattr("tools.evaluate.outcomes.outcomes", refuse)
    result = evaluate()
    assert "there is no params.yaml in this folder" in result.stderr and "those of the quick scale" in result.stderr
    assert seen == YAML(typ="safe").load((ROOT / "scales/quick.yaml").read_text())["attacks"]


def test_the_checks_that_do_not_pass_are_printed_and_the_others_are_not(folder):
    printed = done().stdout
    verdicts = {key: check["verdict"] for key, check in gate().items()}
    shown = {line.split()[0] for line in printed.splitlines() if line.startswith("  G")}
    assert shown == {key for key, verdict in verdicts.items() if verdict != "pass"}
    assert verdicts["G2"] == verdicts["G3"] == "pass" and verdicts["G15"] == "not measured"


def test_options_choose_attacks_threats_images_and_name(folder):
    words = [word for part in ("paper", "referee", "probes") for word in ("--without", part)]
    done(*words, "--threats", "small", "--count", "6", "--batch-size", "3", "--name", "mine")
    kept = found()
    assert [path.name for path in (folder / "out").glob("*.h5")] == ["radii.h5"] and kept.records == ()
    assert (len(kept.rows), kept.row) == (6, "mine") and gate()["G2"]["verdict"] == "not measured"
    assert pd.read_csv("out/results.csv")["epsilon"].dropna().tolist() == [0.02]


def test_without_a_count_fewer_images_than_params_asks_for_are_all_attacked(folder):
    PARAMS_OF_MANY = PARAMS | {"evaluation": {"images": 1000, "batch_size": 50}}
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(PARAMS_OF_MANY, file)
    done(*FEW)
    assert len(found().rows) == COUNT


def test_one_of_our_model_folders_gives_what_the_pipeline_gives(folder):
    settings = architecture.Model("cnn", 0.06, None, 0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = architecture.build(settings, (1, 28, 28), CLASSES).eval()
    images = np.random.default_rng(1).integers(0, 256, (12, 1, 28, 28), dtype=np.uint8)
    image_file.write(folder / "digits.h5", "toy", CLASSES, {"test": (images, decided(model, images), np.arange(12))})
    checkpoint.write(folder / "ours", model, settings, (1, 28, 28), CLASSES, [{"epoch": 1}])
    done("--model", "ours", *FEW, "--threats", "large", factory=None, images="digits.h5")
    network, test = checkpoint.read(folder / "ours", torch.device("cpu")), image_file.read(folder / "digits.h5", "test")
    attacks = replace(params.section(outcomes.Settings, "attacks"), referee=None, probes=None)
    asked = outcomes.evaluation("ours", 0, attacks, threats("large"), Evaluation(12, 7))
    piped = outcomes.outcomes(network, test, asked, torch.device("cpu"))
    assert found().row == "ours" and found().clean.all() and same_records(found(), piped)
    assert all(np.array_equal(found().radii[norm].radius, radius.radius) for norm, radius in piped.radii.items())


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_weights_from_a_file_are_the_models_own(folder, name):
    state = honest().state_dict()
    save_file(state, name) if name.endswith("safetensors") else torch.save(state, name)
    done(*FEW, "--weights", name, factory="weighty")
    done(*FEW, out="direct")
    assert same_records(found(), found("direct"))


def test_an_undefended_reference_lets_the_gate_judge_the_attack(folder):
    write_images(folder / "images.h5", honest(), dataset="mnist")
    done(*FEW, "--threats", "large", "--name", "undefended", out="first")
    done(*FEW, "--threats", "large", "--reference", "first")
    assert gate("first")["G15"]["value"] is None
    assert gate()["G15"]["value"] is not None and gate()["G15"]["verdict"] in ("pass", "fail", "warn")


@pytest.mark.parametrize("flags, packages", [(["-P"], ["lib", "tools"]), ([], ["lib"])])
def test_it_runs_from_any_folder_with_a_factory_there_and_packages_called_like_ours(folder, flags, packages):
    for package in packages:
        Path(package).mkdir()
        Path(package, "__init__.py").touch()
        Path(package, "nets.py").write_text("from torch import nn\nmake = lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 4))\n")
    Path("mine.py").write_text(f"import {packages[-1]}.nets\ndef make():\n    from lib.nets import make\n    return make()\n")
    save_file(honest().state_dict(), "weights.safetensors")
    words = ["--factory", "mine:make", "--weights", "weights.safetensors", "--images", "images.h5", *FEW, "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, *flags, "-m", "tools.evaluate", *words], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    done(*FEW, out="direct")
    assert same_records(found(), found("direct"))


# Images


def class_folders(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images as PNG files in class folders; returns them with their labels, in alphabetical order."""
    images = pixels()
    labels = decided(honest(), images)
    for index, (image, label) in enumerate(zip(images, labels)):
        path = root / f"class{label}" / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(path)
    order = np.lexsort((np.arange(len(labels)), labels))
    return images[order], labels[order]


def test_a_folder_of_png_files_and_an_image_file_with_the_same_pixels_give_the_same_outcomes(folder):
    images, labels = class_folders(folder / "photos")
    rows = any_images.read(folder / "photos").source_rows
    assert sorted(rows) == list(range(COUNT))
    image_file.write(folder / "photos.h5", "photos", CLASSES, {"test": (images[rows], labels[rows], rows)})
    done(images="photos", out="of_folder")
    done(images="photos.h5", out="of_file")
    one, other = found("of_folder"), found("of_file")
    assert one.clean.all() and np.array_equal(one.labels, other.labels) and same_records(one, other)
    assert one.images_digest == other.images_digest
    assert (folder / "of_folder/table.md").read_text() == (folder / "of_file/table.md").read_text()


def test_the_first_images_of_a_folder_hold_every_class_and_are_the_first_of_all(folder):
    _, labels = class_folders(folder / "photos")
    whole, part = any_images.read(folder / "photos"), any_images.read(folder / "photos", count=COUNT // 2)
    assert np.abs(np.bincount(part.labels, minlength=CLASSES) - np.bincount(labels) / 2).max() < 1
    assert len(part) == COUNT // 2 and part.classes == whole.classes == CLASSES


def test_the_test_half_of_a_folder_with_train_and_test_is_read(folder):
    for half in ("train", "test"):
        class_folders(folder / "photos" / half)
    found = any_images.read(folder / "photos")
    assert sorted(found.source_rows) == list(range(COUNT, 2 * COUNT))


# What it remarks on


def test_a_model_in_train_mode_is_evaluated_in_eval_mode_and_handed_back_as_it_came(folder):
    write_images(folder / "images.h5", DROPPED.eval())
    model = dropped()
    before = [(module.training, [parameter.requires_grad for parameter in module.parameters(False)]) for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    result = done(*FEW, factory="dropped")
    assert "the model came in train mode; it is evaluated in eval mode" in result.stderr
    after = [(module.training, [parameter.requires_grad for parameter in module.parameters(False)]) for module in model.modules()]
    assert before == after and any(training for training, _ in after) and not all(training for training, _ in after)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    quiet = done(*FEW, factory="dropped_in_eval_mode", out="in_eval")
    assert "train mode" not in quiet.stderr and same_records(found(), found("in_eval"))
    assert json.loads((folder / "out/results.json").read_text())["remarks"][0] == any_model.TRAIN_MODE


def test_probabilities_are_remarked_on_and_fail_the_gate(folder):
    result = done(factory="softmax")
    assert "they are probabilities, but attacks compute their losses from logits" in result.stderr
    assert gate()["G3"]["verdict"] == "fail"
    done(out="honest")
    assert gate("honest")["G3"]["verdict"] == "pass"


def test_a_model_no_better_than_the_largest_class_is_remarked_on(folder):
    result = done(*FEW, factory="always_first")
    assert "no more than the share of the largest class" in result.stderr and "alphabetical" in result.stderr
    assert "largest class" not in done(*FEW, out="honest").stderr


def test_a_float64_model_is_given_float64_images(folder):
    done(factory="double")
    done(out="single")
    assert np.array_equal(found().clean, found("single").clean)
    accepted = any_model.accepted(double(), any_images.read(folder / "images.h5"), torch.device("cpu"))
    assert accepted.remarks == () and accepted.model(torch.zeros(2, *SHAPE)).dtype == torch.float64


def test_a_model_that_views_its_images_can_be_evaluated(folder):
    done(*FEW, factory="viewed")
    done(*FEW, out="honest")
    assert same_records(found(), found("honest"))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch warns of itself where an exported module is copied
@pytest.mark.parametrize("factory, has_modes", [("in_place", True), ("exported", False)])
def test_a_model_that_changes_its_images_or_has_no_modes_gives_the_honest_outcomes(folder, factory, has_modes):
    result = done(factory=factory)
    done(out="honest")
    assert same_records(found(), found("honest"))
    assert ("the model has no modes" in result.stderr) != has_modes and "train mode" not in result.stderr


@pytest.mark.parametrize(
    "factory, remark, note",
    [("beside_others", "depends on the others in its batch", "alone than among others"), ("forgetful", "each time", "images differ")],
)
def test_a_model_without_one_answer_to_an_image_fails_the_gate_and_every_page_says_so(folder, factory, remark, note):
    write_images(folder / "images.h5", Changed(lambda images: images))
    result = done(factory=factory)
    texts = [result.stderr, result.stdout, Path("out/table.md").read_text(), Path("out/results.json").read_text()]
    assert all(remark in text for text in texts)
    assert gate()["G2"]["verdict"] == "fail" and note in gate()["G2"]["note"]


def test_with_one_image_at_a_time_a_model_that_looks_at_its_batch_has_one_answer(folder):
    done("--batch-size", "1", factory="beside_others")
    assert gate()["G2"]["verdict"] == "pass"


def test_weights_build_the_layers_that_wait_for_them(folder):
    torch.save(honest().state_dict(), "weights.pt")
    done(*FEW, "--weights", "weights.pt", factory="unbuilt")
    done(*FEW, out="honest")
    assert same_records(found(), found("honest"))


# What it refuses

REFUSED = [
    ("not_a_number", [], "the model's outputs must be finite, for 8 of 8 images they are not"),
    ("flat", [], "the model must return logits (N, K), for images of shape (8, 3, 4, 4) it returned a tensor of shape (8,)"),
    ("squeezed", [], "for images of shape (1, 3, 4, 4) it returned a tensor of shape (4,)"),
    ("paired", [], "it returned a tuple"),
    ("two_classes", [], "the model must have an output for each of the 4 classes of the images, it has 2"),
    ("half", [], "attacks need float32 or float64, the model has parameters of torch.float16"),
    ("half_outputs", [], "the model's outputs are torch.float16"),
    ("cut", [], "must be differentiable in the images"),
    ("severed", [], "must be differentiable in the images: RuntimeError: no way back"),
    ("unbuilt", [], "not so 1.weight, which has no values yet"),
    ("without_storage", [], "not so 1.weight, which has no values yet"),
    ("exported_for_two", [], "the model cannot take images of shape (8, 3, 4, 4): AssertionError: Guard failed"),
    ("crashing", [], "crashing failed: FileNotFoundError: [Errno 2] No such file or directory: 'weights.pt' (test_evaluate_tool.py, line"),
    ("leaving", [], "leaving failed: SystemExit: train it first"),
    ("Wrapped", [], "Wrapped is called without arguments, but: missing a required argument: 'change'"),
    ("a_class", [], "must return a torch.nn.Module, it returned the class Linear"),
    ("other_shape", [], "the model cannot take images of shape (8, 3, 4, 4): RuntimeError: mat1 and mat2"),
    ("no_model", [], "must return a torch.nn.Module, it returned a str"),
    ("hungry", [], "is called without arguments, but: missing a required argument: 'path'"),
    ("nothing", [], "has no function 'nothing'"),
    ("honest", ["--factory", "no_such_module:honest"], "importing no_such_module from the current folder failed: ModuleNotFoundError"),
    ("honest", ["--factory", "honest"], "--factory must be written package.module:function, got 'honest'"),
    ("honest", ["--model", "."], "exactly one of --model and --factory must be given"),
    (None, [], "exactly one of --model and --factory must be given"),
    (None, ["--model", ".", "--weights", "params.yaml"], "--weights belong to --factory"),
    ("honest", ["--weights", "params.yaml"], "params.yaml is not a state dict that torch reads"),
    ("honest", ["--weights", "other.safetensors"], "missing 1.weight, 1.bias"),
    ("honest", ["--weights", "broken.safetensors"], "broken.safetensors is not a readable safetensors file"),
    ("honest", ["--weights", "nested.pt"], "nested.pt must hold a state dict (names and tensors, nothing else), it holds a dict with e"),
    ("honest", ["--threats", "tabel"], "threats has no key 'tabel', it has table, large, small"),
    ("honest", ["--count", "25"], "25 images are asked for, images.h5 has 24"),
    ("honest", ["--image-size", "8"], "images of class folders can be resized"),
    ("honest", ["--images", "empty"], "expected folders of images named after their classes in empty"),
    ("honest", ["--reference", "empty"], "--reference must be a folder that this command made, empty holds no radii.h5"),
    ("honest", ["--out", "full"], "--out must be a new or an empty folder, full is not"),
]


def test_attacks_that_need_more_classes_are_refused_before_the_first_attack(folder, monkeypatch):
    asked = PARAMS["attacks"]["referee"] | {"attacks": ["apgd-ce", "fab-t"]}
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(PARAMS | {"attacks": PARAMS["attacks"] | {"referee": asked}}, file)
    image_file.write(folder / "two.h5", "toy", 2, {"test": (pixels(), np.arange(COUNT) % 2, np.arange(COUNT))})
    monkeypatch.setattr("tools.evaluate.outcomes.outcomes", lambda *asked: pytest.fail("an attack was started"))
    result = evaluate(factory="two_classes", images="two.h5")
    sentence = "need at least 4 classes, the model has 2: set attacks.referee.attacks to [apgd-ce]"
    assert result.exit_code == 1 and sentence in result.output and not Path("out").exists()


@pytest.mark.parametrize("factory, words, sentence", REFUSED)
def test_what_cannot_be_evaluated_is_refused_in_one_sentence(folder, factory, words, sentence):
    save_file({"0.weight": torch.zeros(2)}, "other.safetensors")
    Path("broken.safetensors").write_bytes(b"\x01")
    torch.save({"epoch": 3, "model": honest().state_dict()}, "nested.pt")
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("years of work")
    result = evaluate(*words, factory=factory)
    assert result.exit_code == 1, result.output
    error = result.output[result.output.index("Error: ") :].strip()
    assert sentence in error and "\n" not in error
    assert not Path("out").exists() and Path("full/thesis.txt").read_text() == "years of work"


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("sprung"),))


def test_a_weights_file_is_never_executed(folder):
    torch.save({"0.weight": Trap()}, "trap.pt")
    result = evaluate("--weights", "trap.pt")
    assert result.exit_code == 1 and "trap.pt is not a state dict" in result.output
    assert not Path("sprung").exists()


def test_a_crash_leaves_no_folder(folder, monkeypatch):
    monkeypatch.setattr("tools.evaluate.to_markdown", lambda found: 1 / 0)
    assert isinstance(evaluate(*FEW).exception, ZeroDivisionError)
    assert sorted(path.name for path in folder.iterdir()) == ["images.h5", "params.yaml"]
