"""A recorded step is the eager one: on a CPU with a stand-in for the graph that repeats the work in place, on a GPU with real graphs."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from lib.network.architecture import Model, build
from lib.network.batches import Batch
from lib.objectives import adversarial, interpretation, jacobian
from lib.training import loop, steps
from lib.training.cuda_graphs import Captured, tensors, untouched
from lib.training.loop import Plan
from lib.training.steps import Gradients, split, stepper

SHAPE = (1, 8, 8)
WRN = {"conv_bias": False, "initialisation": "he", "final_momentum": 0.1}
OBJECTIVES = {
    "standard": partial(adversarial.loss, settings=adversarial.Settings(None, "l2", 0.5, 2, "eval", "strict")),
    "AT": partial(adversarial.loss, settings=adversarial.Settings(1.0, "l2", 0.5, 2, "train", "strict")),
    "JR": partial(jacobian.loss, settings=jacobian.Settings(0.3, "half_squared", 2, "sample")),
    "JR exact": partial(jacobian.loss, settings=jacobian.Settings(0.3, "norm", 0, "batch")),
    "IR": partial(interpretation.loss, settings=interpretation.Settings(3.0, 0.15, "batch")),
}
MODELS = {
    "cnn": Model("cnn", 0.25, None, 0.5),
    # Not narrower: a strided 1x1 convolution of 4 channels crashes oneDNN's AVX2 kernels (torch 2.13).
    "wide_resnet": Model("wide_resnet", 0.5, 10, 0.3, **WRN),  # type: ignore[arg-type]
}


def network(name: str = "wide_resnet", device: str = "cpu") -> nn.Module:
    torch.manual_seed(0)
    return build(MODELS[name], SHAPE, 3).to(device)


def data(count: int = 20, seed: int = 0, device: str = "cpu") -> Batch:
    random = torch.Generator().manual_seed(seed)
    images = torch.rand(count, *SHAPE, generator=random).to(device, memory_format=torch.channels_last)
    labels, targets = torch.randint(3, (count,), generator=random), torch.randn(count, *SHAPE, generator=random)
    return Batch(images, labels.to(device), targets.to(device))


class InPlace:
    """Stands in for CUDA graphs: recording leaves no trace, repeating writes to the same memory. Counts both."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.recorded, self.repeated = model, 0, 0

    def __call__(self, work: Callable[[], Tensor], noise: torch.Generator) -> tuple[Callable[[], None], Tensor]:
        self.recorded += 1
        with untouched(self.model, noise):
            figures = torch.full_like(work(), float("nan"))  # a capture computes nothing

        def repeat() -> None:
            self.repeated += 1
            figures.copy_(work())

        return repeat, figures


def thrice(work: Callable[[], Tensor]) -> None:
    for _ in range(3):
        work()


def recorded(model, optimizer, objective, noise, *, precision, parts) -> Captured:
    """What `stepper` makes on a GPU, with the stand-in."""
    clear = partial(optimizer.zero_grad, set_to_none=False)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return Captured(Gradients(model, objective, noise, clear, precision=precision, parts=parts), model, noise, InPlace(model), thrice)


def fitted(objective: str, name: str, device: str = "cpu", **changes) -> tuple[nn.Module, list[dict]]:
    model = network(name, device)
    usual = {"epochs": 2, "batch_size": 8, "learning_rate": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}
    plan = Plan(**{**usual, "augment": False, "selection": "last", **changes})
    torch.manual_seed(1)
    return model, loop.fit(model, data(device=device), data(10, 1, device), OBJECTIVES[objective], plan, 0)


@pytest.mark.parametrize("changes", [{}, {"augment": True}, {"precision": "bfloat16"}])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_training_of_recorded_steps_is_the_eager_one(monkeypatch, objective, name, changes):
    """20 images in batches of 8, 8 and 4, with dropout, random starts and batch statistics: the same history, weights and buffers."""
    model, history = fitted(objective, name, **changes)
    monkeypatch.setattr(loop, "stepper", recorded)
    again, repeated = fitted(objective, name, **changes)
    assert history == repeated
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))


def captured(model: nn.Module, work: Callable[[Batch], Tensor]) -> Captured:
    work = SimpleNamespace(names=("loss",), __call__=work) if not callable(work) else work
    return Captured(work, model, torch.Generator(), InPlace(model), thrice)  # type: ignore[arg-type]


def test_each_size_is_recorded_once_and_repeated_for_every_batch():
    model = network()
    step = captured(model, lambda batch: batch.images.double().sum().view(1))
    batches = [data(size, seed) for seed, size in enumerate((8, 8, 4, 8, 4, 8))]
    found = [step(batch).item() for batch in batches]
    assert found == pytest.approx([batch.images.double().sum().item() for batch in batches])
    assert step.record.recorded == 2 and step.record.repeated == 6 and set(step.recordings) == {8, 4}


def test_all_batches_of_a_size_are_read_from_the_same_place_in_the_same_layout():
    seen: list[list[tuple]] = []

    def work(batch: Batch) -> Tensor:
        seen.append([(tensor.data_ptr(), tensor.stride()) for tensor in tensors(batch)])
        return torch.zeros(1)

    first = data(8)
    step = captured(network(), work)
    for seed in range(3):
        step(data(8, seed))
    step(first)
    assert all(places == seen[0] for places in seen)
    strides = [tensor.stride() for tensor in tensors(first)]
    assert [stride for _, stride in seen[0]] == strides and seen[0][0][0] != first.images.data_ptr()


def test_batches_without_targets_stay_without():
    step = captured(network(), lambda batch: torch.tensor([1.0 if batch.targets is None else 0.0]))
    assert step(Batch(data(8).images, data(8).labels)).item() == 1.0


def test_gradients_never_change_their_address():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    step = recorded(model, optimizer, OBJECTIVES["IR"], torch.Generator(), precision="float32", parts=1)
    places = [parameter.grad.data_ptr() for parameter in model.parameters()]
    for size in (8, 4, 8):
        step(data(size))
        optimizer.step()
        assert [parameter.grad.data_ptr() for parameter in model.parameters()] == places
        assert any(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_recording_leaves_no_trace_in_batch_statistics_and_generators():
    model, noise = network().train(), torch.Generator().manual_seed(3)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    expected = torch.rand(2, generator=torch.Generator().manual_seed(3)), torch.Generator().manual_seed(5)
    torch.manual_seed(5)
    with untouched(model, noise):
        model(data().images)
        torch.rand(7, generator=noise)
    assert len(before) > 0 and all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert torch.equal(torch.rand(2, generator=noise), expected[0])
    assert torch.equal(torch.rand(2), torch.rand(2, generator=expected[1]))


def chosen(device: str, objective=OBJECTIVES["standard"]) -> object:
    model = network()
    noise = SimpleNamespace(device=torch.device(device))
    return stepper(model, torch.optim.SGD(model.parameters(), 0.1), objective, noise, precision="float32", parts=1)  # type: ignore


def test_graphs_are_for_cuda_devices_where_switched_on_and_possible(monkeypatch):
    class Counting:
        capturable = False

        def __call__(self, model, batch, noise):
            raise NotImplementedError

    monkeypatch.delenv("CUDA_GRAPHS", raising=False)
    assert isinstance(chosen("cuda"), Gradients)
    monkeypatch.setenv("CUDA_GRAPHS", "1")
    assert isinstance(chosen("cuda"), Captured) and isinstance(chosen("cpu"), Gradients)
    assert isinstance(chosen("cuda", Counting()), Gradients)
    ramped = adversarial.Settings(1.0, "l2", 0.5, 2, "eval", "strict", ramp=0.2)
    assert isinstance(chosen("cuda", partial(adversarial.loss, settings=ramped)), Gradients)


def test_nothing_in_a_step_asks_the_device_for_a_number(monkeypatch):
    """What would make a GPU wait: reading a tensor's value in Python."""

    def refused(tensor, *args):
        raise AssertionError("a step read a value")

    for name, objective in OBJECTIVES.items():
        model = network("cnn")
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        step = steps.Gradients(model, objective, torch.Generator(), optimizer.zero_grad, precision="float32", parts=2)
        with monkeypatch.context() as patch:
            for reading in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__"):
                patch.setattr(Tensor, reading, refused)
            step(data(8))
        assert step.names[0] == "loss", name


def test_a_batch_is_split_into_parts_as_equal_as_can_be():
    batch = data(10)
    assert [len(part) for part in split(batch, 4)] == [2, 3, 2, 3]
    assert torch.equal(torch.cat([part.images for part in split(batch, 4)]), batch.images)
    assert split(batch, 1) == [batch] and [len(part) for part in split(data(2), 4)] == [1, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_on_a_gpu_a_training_of_graphs_is_the_eager_one(monkeypatch, objective, name, precision):
    monkeypatch.setenv("CUDA_GRAPHS", "1")
    graphs, history = fitted(objective, name, "cuda", precision=precision)
    monkeypatch.delenv("CUDA_GRAPHS")
    eager, expected = fitted(objective, name, "cuda", precision=precision)
    tolerance = {"rtol": 1e-3, "atol": 1e-4} if precision == "float32" else {"rtol": 0.05, "atol": 0.02}
    for entry, other in zip(history, expected, strict=True):
        assert entry == pytest.approx(other, rel=tolerance["rtol"], abs=tolerance["atol"])
    torch.testing.assert_close(graphs.state_dict(), eager.state_dict(), **tolerance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_every_repeat_draws_new_numbers(monkeypatch):
    """The random starts of adversarial training: the same batch gives another loss."""
    monkeypatch.setenv("CUDA_GRAPHS", "1")
    model = network("cnn", "cuda").eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    noise = torch.Generator("cuda").manual_seed(0)
    step = stepper(model, optimizer, OBJECTIVES["AT"], noise, precision="float32", parts=1)
    assert isinstance(step, Captured)
    losses = [step(data(8, device="cuda"))[0].item() for _ in range(4)]
    assert len(set(losses)) == 4
