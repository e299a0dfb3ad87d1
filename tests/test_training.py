"""The loop learns, is reproducible, selects the epoch it says, and leaves nothing behind when it fails."""

import csv
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from classifiers import random_linear, smooth
from torch import Tensor, nn

from lib.base import image_file
from lib.base.errors import InputError
from lib.network import checkpoint, runtime
from lib.network.batches import Batch
from lib.objectives import interpretation
from lib.targets import target_file, transforms
from lib.training import loop, recipe
from lib.training.layout import laid_out
from lib.training.loop import Plan
from lib.training.shuffling import shuffled

SHAPE = (1, 8, 8)


def plan(**changes) -> Plan:
    usual = {"epochs": 8, "batch_size": 8, "learning_rate": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
    return Plan(**{**usual, "augment": False, "selection": "validation", **changes})


def separable(count: int = 48, seed: int = 0, dtype: torch.dtype = torch.float32) -> Batch:
    """Two classes: bright above or bright below."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    images = 0.2 * torch.rand(count, *SHAPE, generator=generator)
    images[labels == 0, :, :4] += 0.6
    images[labels == 1, :, 4:] += 0.6
    return Batch(images.to(dtype), labels)


def cross_entropy(model: nn.Module, batch: Batch, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    logits = model(batch.images)
    accuracy = (logits.argmax(1) == batch.labels).float().mean()
    return nn.functional.cross_entropy(logits, batch.labels), {"train_accuracy": accuracy}


def fitted(seed: int = 0, start: int = 0, objective=cross_entropy, **changes) -> tuple[nn.Module, list[dict]]:
    model = smooth(2, SHAPE, seed=start, dropout=0.1)
    torch.manual_seed(123)
    return model, loop.fit(model, separable(), separable(30, 1), objective, plan(**changes), seed)


# The loop


def test_a_separable_problem_is_learned():
    model, history = fitted()
    assert len(history) == 8 and [entry["epoch"] for entry in history] == list(range(1, 9))
    assert history[-1]["validation_accuracy"] == 1.0 and history[-1]["train_accuracy"] == pytest.approx(1.0)
    assert history[-1]["loss"] < 0.2 * history[0]["loss"] and history[-1]["validation_loss"] < 0.1
    assert sum(entry["selected"] for entry in history) == 1 and not model.training


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_does_not():
    (first, again, other), histories = zip(*(fitted(seed) for seed in (0, 0, 1)), strict=True)
    assert all(map(torch.equal, first.parameters(), again.parameters())) and histories[0] == histories[1]
    assert not any(map(torch.equal, first.parameters(), other.parameters()))


def test_each_step_is_that_of_sgd_by_the_cosine_schedule():
    """Against a plain loop in numpy: momentum buffer v <- m v + g + d w, w <- w - rate v."""
    weights = []

    def objective(model, batch, noise):
        weights.append(model.weight.detach().clone())
        return (model.weight**2).sum() / 2, {}

    model, data = random_linear(2, SHAPE).double(), separable(dtype=torch.float64)
    weight, velocity = model.weight.detach().numpy().copy(), 0.0
    settings = plan(epochs=2, batch_size=16, learning_rate=0.3, momentum=0.8, weight_decay=0.05, selection="last")
    loop.fit(model, data, data, objective, settings, 0)
    for step in range(6):
        np.testing.assert_allclose(weights[step].numpy(), weight, rtol=1e-9)
        velocity = 0.8 * velocity + 1.05 * weight
        weight = weight - 0.15 * (1 + math.cos(math.pi * step / 6)) * velocity
    np.testing.assert_allclose(model.weight.detach().numpy(), weight, rtol=1e-9)


def test_nesterov_changes_the_steps():
    plain, nesterov = (fitted(nesterov=flag)[0] for flag in (False, True))
    assert not any(map(torch.equal, plain.parameters(), nesterov.parameters()))


def test_the_gradient_norm_of_a_linear_model_is_that_of_its_rows():
    """The gradient of logit k is row k wherever the image lies; training mode must not matter, nor images beyond the first."""
    model = random_linear(3, SHAPE).double()
    labels = torch.arange(loop.NORM_IMAGES) % 3
    data = Batch(torch.rand(len(labels) + 5, *SHAPE).double(), torch.cat([labels, torch.full((5,), 2)]))
    found = loop.gradient_norm(nn.Sequential(nn.Dropout(0.5), model).train(), data)
    expected = model.weight.detach().flatten(1).norm(dim=1)[labels].mean()
    assert found == {"validation_gradient_norm": pytest.approx(float(expected), rel=1e-9)}
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_the_learning_rate_falls_along_a_cosine_to_nearly_zero():
    _, history = fitted(epochs=20)
    rates = [entry["learning_rate"] for entry in history]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < 1e-4 * 0.1 * 5
    assert loop.cosine(0.3, 0, 10) == 0.3 and loop.cosine(0.3, 5, 10) == pytest.approx(0.15) and loop.cosine(0.3, 10, 10) == 0


def constant_steps(monkeypatch, accuracies: list[float]) -> tuple[nn.Module, list[Tensor], object]:
    """A model that drifts, whose validation accuracies are dictated; the list fills with the weights at each epoch's end."""
    model, ends = random_linear(2, SHAPE), []

    def dictated(model, data):
        ends.append(model.weight.detach().clone())
        return {"validation_loss": 0.0, "validation_accuracy": accuracies[len(ends) - 1]}

    monkeypatch.setattr(loop, "evaluate", dictated)
    return model, ends, lambda model, batch, noise: (model.weight.sum(), {})


@pytest.mark.parametrize(
    "selection, accuracies, expected",
    [
        ("validation", [0.9, 0.1, 0.2, 0.5, 0.7, 0.6], 5),  # the best of all is in the first half, which does not count
        ("validation", [0.1, 0.1, 0.9, 0.5, 0.4, 0.3], 4),
        ("validation", [0.1, 0.1, 0.9, 0.5, 0.4], 3),  # of five epochs the third belongs to the second half
        ("validation", [0.1, 0.2, 0.3, 0.6, 0.6, 0.5], 5),  # the later of two equals
        ("validation", [0.0, 0.0, 0.0, 0.0], 4),
        ("validation", [0.4], 1),
        ("last", [0.9, 0.9, 0.9, 0.8, 0.7, 0.1], 6),
    ],
)
def test_the_selected_epoch_is_the_best_of_the_second_half_or_the_last(monkeypatch, selection, accuracies, expected):
    model, ends, objective = constant_steps(monkeypatch, accuracies)
    settings = plan(epochs=len(accuracies), selection=selection)
    history = loop.fit(model, separable(), separable(), objective, settings, 0)
    assert [entry["selected"] for entry in history] == [int(epoch == expected) for epoch in range(1, len(accuracies) + 1)]
    assert torch.equal(model.weight, ends[expected - 1])
    assert all(not torch.equal(model.weight, end) for epoch, end in enumerate(ends, 1) if epoch != expected)


def test_the_leaking_selection_looks_at_test_accuracy_and_says_so(monkeypatch):
    """Validation is best in epoch 3 of 4, test in epoch 4, and in epoch 1, which does not count."""
    model, data, test = random_linear(2, SHAPE), separable(), separable(30, 1)
    accuracies = {"validation": iter([0.5, 0.5, 0.9, 0.6]), "test": iter([0.99, 0.1, 0.2, 0.3])}

    def dictated(model, seen):
        return {"validation_loss": 0.0, "validation_accuracy": next(accuracies["test" if seen is test else "validation"])}

    monkeypatch.setattr(loop, "evaluate", dictated)
    objective = lambda model, batch, noise: (model.weight.sum(), {})  # noqa: E731
    history = loop.fit(model, data, data, objective, plan(epochs=4, selection="leaking_test"), 0, test=test)
    assert [entry["selected"] for entry in history] == [0, 0, 0, 1]
    assert [entry["test_accuracy"] for entry in history] == [0.99, 0.1, 0.2, 0.3]
    assert [entry["validation_accuracy"] for entry in history] == [0.5, 0.5, 0.9, 0.6]


@pytest.mark.parametrize("selection, test", [("leaking_test", None), ("validation", separable(8)), ("last", separable(8))])
def test_the_test_split_goes_with_the_leaking_selection_and_with_no_other(selection, test):
    with pytest.raises(InputError, match=f"the test split is for the selection leaking_test alone, got selection {selection}"):
        loop.fit(random_linear(2, SHAPE), separable(), separable(), cross_entropy, plan(selection=selection), 0, test=test)


def test_training_figures_are_averages_over_images_and_not_over_batches():
    """Batches of 8, 8 and 4 whose losses are their sizes."""
    data = separable(20)

    def objective(model, batch, noise):
        return model.weight.sum() * 0 + len(batch), {"term": torch.tensor(10.0 * len(batch))}

    history = loop.fit(random_linear(2, SHAPE), data, data, objective, plan(epochs=1), 0)
    assert history[0]["first_loss"] == 8
    assert history[0]["loss"] == pytest.approx((64 + 64 + 16) / 20) and history[0]["term"] == pytest.approx(10 * 144 / 20)


def test_each_batch_says_how_much_of_the_training_is_done_with_it():
    told, data = [], separable(20)

    def objective(model, batch, noise):
        told.append((batch.progress, batch.take(slice(0, 1)).progress))
        return model.weight.sum() * 0, {}

    loop.fit(random_linear(2, SHAPE), data, data, objective, plan(epochs=2), 0)
    assert told == [(step / 6, step / 6) for step in range(1, 7)]


def test_the_objective_is_called_in_train_mode_and_validation_runs_in_eval_mode():
    model, modes = smooth(2, SHAPE, dropout=0.5), []
    model.register_forward_pre_hook(lambda module, inputs: modes.append((len(inputs[0]), module.training)))
    loop.fit(model, separable(), separable(30, 1), cross_entropy, plan(epochs=2), 0)
    assert modes == 2 * (6 * [(8, True)] + 2 * [(30, False)])  # accuracy and gradient norm


def test_validation_figures_are_those_of_all_images(monkeypatch):
    monkeypatch.setattr(loop, "EVALUATION_BATCH", 7)
    model, data = smooth(2, SHAPE).double(), separable(30, dtype=torch.float64)
    logits = model(data.images)
    found = loop.evaluate(model, data)
    assert found["validation_loss"] == pytest.approx(nn.functional.cross_entropy(logits, data.labels).item())
    assert found["validation_accuracy"] == pytest.approx((logits.argmax(1) == data.labels).float().mean().item())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_training_and_names_the_place(value):
    steps = []

    def objective(model, batch, noise):
        steps.append(0)
        return model.weight.sum() * (value if len(steps) == 9 else 1.0), {}

    with pytest.raises(InputError, match=f"the loss became .*{value}.* at epoch 2, step 3"):
        loop.fit(random_linear(2, SHAPE), separable(), separable(), objective, plan(), 0)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(InputError, match="batch_size 49 is larger than the 48 training images"):
        fitted(batch_size=49)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"epochs": 0}, "epochs must be positive"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"momentum": 1.0}, "momentum must lie in"),
        ({"momentum": 0.0, "nesterov": True}, "nesterov needs a momentum above 0"),
        ({"weight_decay": -1.0}, "weight_decay must not be negative"),
    ],
)
def test_unusable_plans_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        plan(**changes)


# Shuffling


def marked(count: int = 30) -> Batch:
    """Image i has constant pixels (i + 1) / count, label i and itself as target."""
    images = ((torch.arange(count) + 1) / count).view(-1, 1, 1, 1).expand(-1, *SHAPE).clone()
    return Batch(images, torch.arange(count), images.clone())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("augment", [False, True])
def test_every_row_comes_once_per_epoch_with_its_label_and_its_target(augment):
    random = marked()
    random = Batch(random.images * torch.rand(30, *SHAPE, generator=generator()).clamp_min(0.99), random.labels, None)
    random = Batch(random.images, random.labels, random.images.clone())
    batches = list(shuffled(random, 8, generator(), augment))
    assert [len(batch) for batch in batches] == [8, 8, 8, 6]
    labels = torch.cat([batch.labels for batch in batches])
    assert sorted(labels.tolist()) == list(range(30)) and labels.tolist() != list(range(30))
    for batch in batches:
        assert torch.equal(batch.images, batch.targets)
        brightest = batch.images.flatten(1).amax(1) * 30
        assert torch.equal(brightest.round().long() - 1, batch.labels)
    moved = torch.cat([batch.images for batch in batches])[labels.argsort()]
    assert torch.equal(moved, random.images) != augment


def test_the_order_changes_from_epoch_to_epoch_and_depends_on_the_generator():
    source = generator()
    orders = [torch.cat([batch.labels for batch in shuffled(marked(), 8, source, False)]).tolist() for _ in range(2)]
    again = torch.cat([batch.labels for batch in shuffled(marked(), 8, generator(), False)]).tolist()
    assert orders[0] != orders[1] and orders[0] == again


def test_without_targets_there_are_none_afterwards():
    data = Batch(marked().images, marked().labels)
    assert all(batch.targets is None for flag in (False, True) for batch in shuffled(data, 8, generator(), flag))


@pytest.mark.parametrize("augment", [False, True])
def test_targets_travel_with_their_images_into_the_objective(augment):
    """Every image is its own target, through all epochs."""
    data = separable()
    data = Batch(data.images, data.labels, data.images.clone())
    compared = []

    def objective(model, batch, noise):
        compared.append(torch.equal(batch.images, batch.targets))
        assert ((batch.images[:, :, 3].mean((1, 2)) > 0) | augment).all()
        return cross_entropy(model, batch, noise)

    loop.fit(smooth(2, SHAPE), data, separable(30, 1), objective, plan(epochs=3, augment=augment), 0)
    assert len(compared) == 18 and all(compared)


# Memory layout


@pytest.mark.parametrize(
    "norm, second, plain", [(True, True, True), (True, False, False), (False, True, False), (False, False, False)]
)  # fmt: skip
def test_only_gradients_of_gradients_through_batch_statistics_leave_channels_last(monkeypatch, norm, second, plain):
    monkeypatch.setattr(interpretation, "SECOND_ORDER", second, raising=False)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4) if norm else nn.ReLU()]
    model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    images = torch.rand(5, 3, 6, 6).to(memory_format=torch.channels_last)
    data = laid_out(model, Batch(images, torch.zeros(5, dtype=torch.int64)), partial(interpretation.loss, settings=None))
    assert torch.equal(data.images, images)
    assert data.images.is_contiguous() == model[0].weight.is_contiguous() == plain


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_batches_have_the_layout_of_the_data(augment, layout):
    images = torch.rand(20, 3, 6, 6).contiguous(memory_format=layout)
    batches = list(shuffled(Batch(images, torch.arange(20)), 8, generator(), augment))
    assert len(batches) == 3 and all(batch.images.is_contiguous(memory_format=layout) for batch in batches)


# The recipe

PARAMS = """
model: {architecture: cnn, width: 0.1, depth: null, dropout: 0.5}
training: {epochs: 2, batch_size: 16, learning_rate: 0.05, momentum: 0.9, nesterov: false, weight_decay: 0.0,
           augment: false, selection: validation, precision: float32, accumulate: 1}
"""


@pytest.fixture
def images(tmp_path: Path, monkeypatch) -> Path:
    """A folder with params.yaml, made the current one, and an image file in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVICE", "cpu")
    (tmp_path / "params.yaml").write_text(PARAMS)
    splits = {}
    for seed, (name, count) in enumerate([("train", 48), ("validation", 20), ("test", 20)]):
        data = separable(count, seed)
        splits[name] = ((data.images * 255).byte().numpy(), data.labels.numpy(), np.arange(count))
    image_file.write(tmp_path / "images.h5", "toy", 2, splits)
    return tmp_path / "images.h5"


def weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def history_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "history.csv").read_text().splitlines()))


def test_a_stage_trains_and_writes_a_model_with_its_history(images, tmp_path):
    recipe.train(cross_entropy, "teacher", 0, images, tmp_path / "models" / "NR")
    model = checkpoint.read(tmp_path / "models" / "NR", torch.device("cpu"))
    assert model(torch.rand(3, *SHAPE)).shape == (3, 2)
    history = history_of(tmp_path / "models" / "NR")
    assert [entry["epoch"] for entry in history] == ["1", "2"]
    assert {"loss", "train_accuracy", "validation_accuracy", "validation_loss", "selected"} <= set(history[0])


def test_a_stage_run_twice_writes_the_same_bytes_and_another_seed_or_role_others(images, tmp_path):
    places = {"first": ("student", 0), "again": ("student", 0), "seed": ("student", 1), "role": ("teacher", 0)}
    for name, (role, seed) in places.items():
        torch.manual_seed(hash(name))
        recipe.train(cross_entropy, role, seed, images, tmp_path / name)
    assert weights(tmp_path / "first") == weights(tmp_path / "again")
    assert (tmp_path / "first" / "history.csv").read_bytes() == (tmp_path / "again" / "history.csv").read_bytes()
    assert len({weights(tmp_path / name) for name in places}) == 3


def test_teacher_and_student_of_one_seed_start_from_different_weights(images, tmp_path):
    """A student that started as its teacher would have the gradients it is asked to learn."""
    found = {}
    for role in ("teacher", "student", "analysis"):
        for seed in (0, 1):

            def objective(model, batch, noise, place=(role, seed)):
                found.setdefault(place, next(model.parameters()).detach().clone())
                return cross_entropy(model, batch, noise)

            recipe.train(objective, role, seed, images, tmp_path / "model")
    initial = [tuple(value.flatten().tolist()) for value in found.values()]
    assert len(set(initial)) == 6
    assert len({runtime.derived_seed(seed, role) for seed in range(50) for role in ("teacher", "student", "analysis")}) == 150


def test_a_loss_that_is_not_finite_leaves_no_folder_behind(images, tmp_path):
    def objective(model, batch, noise):
        return next(model.parameters()).sum() * float("nan"), {}

    with pytest.raises(InputError, match="the loss became nan at epoch 1, step 1"):
        recipe.train(objective, "teacher", 0, images, tmp_path / "model")
    assert {path.name for path in tmp_path.iterdir()} == {"params.yaml", "images.h5"}


def test_a_batch_size_larger_than_the_train_split_is_refused_before_anything_starts(images, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "params.yaml").write_text(PARAMS.replace("batch_size: 16", "batch_size: 49"))
    with pytest.raises(InputError, match="batch_size 49 is larger than the 48 training images"):
        recipe.train(cross_entropy, "teacher", 0, images, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_target_interpretations_reach_the_objective_with_their_images(images, tmp_path):
    """The target of an image is the image itself, in the file's order."""
    train = image_file.read(images, "train")
    header = target_file.Header("toy", train.digest, "R_simple", {})
    target_file.write(tmp_path / "targets.h5", header, train.images.shape, [train.images.astype(np.float32) / 255])

    def objective(model, batch, noise):
        torch.testing.assert_close(batch.targets, batch.images)
        return interpretation.loss(model, batch, noise, interpretation.Settings(3.0, 0.15, "batch"))

    recipe.train(objective, "student", 0, images, tmp_path / "model", tmp_path / "targets.h5")
    history = history_of(tmp_path / "model")
    assert {"cross_entropy", "cosine", "gradient_norm"} <= set(history[0])


def opened_splits(monkeypatch) -> list[str]:
    """Fills with the names of the splits that are read."""
    names, read = [], image_file.read
    monkeypatch.setattr(image_file, "read", lambda path, split: names.append(split) or read(path, split))
    return names


@pytest.mark.parametrize("selection", ["validation", "last", "leaking_test"])
def test_only_the_leaking_selection_opens_the_test_split(images, tmp_path, monkeypatch, selection):
    (tmp_path / "params.yaml").write_text(PARAMS.replace("selection: validation", f"selection: {selection}"))
    names = opened_splits(monkeypatch)
    recipe.train(cross_entropy, "teacher", 0, images, tmp_path / "model")
    leaks = selection == "leaking_test"
    assert names == ["train", "validation"] + ["test"] * leaks
    assert ("test_accuracy" in history_of(tmp_path / "model")[0]) == leaks


def test_batch_size_and_learning_rate_are_divided(images, tmp_path):
    sizes = []

    def objective(model, batch, noise):
        sizes.append(len(batch))
        return cross_entropy(model, batch, noise)

    recipe.train(objective, "teacher", 0, images, tmp_path / "model", batch_divisor=4)
    assert sizes == [4] * 24
    assert float(history_of(tmp_path / "model")[0]["learning_rate"]) == loop.cosine(0.05 / 4, 11, 24)


def test_a_row_may_have_epochs_of_its_own(images, tmp_path):
    recipe.train(cross_entropy, "teacher", 0, images, tmp_path / "model", epochs=3)
    history = history_of(tmp_path / "model")
    assert [entry["epoch"] for entry in history] == ["1", "2", "3"]
    assert float(history[-1]["learning_rate"]) == loop.cosine(0.05, 8, 9)


@pytest.mark.parametrize("divisor", [0, 3])
def test_a_divisor_that_leaves_a_rest_is_refused(images, tmp_path, divisor):
    with pytest.raises(InputError, match=f"batch_divisor must be a divisor of batch_size 16, got {divisor}"):
        recipe.train(cross_entropy, "teacher", 0, images, tmp_path / "model", batch_divisor=divisor)


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize(
    "threshold, phi", [({"phi": 1.0, "ddof": 0, "when": "after"}, 1.0), ({"phi": None, "ddof": 1, "when": "after"}, None),
                       ({"phi": 1.0, "ddof": 1, "when": "before"}, None), (None, None)],
)  # fmt: skip
def test_targets_left_for_later_are_thresholded_after_crop_and_flip(images, tmp_path, augment, threshold, phi):
    """Every target is its image, so that what must come out can be told from the batch."""
    (tmp_path / "params.yaml").write_text(PARAMS.replace("augment: false", f"augment: {str(augment).lower()}"))
    train = image_file.read(images, "train")
    header = target_file.Header("toy", train.digest, "R_simple", {} if threshold is None else {"threshold": threshold})
    target_file.write(tmp_path / "targets.h5", header, train.images.shape, [train.images.astype(np.float32) / 255])
    compared = []

    def objective(model, batch, noise):
        expected = batch.images.numpy() if phi is None else transforms.threshold(batch.images.numpy(), phi, threshold["ddof"])
        compared.append(np.array_equal(batch.targets.numpy(), expected))
        return cross_entropy(model, batch, noise)

    recipe.train(objective, "student", 0, images, tmp_path / "model", tmp_path / "targets.h5")
    assert len(compared) == 6 and all(compared)


def test_targets_of_other_images_are_refused(images, tmp_path):
    train = image_file.read(images, "train")
    header = target_file.Header("toy", "0" * 64, "R_simple", {})
    target_file.write(tmp_path / "targets.h5", header, train.images.shape, [np.ones(train.images.shape, np.float32)])
    with pytest.raises(InputError, match="was made from other images"):
        recipe.train(cross_entropy, "student", 0, images, tmp_path / "model", tmp_path / "targets.h5")


def test_an_unusable_device_is_refused(images, tmp_path, monkeypatch):
    monkeypatch.setenv("DEVICE", "abacus")
    with pytest.raises(InputError, match="DEVICE=abacus is not usable here"):
        recipe.train(cross_entropy, "teacher", 0, images, tmp_path / "model")
