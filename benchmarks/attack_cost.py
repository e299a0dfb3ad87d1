"""What the search for robust radii costs, and by how much its radii exceed the best known.

Best known is, image by image, the shortest perturbation of all attacks here: the search with the parameters of params.yaml, the same with
many times the gradients, and foolbox's DDN and FMN with many steps. All see only images that the model classifies correctly, and what they
give is checked by the same fresh pass.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib.attacks import search
from lib.attacks.best import Best
from lib.attacks.work import Evaluation, Work, classified, first_images
from lib.base import environment, image_file, params
from lib.base.command import command, source
from lib.network import checkpoint, runtime
from lib.network.model_state import evaluating
from lib.network.projections import Norm
from lib.sharing.foreign_models import factory

NORMS: dict[Norm, str] = {"l2": "L2", "linf": "Linf"}
FOOLBOX: dict[Norm, tuple[str, ...]] = {"l2": ("ddn", "fmn"), "linf": ("fmn",)}

Attack = Callable[[nn.Module, Work, Norm], Best]


@dataclass
class Passes:
    """Images that a model was given, and images whose gradient came back to its logits."""

    forward: int = 0
    backward: int = 0


@dataclass(frozen=True)
class Measured:
    """One attack on one model in one norm: what it found, seconds of the processor or on the wall of a GPU, what the model was asked."""

    best: Best
    seconds: float
    passes: Passes


@contextmanager
def counted(model: nn.Module) -> Iterator[Passes]:
    """Inside, count what `model` is asked; an image counts once per pass, however large its batch."""
    passes = Passes()

    def came_back(gradient: Tensor) -> None:
        passes.backward += len(gradient)

    def forwarded(module: nn.Module, inputs: Any, logits: Tensor) -> None:
        passes.forward += len(logits)
        if logits.requires_grad:
            logits.register_hook(came_back)

    handle = model.register_forward_hook(forwarded)
    try:
        yield passes
    finally:
        handle.remove()


def ours(model: nn.Module, work: Work, norm: Norm, settings: search.Settings) -> Best:
    """The search."""
    return search.search(model, work, norm, settings)[0]


def foolbox_attack(model: nn.Module, work: Work, norm: Norm, name: str, steps: int) -> Best:
    """foolbox's "ddn" (Rony et al. 2019, L2 only) or "fmn" (Pintor et al. 2021), as they come but for the number of steps."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox imports GitPython, which complains where there is no git
    import foolbox
    from foolbox import attacks

    kind = attacks.DDNAttack if name == "ddn" else {"l2": attacks.L2FMNAttack, "linf": attacks.LInfFMNAttack}[norm]
    wrapped, best = foolbox.PyTorchModel(model, bounds=(0, 1), device=work.batch.images.device), Best.unknown(work, norm)
    for positions, part in work.chunks(np.arange(len(work))):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            _, candidates, _ = kind(steps=steps)(wrapped, part.batch.images.contiguous(), part.batch.labels, epsilons=None)
        best.offer(model, candidates.clamp(0, 1), name, positions)
    return best


def measured(attack: Attack, model: nn.Module, work: Work, norm: Norm) -> Measured:
    """One run of an attack: on a CPU the processor's time over all threads counts, which other programs do not lengthen."""
    clock = time.process_time if work.batch.images.device.type == "cpu" else time.perf_counter
    with evaluating(model), counted(model) as passes:
        started = clock()
        best = attack(model, work, norm)
        return Measured(best, clock() - started, passes)


def lines(row: str, norm: Norm, found: dict[str, Measured]) -> list[dict[str, str]]:
    """A line of the table for each attack."""
    known = torch.stack([one.best.radius for one in found.values()]).amin(0)
    return [_line(row, norm, name, one, known) for name, one in found.items()]


def above(radius: Tensor, known: Tensor) -> float:
    """By how much the mean radius exceeds that of the best known, in percent, over images of which one is known.

    >>> above(torch.tensor([1.0, 2.0, torch.inf]), torch.tensor([1.0, 1.0, torch.inf]))
    50.0
    """
    broken = known.isfinite()
    return 100 * (float(radius[broken].mean() / known[broken].mean()) - 1)


def _line(row: str, norm: Norm, name: str, one: Measured, known: Tensor) -> dict[str, str]:
    radius, n = one.best.radius, len(one.best)
    said = {"row": row, "norm": NORMS[norm], "attack": name, "images": str(n), "gradients": f"{one.passes.backward / n:.0f}"}
    said |= {"forward": f"{one.passes.forward / n:.0f}", "ms": f"{1000 * one.seconds / n:.1f}"}
    return said | {"mean radius": f"{radius.mean():.4f}", "above best known": f"{above(radius, known):.2f} %"}


@command(__doc__)
@click.option("--models", type=click.Path(exists=True, path_type=Path), help="Folder with one model folder per row.")
@source("--images", "Image file made by prepare-data.")
@click.option("--rows", default="", help="Rows to attack, with commas between them.")
@click.option("--factory", "factories", multiple=True, help="package.module:function that gives a model to attack as well; repeatable.")
@click.option("--norm", "norms", type=click.Choice(list(NORMS)), multiple=True, default=list(NORMS), help="Repeatable.")
@click.option("--count", type=click.IntRange(min=1), default=64, help="The first so many test images.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images at a time.  [default: evaluation.batch_size]")
@click.option("--long", "long", type=click.IntRange(min=0), default=3000, help="Gradients an image of the long search; 0: none.")
@click.option("--steps", type=click.IntRange(min=0), default=1000, help="Steps of foolbox's attacks; 0: none.")
def main(
    models: Path | None,
    images: Path,
    rows: str,
    factories: tuple[str, ...],
    norms: tuple[Norm, ...],
    count: int,
    batch_size: int | None,
    long: int,
    steps: int,
) -> None:
    plan, device = params.section(search.Settings, "attacks", "search"), runtime.start(0, "analysis")
    size = batch_size or params.section(Evaluation, "evaluation").batch_size
    made: list[dict[str, str]] = []
    networks = {row: partial(checkpoint.read, models / row, device) for row in rows.split(",")} if models else {}
    networks |= {name: partial(factory.made, name) for name in factories}
    for row, network in networks.items():
        model = network().to(device)
        work = correct(model, images, count, size, device)
        for norm in norms:
            made += lines(row, norm, compared(model, work, norm, plan, long, steps))
    click.echo(f"{_machine(device)}; batches of {size}\n")
    click.echo(pd.DataFrame(made).to_string(index=False))


def correct(model: nn.Module, images: Path, count: int, batch_size: int, device: torch.device) -> Work:
    """Those of the first `count` test images that the model classifies correctly."""
    data = first_images(image_file.read(images, "test"), count, device)
    return Work(data, np.arange(count), batch_size).take(np.flatnonzero(classified(model, data, batch_size)))


def compared(model: nn.Module, work: Work, norm: Norm, plan: search.Settings, long: int, steps: int) -> dict[str, Measured]:
    """The search and those of the other attacks that are asked for, by their names."""
    attacks: dict[str, Attack] = {"search": partial(ours, settings=plan)}
    if long:
        attacks["long search"] = partial(ours, settings=replace(plan, gradients=long, worth=0.0))
    if steps:
        attacks |= {name: partial(foolbox_attack, name=name, steps=steps) for name in FOOLBOX[norm]}
    return {name: measured(attack, model, work, norm) for name, attack in attacks.items()}


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{environment.cpu()}, {torch.get_num_threads()} thread(s)"


if __name__ == "__main__":
    main()
