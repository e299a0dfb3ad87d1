"""What a training step costs beside the same step in an ordinary eager loop, and beside what the machine's matrix product allows.

For each objective of params.yaml, on random images and in turns within one run: milliseconds per step of our loop; of an eager loop with
a shuffling DataLoader that reads loss and terms after each step, on the same network in PyTorch's usual memory layout and in channels-last;
floating-point operations of the convolutions and matrix products of a step (a multiplication and an addition are two); and the rate at
which these are done, as a share of a float32 matrix product's in the same run.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice

import click
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from lib.base import params
from lib.base.command import command
from lib.base.errors import require
from lib.network import architecture, runtime
from lib.network.batches import Batch
from lib.network.thin_convolution import ThinConvolution
from lib.objectives import adversarial, interpretation, jacobian
from lib.training import loop
from lib.training.layout import laid_out
from lib.training.objective import Objective
from lib.training.shuffling import shuffled
from lib.training.steps import Gradients, stepper

SHAPES = {"cnn": (1, 28, 28), "wide_resnet": (3, 32, 32)}
CLASSES = 10
PRODUCT = 2048  # rows and columns of the matrices whose product is the yardstick


@dataclass(frozen=True)
class Case:
    """One objective at one scale."""

    objective: Objective
    plan: loop.Plan
    model: architecture.Model
    data: Batch

    def network(self, memory_format: torch.memory_format = torch.channels_last) -> nn.Module:
        """The network at its first step, the same each time."""
        torch.manual_seed(0)
        shape = self.data.images.shape[1:]
        network = architecture.build(self.model, (shape[0], shape[1], shape[2]), CLASSES)
        return network.to(self.data.images.device).to(memory_format=memory_format).train()  # type: ignore[call-overload]

    def noise(self) -> torch.Generator:
        return torch.Generator(self.data.images.device).manual_seed(0)


def objectives() -> dict[str, Objective]:
    """Standard training and the first row of each kind that params.yaml has; adversarial training may be a teacher's only."""
    trained = [*params.sections(adversarial.Settings, "at").values(), *params.sections(adversarial.Settings, "teachers").values()]
    rows: dict[str, list[Objective]] = {
        "standard": [partial(adversarial.loss, settings=replace(one, epsilon=None)) for one in trained],
        "AT": [partial(adversarial.loss, settings=one) for one in trained if one.epsilon is not None],
        "JR": [partial(jacobian.loss, settings=one) for one in params.sections(jacobian.Settings, "jr").values()],
        "IR": [partial(interpretation.loss, settings=one) for one in params.sections(interpretation.Settings, "ir").values()],
    }
    return {kind: of_kind[0] for kind, of_kind in rows.items() if of_kind}


def random_data(count: int, shape: tuple[int, int, int], device: torch.device) -> Batch:
    """Images, labels and targets that are nothing but noise."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand(count, *shape, generator=random).to(device, memory_format=torch.channels_last)
    labels, targets = torch.randint(CLASSES, (count,), generator=random), torch.randn(count, *shape, generator=random)
    return Batch(images, labels.to(device), targets.to(device))


def ours(case: Case) -> Callable[[int], None]:
    """So many steps of the project's loop, with the transfer of their figures at the end."""
    network, order, noise = case.network(), torch.Generator().manual_seed(0), case.noise()
    data = laid_out(network, case.data, case.objective)
    optimizer = loop.optimizer(network, case.plan)
    step = stepper(network, optimizer, case.objective, noise, precision=case.plan.precision, parts=case.plan.accumulate)
    batches = (batch for _ in cycle([0]) for batch in shuffled(data, case.plan.batch_size, order, case.plan.augment))

    def run(steps: int) -> None:
        loop.descend(step, optimizer, batches, [case.plan.learning_rate] * steps).tolist()

    return run


def eager(case: Case, memory_format: torch.memory_format) -> Callable[[int], None]:
    """So many steps of an ordinary loop, without augmentation, in float32."""
    network, noise, device = ordinary(case.network(memory_format)), case.noise(), case.data.images.device
    rule = partial(torch.optim.SGD, nesterov=case.plan.nesterov, weight_decay=case.plan.weight_decay)
    optimizer = rule(network.parameters(), lr=case.plan.learning_rate, momentum=case.plan.momentum)
    tensors = (case.data.images, case.data.labels, case.data.targets)
    dataset = TensorDataset(*(tensor.cpu().contiguous() for tensor in tensors if tensor is not None))
    loader = DataLoader(dataset, case.plan.batch_size, shuffle=True)
    batches = (batch for _ in cycle([0]) for batch in loader)

    def run(steps: int) -> None:
        totals: dict[str, float] = {}
        for images, labels, targets in islice(batches, steps):
            images = images.to(device).to(memory_format=memory_format)
            optimizer.zero_grad()
            loss, terms = case.objective(network, Batch(images, labels.to(device), targets.to(device)), noise)
            loss.backward()
            optimizer.step()
            for name, value in {"loss": loss, **terms}.items():
                totals[name] = totals.get(name, 0.0) + value.item() * len(labels)

    return run


def ordinary(network: nn.Module) -> nn.Module:
    """The network with PyTorch's own layers only."""
    for module in network.modules():
        if isinstance(module, ThinConvolution):
            module.__class__ = nn.Conv2d  # type: ignore[assignment]
    return network


def product(device: torch.device) -> Callable[[int], None]:
    """So many products of two square float32 matrices."""
    left, right = torch.rand(2, PRODUCT, PRODUCT, device=device)

    def run(times: int) -> None:
        for _ in range(times):
            torch.mm(left, right)

    return run


def operations(case: Case) -> int:
    """Floating-point operations of one step's convolutions and matrix products, in all its passes, as PyTorch's counter sees them."""
    network = case.network()
    step = Gradients(network, case.objective, case.noise(), network.zero_grad, precision="float32", parts=1)
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    with counter:
        step(case.data.take(slice(0, case.plan.batch_size)))
    return counter.get_total_flops()


def seconds(run: Callable[[int], None], times: int, device: torch.device) -> float:
    """Wall time of one of `times`."""
    _wait(device)
    began = time.perf_counter()
    run(times)
    _wait(device)
    return (time.perf_counter() - began) / times


def measured(case: Case, steps: int, rounds: int) -> dict[str, float]:
    """Medians over rounds of seconds, and of the ratios within a round; a first round warms up. Who begins changes from round to round."""
    device = case.data.images.device
    runs = {
        "ours": (ours(case), steps),
        "eager": (eager(case, torch.contiguous_format), steps),
        "layout": (eager(case, torch.channels_last), steps),
        "product": (product(device), 3),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name in np.roll(list(runs), turn):
            times[name].append(seconds(*runs[name], device))
    counted = {name: np.array(values[1:]) for name, values in times.items()}
    ratios = {f"{name} ratio": counted[name] / counted["ours"] for name in ("eager", "layout")}
    return {name: float(np.median(values)) for name, values in {**counted, **ratios}.items()}


def line(name: str, case: Case, found: dict[str, float]) -> str:
    """A row of the table."""
    count, best = operations(case), 2 * PRODUCT**3 / found["product"]
    rate = count / found["ours"]
    cells = [f"{1000 * found[key]:.2f}" for key in ("ours", "eager", "layout")] + [
        f"{found[f'{key} ratio']:.2f}" for key in ("eager", "layout")
    ]
    return f"| {' | '.join([name, *cells, f'{count / 1e9:.3f}', f'{rate / 1e9:.1f}', f'{rate / best:.0%}'])} |"


class _NoModules(nullcontext):
    """In place of the counter's split by modules, whose hooks do not bear a gradient with respect to images alone."""

    parents = frozenset({"Global"})


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@command(__doc__)
@click.option("--width", type=click.FloatRange(min=0, min_open=True), help="In place of model.width.")
@click.option("--batch", type=click.IntRange(min=1), help="In place of training.batch_size.")
@click.option("--only", type=click.Choice(["standard", "AT", "JR", "IR"]), multiple=True, help="Objectives to measure; all without it.")
@click.option("--steps", type=click.IntRange(min=1), default=20, help="Steps at a time.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, help="How many times; their median counts.")
def main(width: float | None, batch: int | None, only: tuple[str, ...], steps: int, rounds: int) -> None:
    model, plan = params.section(architecture.Model, "model"), params.section(loop.Plan, "training")
    require(model.architecture in SHAPES, f"architecture must be one of {', '.join(SHAPES)}, got {model.architecture!r}")
    model, plan = replace(model, width=width or model.width), replace(plan, batch_size=batch or plan.batch_size)
    device = runtime.start(0, "analysis")
    known = objectives()
    require(set(only) <= set(known), f"params.yaml has rows of {', '.join(known)}, got --only {', '.join(only)}")
    data = random_data(plan.batch_size * 40, SHAPES[model.architecture], device)
    click.echo(f"{model.architecture}, width {model.width:g}, batch {plan.batch_size}, {plan.precision}; {device}, {_threads()}")
    click.echo("\n| objective | ours, ms | eager, ms | channels-last, ms | ratio | ratio, channels-last | GFLOP | GFLOP/s | of SGEMM |")
    click.echo("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, objective in known.items():
        if not only or name in only:
            case = Case(objective, plan, model, data)
            click.echo(line(name, case, measured(case, steps, rounds)))


def _threads() -> str:
    return f"{torch.get_num_threads()} threads, torch {torch.__version__}"


if __name__ == "__main__":
    main()
