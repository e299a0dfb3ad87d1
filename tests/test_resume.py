"""A training that is killed goes on after its last finished epoch and ends as if nothing had happened; another one starts over."""

import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from lib.base import image_file, resume_folder
from lib.base.errors import InputError
from lib.network.batches import Batch
from lib.objectives import adversarial, interpretation, jacobian
from lib.targets import target_file
from lib.training import recipe, resume
from lib.training.objective import Objective

EPOCHS, STEPS = 4, 3
SHAPE = (1, 8, 8)
PARAMS = """
model: {{architecture: {architecture}, width: {width}, depth: {depth}, dropout: {dropout}{more}}}
training: {{epochs: {epochs}, batch_size: 16, learning_rate: 0.05, momentum: {momentum}, nesterov: false, weight_decay: 0.001,
           augment: {augment}, selection: {selection}, precision: float32, accumulate: 1}}
"""
USUAL = {
    "width": 0.25,
    "architecture": "cnn",
    "depth": "null",
    "dropout": 0.5,
    "epochs": EPOCHS,
    "momentum": 0.9,
    "augment": "false",
    "more": "",
}
WRN = ", conv_bias: false, initialisation: he, final_momentum: 0.1"
AT = partial(adversarial.loss, settings=adversarial.Settings(1.0, "l2", 0.5, 2, "eval", "strict", ramp=0.5))
JR = partial(jacobian.loss, settings=jacobian.Settings(0.3, "half_squared", 1, "sample"))
IR = partial(interpretation.loss, settings=interpretation.Settings(3.0, 0.15, "batch"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images and targets in it; write_params makes its params.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVICE", "cpu")
    write_params()
    write_data()
    return tmp_path


def write_params(**changes) -> None:
    Path("params.yaml").write_text(PARAMS.format(**{**USUAL, "selection": "validation", **changes}))
    recipe.params.parsed.cache_clear()


def write_data() -> None:
    random = np.random.default_rng(0)
    splits = {}
    for name, count in (("train", 40), ("validation", 20), ("test", 20)):
        splits[name] = (random.integers(256, size=(count, *SHAPE), dtype=np.uint8), random.integers(2, size=count), np.arange(count))
    image_file.write(Path("images.h5"), "toy", 2, splits)
    train = image_file.read(Path("images.h5"), "train")
    maps = random.standard_normal(train.images.shape).astype(np.float32)
    target_file.write(Path("targets.h5"), target_file.Header("toy", train.digest, "R_simple", {}), train.images.shape, [maps])


def train(objective: Objective, out: str, **changes) -> None:
    usual = {"role": "student", "seed": 0, "images": Path("images.h5"), "targets": Path("targets.h5")}
    recipe.train(objective, out=Path(out), **{**usual, **changes})


class Dying:
    """`objective`, which ends its process at the given call as the kernel's memory killer would; the same one to a fingerprint."""

    def __init__(self, objective: partial, call: int) -> None:
        self.objective, self.left = objective, call

    def __call__(self, model: nn.Module, batch: Batch, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.objective(model, batch, noise)


def dying(objective: partial, call: int) -> partial:
    """`objective` with its own description, for a process that shall not survive the given call."""
    killer = Dying(objective, call)

    def run(*args, settings):
        return killer(*args)

    run.__module__, run.__qualname__ = objective.func.__module__, objective.func.__qualname__
    return partial(run, **objective.keywords)


def in_a_killed_process(work: Callable[[], None]) -> None:
    """Run `work` in a process of its own, which must end by SIGKILL."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def written(out: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(out).iterdir()}


def epochs_done(state: Path) -> int:
    with safe_open(state, "pt") as file:
        return len(json.loads(file.metadata()["state"])["facts"]["history"])


@pytest.mark.parametrize(
    "objective, changes",
    [
        (AT, {}),
        (AT, {"augment": "true", "selection": "leaking_test"}),
        (JR, {"dropout": 0.0, "momentum": 0.0}),
        (IR, {"augment": "true"}),
        (IR, {"architecture": "wide_resnet", "width": 0.5, "depth": 10, "dropout": 0.3, "selection": "last", "more": WRN}),
    ],
)
@pytest.mark.parametrize("call", [STEPS + 1, 3 * STEPS + 2])
def test_a_killed_training_ends_as_one_that_never_was(folder, capfd, objective, changes, call):
    """Killed in the second and in the last epoch: weights, description and history are the same bytes."""
    write_params(**changes)
    train(objective, "whole")
    in_a_killed_process(lambda: train(dying(objective, call), "killed"))
    assert not Path("killed").exists() and epochs_done(Path(".resume/killed.safetensors")) == (call - 1) // STEPS
    capfd.readouterr()
    train(objective, "killed")
    assert f"training resumes at epoch {(call - 1) // STEPS + 1}, from .resume/killed.safetensors" in capfd.readouterr().err
    assert written("killed") == written("whole")
    assert not Path(".resume").exists()


def test_only_the_epochs_that_are_left_are_trained(folder):
    steps = []

    def counting(*args, settings):
        steps.append(0)
        return AT(*args)

    counting.__module__, counting.__qualname__ = AT.func.__module__, AT.func.__qualname__
    in_a_killed_process(lambda: train(dying(AT, 3 * STEPS), "out"))
    train(partial(counting, **AT.keywords), "out")
    assert len(steps) == 2 * STEPS


def test_progress_counts_the_steps_of_before(folder, capfd):
    in_a_killed_process(lambda: train(dying(AT, 2 * STEPS + 1), "out"))
    capfd.readouterr()
    train(AT, "out")
    reports = [line for line in capfd.readouterr().err.splitlines() if line.startswith("training:")]
    assert "50% 6/12" in reports[0] and "100% 12/12" in reports[-1]


def test_a_process_killed_from_outside_at_any_time_goes_on(folder, capfd):
    """A process of its own, killed when its second epoch shows up in the state."""
    epochs = 60
    write_params(epochs=epochs)
    child = os.fork()
    if child == 0:
        try:
            train(AT, "killed")
        finally:
            os._exit(0)
    state = Path(".resume/killed.safetensors")
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and not (state.is_file() and epochs_done(state) >= 2):
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL and 2 <= epochs_done(state) < epochs
    capfd.readouterr()
    train(AT, "killed")
    assert "training resumes at epoch" in capfd.readouterr().err
    train(AT, "whole")
    assert written("killed") == written("whole")


def test_a_kill_between_result_and_clean_up_does_no_harm(folder, monkeypatch):
    """The state of a finished training is left behind: the next run trains nothing and writes the same."""
    monkeypatch.setattr(resume.Store, "remove", lambda store: None)
    train(AT, "out")
    first = written("out")
    train(dying(AT, 1), "out")
    assert written("out") == first


def changed_settings() -> None:
    train(partial(adversarial.loss, settings=adversarial.Settings(1.1, "l2", 0.5, 2, "eval", "strict")), "out")


def changed_plan() -> None:
    write_params(momentum=0.8)
    train(AT, "out")


def changed_model() -> None:
    write_params(dropout=0.4)
    train(AT, "out")


def changed_targets() -> None:
    split = image_file.read(Path("images.h5"), "train")
    header = target_file.Header("toy", split.digest, "R_simple", {"another": {}})
    target_file.write(Path("targets.h5"), header, split.images.shape, [np.ones(split.images.shape, np.float32)])
    train(AT, "out")


def changed_inputs() -> None:
    Path("teacher").mkdir()
    Path("teacher/weights.safetensors").write_bytes(b"others")
    train(AT, "out", inputs=[Path("teacher")])


CHANGES = {
    "objective": lambda: train(JR, "out"),
    "settings": changed_settings,
    "plan": changed_plan,
    "batch_divisor": lambda: train(AT, "out", batch_divisor=2),
    "model": changed_model,
    "role": lambda: train(AT, "out", role="teacher"),
    "seed": lambda: train(AT, "out", seed=1),
    "targets": changed_targets,
    "inputs": changed_inputs,
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_training_starts_over(folder, capfd, change):
    in_a_killed_process(lambda: train(dying(AT, 2 * STEPS + 1), "out"))
    capfd.readouterr()
    CHANGES[change]()
    told = capfd.readouterr().err
    assert "out.safetensors belongs to a training with other settings, data or code; training starts over" in told
    assert "resumes" not in told and len((Path("out") / "history.csv").read_text().splitlines()) == EPOCHS + 1


def test_changed_code_starts_over(folder, capfd, monkeypatch):
    """One byte more in a module of lib that is loaded."""
    in_a_killed_process(lambda: train(dying(AT, 2 * STEPS + 1), "out"))
    copy = Path("projections.py")
    copy.write_text(Path(adversarial.projections.__file__).read_text() + "\n")
    monkeypatch.setattr(adversarial.projections, "__file__", str(copy))
    train(AT, "out")
    assert "with other settings, data or code" in capfd.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_truncated_state_starts_over_with_a_sentence(folder, capfd, share):
    train(AT, "whole")
    in_a_killed_process(lambda: train(dying(AT, 2 * STEPS + 1), "out"))
    state = Path(".resume/out.safetensors")
    state.write_bytes(state.read_bytes()[: int(share * state.stat().st_size)])
    train(AT, "out")
    told = capfd.readouterr().err
    assert ".resume/out.safetensors is damaged (" in told and "training starts over" in told
    assert written("out") == written("whole") and not Path(".resume").exists()


def test_a_training_that_fails_leaves_no_state(folder):
    calls = []

    def failing(model, batch, noise):
        calls.append(0)
        loss, terms = AT(model, batch, noise)
        return loss * (float("nan") if len(calls) > 2 * STEPS else 1.0), terms

    with pytest.raises(InputError, match="the loss became nan at epoch 3, step 1"):
        train(failing, "out")
    assert not Path(".resume").exists()


def place(out):
    return resume_folder.place(out, ".safetensors")


def test_states_of_different_results_lie_apart(folder):
    """Each under the path of its result, also outside of the current folder, and removing one leaves the others."""
    inside, outside = place(Path("models/0/NR")), place(Path("/elsewhere/models/0/NR"))
    assert inside == place(folder / "models" / "0" / "NR") == Path(".resume/models/0/NR.safetensors")
    assert outside == Path(".resume/elsewhere/models/0/NR.safetensors")
    for path in (inside, outside):
        path.parent.mkdir(parents=True)
        path.touch()
    resume.Store(Path("models/0/NR"), "").remove()
    assert not Path(".resume/models").exists() and outside.exists()
