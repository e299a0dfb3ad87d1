"""Distillation by closed forms, against the other objectives where its terms are switched off, and through its stage."""

import csv
import importlib
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from classifiers import Linear, grey, random_linear, seen, smooth
from click.testing import CliRunner, Result
from project import SHIPPED
from ruamel.yaml import YAML
from torch import Tensor, nn

from lib.base import image_file, params
from lib.base.errors import InputError
from lib.network import architecture, checkpoint
from lib.network.architecture import Model
from lib.network.batches import Batch
from lib.objectives import adversarial, distillation, interpretation
from lib.targets import target_file
from lib.training.objective import additive

SHAPE = (1, 4, 4)
LABELS = torch.tensor([2, 0, 1, 2, 1, 0])


def settings(**changes) -> distillation.Settings:
    usual = {"lambda_k": 1.0, "temperature": 4.0, "lambda_d": 0.0, "lambda_m": 0.0, "reduction": "sample"}
    return distillation.Settings(**{**usual, **changes})


def batch(targets: bool = True) -> Batch:
    maps = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(3)).double() if targets else None
    return Batch(grey(6, SHAPE, low=0, high=1).double(), LABELS, maps)


def loss(model: nn.Module, data: Batch, teacher: nn.Module, **changes) -> tuple[Tensor, dict[str, Tensor]]:
    return distillation.loss(model, data, torch.Generator(), settings(**changes), teacher)


def constant(*logits: float) -> Linear:
    """A model that answers the same to every image."""
    return Linear(torch.zeros(len(logits), *SHAPE, dtype=torch.float64), torch.tensor(logits, dtype=torch.float64))


def derivatives(value: Tensor, model: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(value, list(model.parameters())))


# The divergence


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_divergence_of_two_classes_is_that_of_two_coins(temperature):
    """Logits (0, a) at temperature T are a coin with odds exp(a / T)."""
    p, q = (1 / (1 + math.exp(-a / temperature)) for a in (1.5, -0.7))
    expected = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    teacher, student = torch.tensor([[[0.0, 1.5]] * 3, [[0.0, -0.7]] * 3], dtype=torch.float64)
    assert distillation.divergence(teacher, student, temperature).item() == pytest.approx(expected)


def test_the_divergence_is_averaged_over_images_and_not_over_classes():
    teacher, student = torch.tensor([[[0.0, 1.5], [1.0, 1.0]], [[0.0, -0.7], [3.0, 3.0]]], dtype=torch.float64)
    one = distillation.divergence(teacher[:1], student[:1], 1.0)
    assert distillation.divergence(teacher, student, 1.0).item() == pytest.approx(one.item() / 2)


def test_the_divergence_expects_the_teachers_classes_and_not_the_students():
    """KL(p || q) of a sure p is -log q, and not the other way around."""
    sure, unsure = torch.tensor([[[50.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]], dtype=torch.float64)
    assert distillation.divergence(sure, unsure, 1.0).item() == pytest.approx(math.log(3))
    assert distillation.divergence(unsure, sure, 1.0).item() == pytest.approx(100 / 3 - math.log(3))


def test_at_a_high_temperature_the_term_is_half_the_variance_of_the_difference_of_logits():
    """Hinton et al., section 2.1: T^2 KL approaches |d - mean d|^2 / (2 K) for differences d of the logits."""
    teacher, student = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0)).double()
    difference = teacher - student
    expected = (difference - difference.mean(1, keepdim=True)).square().sum(1).mean() / 8
    assert 1e6 * distillation.divergence(teacher, student, 1e3).item() == pytest.approx(expected.item(), rel=1e-2)


# The loss


def test_the_loss_is_cross_entropy_plus_the_weighted_divergence_times_the_temperature_squared():
    student, teacher = constant(0.0, 1.0, 2.0), constant(1.0, 0.0, -1.0)
    total, terms = loss(student, batch(), teacher, lambda_k=0.3, temperature=2.0)
    q, p = ([math.exp(z / 2) / sum(math.exp(other / 2) for other in all) for z in all] for all in ((0, 1, 2), (1, 0, -1)))
    expected = sum(one * math.log(one / other) for one, other in zip(p, q, strict=True))
    cross_entropy = math.log(1 + math.e + math.e**2) - 1  # the labels are two of each class, so the mean label logit is 1
    assert terms["divergence"].item() == pytest.approx(expected)
    assert terms["cross_entropy"].item() == pytest.approx(cross_entropy)
    assert total.item() == pytest.approx(cross_entropy + 0.3 * 4 * expected)
    assert terms["train_accuracy"].item() == pytest.approx(1 / 3)


def test_a_teacher_that_is_the_student_adds_nothing_to_the_loss_nor_to_its_derivatives():
    student, data = smooth(3, SHAPE).double(), batch()
    total, terms = loss(student, data, smooth(3, SHAPE).double(), lambda_k=5.0)
    plain, _ = loss(student, data, constant(0.0, 0.0, 0.0), lambda_k=0.0)
    assert abs(terms["divergence"].item()) < 1e-15 and total.item() == pytest.approx(plain.item(), abs=1e-13)
    for one, other in zip(derivatives(total, student), derivatives(plain, student), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_the_gradient_in_a_students_logits_is_t_times_the_difference_of_the_softened_answers():
    student, teacher, data = constant(0.0, 1.0, 2.0), constant(1.0, 0.0, -1.0), batch()
    with_teacher, without = (loss(student, data, teacher, lambda_k=weight, temperature=3.0)[0] for weight in (0.3, 0.0))
    found = torch.autograd.grad(with_teacher - without, student.bias)[0]
    torch.testing.assert_close(found, 0.3 * 3 * ((student.bias / 3).softmax(0) - (teacher.bias / 3).softmax(0)).detach())


def test_with_no_weight_on_the_teacher_it_is_standard_training_exactly():
    student, data = smooth(3, SHAPE).double(), batch()
    standard = adversarial.Settings(None, "l2", 0.1, 1, "eval", "strict")
    expected, _ = adversarial.loss(student, data, torch.Generator(), standard)
    found, _ = loss(student, data, constant(9.0, 0.0, 0.0), lambda_k=0.0)
    assert found.item() == expected.item()
    assert all(torch.equal(*pair) for pair in zip(derivatives(found, student), derivatives(expected, student), strict=True))


@pytest.mark.parametrize("reduction", ["sample", "batch", "square"])
@pytest.mark.parametrize("lambda_d, lambda_m", [(3.0, 0.15), (0.0, 0.5), (1.0, 0.0)])
def test_with_no_weight_on_the_teacher_it_is_interpretation_regularization_exactly(reduction, lambda_d, lambda_m):
    student, data = smooth(3, SHAPE).double(), batch()
    expected, its = interpretation.loss(student, data, torch.Generator(), interpretation.Settings(lambda_d, lambda_m, reduction))
    found, terms = loss(student, data, constant(9.0, 0.0, 0.0), lambda_k=0.0, lambda_d=lambda_d, lambda_m=lambda_m, reduction=reduction)
    assert found.item() == expected.item() and all(terms[name].item() == value.item() for name, value in its.items())
    assert all(torch.equal(*pair) for pair in zip(derivatives(found, student), derivatives(expected, student), strict=True))


def test_gradients_and_answers_are_matched_at_once():
    student, teacher, data = smooth(3, SHAPE).double(), smooth(3, SHAPE, seed=1).double(), batch()
    both = loss(student, data, teacher, lambda_d=3.0, lambda_m=0.15)[0]
    answers, gradients = loss(student, data, teacher)[0], loss(student, data, teacher, lambda_k=0.0, lambda_d=3.0, lambda_m=0.15)[0]
    plain = loss(student, data, teacher, lambda_k=0.0)[0]
    assert both.item() == pytest.approx((answers + gradients - plain).item())


def test_a_norm_alone_needs_no_targets_and_a_direction_does():
    student = random_linear(3, SHAPE).double()
    total, terms = loss(student, batch(targets=False), student, lambda_m=0.5)
    norms = student.weight.flatten(1).norm(dim=1)[LABELS].mean()
    assert (total - terms["cross_entropy"]).item() == pytest.approx(0.5 * norms.item()) and "cosine" not in terms
    with pytest.raises(InputError, match="lambda_d above 0 needs a target for every image, the batch has none"):
        loss(student, batch(targets=False), student, lambda_d=0.5)


def test_without_gradients_to_match_the_images_ask_for_none_and_nothing_is_differentiated_twice():
    student, asked = smooth(3, SHAPE).double(), []
    student.register_forward_pre_hook(lambda module, inputs: asked.append(inputs[0].requires_grad))
    for changes, wanted in [({}, False), ({"lambda_m": 0.1}, True), ({"lambda_d": 0.1}, True)]:
        _, terms = loss(student, batch(), constant(0.0, 0.0, 0.0), **changes)
        assert asked.pop() == wanted == ("gradient_norm" in terms)


def test_the_teacher_sees_the_students_images_learns_nothing_and_stays_in_eval_mode():
    student, teacher, data = smooth(3, SHAPE).double(), smooth(3, SHAPE, seed=1, dropout=0.5).double().eval(), batch()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    with seen(teacher) as shown:
        total, _ = loss(student.train(), data, teacher, lambda_d=1.0, lambda_m=0.1)
    total.backward()
    assert len(shown) == 1 and torch.equal(shown[0], data.images)
    assert not any(module.training for module in teacher.modules())
    assert all(weight.grad is None for weight in teacher.parameters()) and all(weight.grad is not None for weight in student.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_zero_targets_and_zero_gradients_give_finite_losses_and_derivatives():
    student, data = smooth(3, SHAPE).double(), batch()
    data.targets[2:4] = 0
    nn.init.zeros_(student[4].weight)
    total, terms = loss(student, data, constant(0.0, 0.0, 0.0), lambda_d=3.0, lambda_m=0.15)
    assert torch.isfinite(total) and all(torch.isfinite(term) for term in terms.values())
    assert all(
        torch.isfinite(one).all() for one in torch.autograd.grad(total, list(student.parameters()), allow_unused=True) if one is not None
    )


@pytest.mark.parametrize(
    "reduction, lambda_m, expected", [("sample", 1.0, True), ("batch", 1.0, False), ("batch", 0.0, True), ("square", 1.0, True)]
)
def test_the_loss_of_a_batch_is_the_mean_of_its_halves_where_it_says_so(reduction, lambda_m, expected):
    student, teacher, data = smooth(3, SHAPE).double(), smooth(3, SHAPE, seed=1).double(), batch()
    changes = {"reduction": reduction, "lambda_m": lambda_m, "lambda_d": 1.0}
    assert distillation.additive(settings(**changes)) == expected
    whole, *halves = (loss(student, data.take(rows), teacher, **changes)[0].item() for rows in (slice(6), slice(3), slice(3, 6)))
    assert (sum(halves) / 2 == pytest.approx(whole, rel=1e-9)) == expected


def test_the_loop_is_told_so():
    for lambda_m in (0.0, 1.0):
        objective = partial(distillation.loss, settings=settings(reduction="batch", lambda_m=lambda_m), teacher=constant(0.0, 0.0))
        assert additive(objective) == (lambda_m == 0)


def test_unusable_teachers_and_students_are_refused():
    student = smooth(3, SHAPE).double()
    with pytest.raises(InputError, match="expected a teacher with 3 classes, got one with 2"):
        loss(student, batch(), constant(0.0, 1.0))
    unsure = architecture.build(Model("cnn", 0.06, None, 0.0, outputs="probabilities"), SHAPE, 3).double()
    for model, teacher, who in [(unsure, student, "student"), (student, unsure, "teacher")]:
        with pytest.raises(InputError, match=f"distillation compares logits, the {who} returns probabilities"):
            loss(model, batch(), teacher)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"lambda_k": -1.0}, "lambda_k must not be negative, got -1.0"),
        ({"lambda_d": -1.0}, "lambda_d must not be negative, got -1.0"),
        ({"lambda_m": -1.0}, "lambda_m must not be negative, got -1.0"),
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
    ],
)
def test_unusable_settings_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        settings(**changes)


# The stage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, 28x28 images of four classes, targets for them and a teacher."""
    document = YAML(typ="safe").load(SHIPPED.read_text())
    document["model"]["width"] = 0.06
    document["training"].update(epochs=2, batch_size=20)
    usual = {"lambda_k": 1.0, "temperature": 4.0, "lambda_d": 0.0, "lambda_m": 0.0, "reduction": "sample"}
    document["distillation"] = {"logits": usual, "none": {**usual, "lambda_k": 0.0}, "both": {**usual, "lambda_d": 1.0}}
    document["ir"]["same"] = {**document["ir"]["R_simple"], "lambda_d": 1.0, "lambda_m": 0.0}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(document, file)
    random = np.random.default_rng(2)
    pixels, labels = random.integers(0, 256, (60, 1, 28, 28), dtype=np.uint8), np.arange(60) % 4
    parts = {"train": slice(0, 40), "validation": slice(40, 50), "test": slice(50, 60)}
    image_file.write(tmp_path / "images.h5", "toy", 4, {name: (pixels[at], labels[at], np.arange(60)[at]) for name, at in parts.items()})
    train = image_file.read(tmp_path / "images.h5", "train")
    header = target_file.Header("toy", train.digest, "R_simple", {})
    target_file.write(tmp_path / "targets.h5", header, train.images.shape, [random.standard_normal(train.images.shape, dtype=np.float32)])
    monkeypatch.chdir(tmp_path)
    assert invoke("train_teacher", "NR", 0, "--out", "teacher").exit_code == 0
    return tmp_path


def invoke(stage: str, *words: object) -> Result:
    words = (*words, "--images", "images.h5")
    return CliRunner().invoke(importlib.import_module(f"stages.{stage}").main, [str(word) for word in words])


def distil(row: str, out: str, *more: str, teacher: str = "teacher") -> Result:
    return invoke("train_distilled", row, 0, "--teacher", teacher, "--out", out, *more)


def state(folder: str) -> dict[str, Tensor]:
    return checkpoint.read(Path(folder), torch.device("cpu")).state_dict()


def test_a_student_is_trained_and_its_divergence_written_down(project):
    before = checkpoint.digest(Path("teacher"))
    result = distil("logits", "student")
    assert result.exit_code == 0, result.output
    with Path("student/history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert len(history) == 2 and {"cross_entropy", "divergence", "train_accuracy"} <= set(history[0]) and "cosine" not in history[0]
    assert float(history[0]["divergence"]) > 0
    assert checkpoint.digest(Path("teacher")) == before
    assert any(not torch.equal(value, state("teacher")[name]) for name, value in state("student").items())


def test_a_student_without_weight_on_its_teacher_is_the_student_of_the_other_objectives(project):
    assert distil("none", "plain").exit_code == 0
    with params.changed({"distillation.both.lambda_k": 0.0}):
        assert distil("both", "matched", "--targets", "targets.h5").exit_code == 0
    assert invoke("train_ir", "same", 0, "--targets", "targets.h5", "--out", "ir").exit_code == 0
    assert all(torch.equal(value, state("ir")[name]) for name, value in state("matched").items())
    with params.changed({"ir.same.lambda_d": 0.0}):
        assert invoke("train_ir", "same", 0, "--targets", "targets.h5", "--out", "standard").exit_code == 0
    assert all(torch.equal(value, state("standard")[name]) for name, value in state("plain").items())
    assert any(not torch.equal(value, state("matched")[name]) for name, value in state("plain").items())


def test_another_teacher_makes_another_student(project):
    assert invoke("initial_network", 0, "--out", "untrained").exit_code == 0
    for out, teacher in [("one", "teacher"), ("other", "untrained"), ("one_again", "teacher")]:
        assert distil("logits", out, teacher=teacher).exit_code == 0
    assert all(torch.equal(value, state("one_again")[name]) for name, value in state("one").items())
    assert any(not torch.equal(value, state("other")[name]) for name, value in state("one").items())


def test_a_row_that_needs_targets_says_so(project):
    result = distil("both", "new")
    assert result.exit_code == 1
    assert result.output.strip().endswith("Error: lambda_d above 0 needs a target for every image, the batch has none")
    assert not Path("new").exists()
