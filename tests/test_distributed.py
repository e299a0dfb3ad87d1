"""Two processes compute what one does: gradients of gradients, batch statistics, whole trainings, and their ends.

Several gradients are computed by one pair of processes, in float64 and by gloo.
"""

import csv
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from project import ROOT
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.base import image_file
from lib.base.errors import InputError
from lib.network import processes
from lib.network.architecture import Model, build
from lib.network.batches import Batch
from lib.objectives import adversarial, distillation, interpretation, jacobian
from lib.targets import target_file
from lib.training import distributed, launch, loop, recipe, steps
from stages import train_ir

SHAPE, CLASSES = (2, 8, 8), 4
WRN = {"conv_bias": False, "initialisation": "he", "final_momentum": 0.1}
MODELS = {
    "cnn": Model("cnn", 0.25, None, 0.5),
    "wide_resnet": Model("wide_resnet", 0.5, 10, 0.3, **WRN),  # type: ignore[arg-type]
}


def network(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(MODELS[name], SHAPE, CLASSES).double()


TEACHER = network("cnn", 7).eval().requires_grad_(False)
SETTINGS = {
    "standard": (adversarial, adversarial.Settings(None, "l2", 0.5, 2, "eval", "strict"), {}),
    "AT": (adversarial, adversarial.Settings(1.0, "l2", 0.5, 2, "eval", "strict"), {}),
    "AT, paper, train mode": (adversarial, adversarial.Settings(1.0, "l2", 0.5, 2, "train", "paper"), {}),
    "AT, linf": (adversarial, adversarial.Settings(0.2, "linf", 0.1, 2, "train", "strict"), {}),
    "JR": (jacobian, jacobian.Settings(0.3, "half_squared", 2, "sample"), {}),
    "JR, squared batch": (jacobian, jacobian.Settings(0.3, "half_squared", 1, "batch"), {}),
    "JR, batch": (jacobian, jacobian.Settings(0.3, "norm", 0, "batch"), {}),
    "JR, own masks": (jacobian, jacobian.Settings(0.3, "norm", 0, "batch", masks="per_row"), {}),
    "IR": (interpretation, interpretation.Settings(3.0, 1.0, "sample"), {}),
    "IR, batch": (interpretation, interpretation.Settings(3.0, 0.15, "batch"), {}),
    "IR, eval mode": (interpretation, interpretation.Settings(3.0, 0.15, "batch", mode="eval"), {}),
    "distillation": (distillation, distillation.Settings(1.0, 2.0, 1.0, 0.5, "batch"), {"teacher": TEACHER}),
}
OBJECTIVES = {name: partial(module.loss, settings=settings, **more) for name, (module, settings, more) in SETTINGS.items()}
IMAGES = (4, 5)  # halves of two, and two images beside three
CASES = [(objective, model) for objective in OBJECTIVES for model in MODELS] + [("AT, paper, train mode", "faint cnn")]


def data(count: int) -> Batch:
    random = torch.Generator().manual_seed(count)
    images = torch.rand(count, *SHAPE, generator=random).double().to(memory_format=torch.channels_last)
    targets = torch.randn(count, *SHAPE, generator=random).double()
    return Batch(images, torch.randint(CLASSES, (count,), generator=random), targets)


def step(objective: str, name: str, images: int, parts: int = 1) -> dict[str, Tensor]:
    """What one step leaves: gradients, running statistics, figures, and where the generators stand."""
    model, noise = network(name.removeprefix("faint ")), torch.Generator().manual_seed(3)
    if name.startswith("faint"):  # its image gradients are shorter than the floor of the paper's attack
        with torch.no_grad():
            model.classifier[-1].weight.mul_(1e-5)  # type: ignore[index]
    rule = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(5)
    figures = steps.stepper(model, rule, OBJECTIVES[objective], noise, precision="float32", parts=parts)(data(images))
    found = {f"gradient of {key}": parameter.grad for key, parameter in model.named_parameters() if parameter.grad is not None}
    found |= {f"buffer {key}": buffer.clone().double() for key, buffer in model.named_buffers()}
    drawn = {"own": noise.get_state().double(), "default": torch.get_rng_state().double()}
    return found | {"figures": figures, **{f"{key} generator": state for key, state in drawn.items()}}


def close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-9) -> bool:
    """Whether all tensors are the same but for rounding in float64, each by its norm."""
    assert found.keys() == expected.keys() and all(map(torch.Tensor.isfinite, [expected["figures"].sum()]))
    limits = {key: max(tolerance, 1e-6) if key == "figures" else tolerance for key in expected}  # shares of images are float32
    return all(bool((found[key] - one).norm() <= limits[key] * one.norm().clamp_min(1e-6)) for key, one in expected.items())


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, value)
        yield


def without_second_order() -> None:
    """The sum over processes as a function whose gradient has no derivative."""

    def backward(ctx, gradient):
        with torch.no_grad():
            return processes._Summed.apply(gradient.detach())

    processes._Summed.backward = staticmethod(backward)  # type: ignore[method-assign]


BROKEN = {  # what is done wrong, and a case in which it matters
    "equal weights": ((processes.Share, "weight", 0.5), ("standard", "cnn", 5)),
    "statistics of half a batch": ((distributed, "shared", lambda model: model), ("standard", "wide_resnet", 4)),
    "a norm of half a batch": ((processes, "norm", Tensor.norm), ("IR, batch", "cnn", 4)),
    "a sum of half a batch": ((processes, "summed", lambda values: values), ("JR, batch", "cnn", 4)),
    "a mean of half a batch": ((processes, "weight", lambda: 1.0), ("AT, paper, train mode", "faint cnn", 4)),
    "a draw of its own": ((processes, "drawn", lambda draw, shape, noise, **kind: draw(shape, generator=noise, **kind)), ("JR", "cnn", 4)),
}
SECOND_ORDER = ("IR", "wide_resnet", 4)


def in_pair(work: Callable[[], object], folder: Path) -> list[int]:
    """Run `work` in two processes that share out a training; returns how they ended."""
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                store = dist.FileStore(str(folder / "store"), 2)
                dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
                work()
                status = 0
            except SystemExit as ended:
                status = int(ended.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def all_steps(folder: Path) -> None:
    found = {(*case, count): step(*case, count) for case in CASES for count in IMAGES}
    found["accumulated"] = step("AT", "cnn", 5, parts=2)
    for name, (patch, case) in BROKEN.items():
        with replaced(*patch):
            found[name] = step(*case)
    without_second_order()
    found["no second order"] = step(*SECOND_ORDER)
    torch.save(found, folder / f"{dist.get_rank()}.pt")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two processes has after each step."""
    folder = tmp_path_factory.mktemp("pair")
    step("standard", "cnn", 4)  # what torch imports at its first step is imported once, and not by each process
    assert in_pair(lambda: all_steps(folder), folder) == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("count", IMAGES)
@pytest.mark.parametrize("objective, model", CASES)
def test_two_processes_have_the_gradient_of_one_on_the_whole_batch(pair, objective, model, count):
    """So have they its running statistics, its figures, and generators that have drawn as much."""
    case = (objective, model, count)
    assert all(close(one[case], step(*case)) for one in pair)
    assert all(torch.equal(mine, pair[1][case][name]) for name, mine in pair[0][case].items())


def test_a_batch_computed_in_parts_is_shared_out_part_by_part(pair):
    assert close(pair[0]["accumulated"], step("AT", "cnn", 5, parts=2))


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_would_be_noticed(pair, mistake):
    assert not close(pair[0][mistake], step(*BROKEN[mistake][1]), 1e-3)


def test_a_missing_second_derivative_would_be_noticed(pair):
    assert not close(pair[0]["no second order"], step(*SECOND_ORDER), 1e-3)


def test_shares_follow_each_other(monkeypatch):
    for rank in range(3):
        monkeypatch.setattr(dist, "is_initialized", lambda: True)
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        monkeypatch.setattr(dist, "get_world_size", lambda: 3)
        part = processes.share(8)
        assert (part.first, part.last, part.total) == [(0, 2, 8), (2, 5, 8), (5, 8, 8)][rank]


def test_a_batch_with_fewer_images_than_processes_is_refused(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    plan = loop.Plan(1, 4, 0.1, 0.0, False, 0.0, False, "last")
    with pytest.raises(InputError, match="every process needs an image of each batch, the smallest .* has 1 for 2 processes"):
        loop.fit(network("cnn"), data(5), data(4), OBJECTIVES["standard"], plan, 0)


PARAMS = """
model: {architecture: wide_resnet, width: 0.5, depth: 10, dropout: 0.3, conv_bias: false, initialisation: he, final_momentum: 0.1}
training: {epochs: EPOCHS, batch_size: 16, learning_rate: 0.02, momentum: 0.9, nesterov: false, weight_decay: 0.001,
           augment: true, selection: validation, precision: float32, accumulate: 1}
ir: {mine: {lambda_d: 1.0, lambda_m: 0.05, reduction: batch, mode: train}}
"""
WORDS = ["mine", "0", "--images", "images.h5", "--targets", "targets.h5", "--out"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with parameters, images (batches of 16, 16 and 9) and targets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_params(3)
    random, splits = np.random.default_rng(0), {}
    for name, count in (("train", 41), ("validation", 20)):
        splits[name] = (random.integers(256, size=(count, *SHAPE), dtype=np.uint8), random.integers(CLASSES, size=count), np.arange(count))
    image_file.write(Path("images.h5"), "toy", CLASSES, splits)
    train = image_file.read(Path("images.h5"), "train")
    maps = random.standard_normal(train.images.shape).astype(np.float32)
    target_file.write(Path("targets.h5"), target_file.Header("toy", train.digest, "mine", {}), train.images.shape, [maps])
    return tmp_path


def write_params(epochs: int) -> None:
    Path("params.yaml").write_text(PARAMS.replace("EPOCHS", str(epochs)))
    recipe.params.parsed.cache_clear()


def trained(out: str) -> tuple[dict[str, Tensor], np.ndarray]:
    """Weights and history of a training."""
    with (Path(out) / "history.csv").open() as file:
        history = np.array([list(map(float, row.values())) for row in csv.DictReader(file)])
    return load_file(Path(out) / "weights.safetensors"), history


def test_a_training_of_two_processes_is_that_of_one(folder):
    """With augmentation, dropout, batch statistics and a penalty of the whole batch, to rounding in float32."""
    train_ir.main([*WORDS, "one"], standalone_mode=False)
    assert in_pair(lambda: train_ir.main([*WORDS, "two"], standalone_mode=False), folder) == [0, 0]
    (one, first), (two, second) = trained("one"), trained("two")
    assert first[:, -1].tolist() == second[:, -1].tolist() and not Path(".resume").exists()
    np.testing.assert_allclose(second, first, rtol=2e-3, atol=2e-4)
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=2e-3, atol=2e-4)


def started(out: str, **environment: str) -> subprocess.Popen:
    """A training as a user starts it, by two processes."""
    command = [sys.executable, "-m", "stages.train_ir", *WORDS, out]
    known = {**os.environ, "PYTHONPATH": str(ROOT), "PROCESSES": "2", **environment}
    return subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def workers(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def test_when_one_process_is_killed_all_end_and_nothing_is_written(folder):
    """Started by PROCESSES, killed after some epochs, told by one sentence; what was computed is kept for the next call."""
    write_params(400)
    training = started("killed")
    state = Path(".resume/killed.safetensors")
    while training.poll() is None and not state.is_file():
        time.sleep(0.01)
    found = workers(training.pid)
    os.kill(found[1], signal.SIGKILL)
    told = training.communicate(timeout=60)[1]
    assert training.returncode == 128 + signal.SIGKILL and state.is_file()
    assert not Path("killed").exists() and not Path("killed.part").exists()
    assert told.count("Error: one of the 2 processes was ended by signal 9, the others were stopped\n") == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)


def test_a_training_goes_on_where_all_its_processes_were_killed(folder, capfd):
    """Both die in the second epoch; the next two end with the bytes of two that never were killed."""
    words = [*WORDS, "killed"]
    with replaced(steps.Gradients, "__call__", dying(steps.Gradients.__call__, 5)):
        assert in_pair(lambda: train_ir.main(words, standalone_mode=False), folder) == [-signal.SIGKILL] * 2
    assert not Path("killed").exists()
    capfd.readouterr()
    Path("store").unlink()
    in_pair(lambda: train_ir.main(words, standalone_mode=False), folder)
    assert capfd.readouterr().err.count("training resumes at epoch 2, from .resume/killed.safetensors\n") == 1
    Path("store").unlink()
    in_pair(lambda: train_ir.main([*WORDS, "whole"], standalone_mode=False), folder)
    for name in ("weights.safetensors", "history.csv", "model.json"):
        assert (Path("killed") / name).read_bytes() == (Path("whole") / name).read_bytes(), name


def dying(work: Callable, call: int) -> Callable:
    """`work`, which ends its process at the given call as the kernel's memory killer would."""
    left = iter(range(call - 1, -1, -1))

    def run(*args):
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*args)

    return run


def under_torchrun(words: list[str], capfd: pytest.CaptureFixture) -> tuple[list[int], str]:
    """How two processes end that torchrun has started with these words, and what they print."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    address |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            os.environ.update(address, RANK=str(rank), LOCAL_RANK=str(rank))
            sys.argv = ["stages.train_ir", *words]
            status = 0
            try:
                launch.run(train_ir.main)
            except SystemExit as ended:
                status = int(ended.code or 0)
            except BaseException:
                status = 99
            finally:
                os._exit(status)
        children.append(child)
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return ends, capfd.readouterr().err


@pytest.mark.parametrize(
    "words, status, sentence",
    [
        (["other", *WORDS[1:], "out"], 1, "Error: params.yaml: ir has no key 'other', it has mine\n"),
        ([*WORDS[:2], *WORDS[4:], "out"], 2, "Error: Missing option '--images'.\n"),
        ([*WORDS[:5], "images.h5", "--out", "out"], 1, "Error: expected a maps file at images.h5, found kind 'images'\n"),
    ],
)
def test_bad_input_is_told_once_whichever_process_meets_it_first(folder, capfd, words, status, sentence):
    ends, told = under_torchrun(words, capfd)
    assert sorted(ends) == [0, status] and told.count("Error: ") == 1 and sentence in told and not Path("out").exists()


def test_a_loss_that_is_not_finite_is_told_once(folder, capfd):
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("0.02", "1e30"))
    recipe.params.parsed.cache_clear()
    ends, told = under_torchrun([*WORDS, "out"], capfd)
    assert sorted(ends) == [0, 1] and told.count("Error: the loss became") == 1
    assert not Path("out").exists() and not Path(".resume").exists()


@pytest.mark.parametrize(
    "environment, sentence",
    [
        ({"PROCESSES": "two"}, "PROCESSES must be a positive whole number, got 'two'"),
        ({"PROCESSES": "0"}, "PROCESSES must be a positive whole number, got '0'"),
        ({"PROCESSES": "2", "DEVICE": "cuda:1"}, "DEVICE must be cpu or cuda for several processes, which take one GPU each, got cuda:1"),
        ({"PROCESSES": "9", "DEVICE": "cuda"}, "9 processes need as many GPUs, this machine has"),
    ],
)
def test_processes_that_cannot_be_had_are_refused_before_any_is_started(monkeypatch, capsys, environment, sentence):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        launch.run(train_ir.main)
    assert ended.value.code == 1 and f"Error: {sentence}" in capsys.readouterr().err
