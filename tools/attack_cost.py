"""What the strict attack costs beside foolbox's PGD and AutoAttack, in one run on the same model and the same images.

For each row: seconds, images forwarded and images back-propagated per image, and the accuracy that each attack leaves, so that an attack
that is cheaper because it is weaker shows. foolbox and AutoAttack run as they come. All see only images that the model classifies
correctly. tools.attack_memory measures what the strict attack needs in memory.
"""

import os
import sys
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

from lib.attacks import pgd, strict
from lib.base import environment, image_file, params
from lib.base.command import command, source
from lib.base.errors import InputError, require
from lib.evaluation.threats import Threat, in_tables
from lib.evaluation.threats import threats as listed
from lib.evaluation.work import Evaluation, Work, classified, first_images
from lib.gate.findings import words
from lib.network import checkpoint, runtime
from lib.network.model_state import evaluating

RADII = {"linf": "0.1,0.15,0.2,0.25,0.3", "l2": "1.5,2,2.5,3,3.5"}  # the paper's weakest attack to its strongest
CUSTOM = ("apgd-ce", "apgd-t")

Attack = Callable[[nn.Module, Work], np.ndarray]  # which images stand, (radii, n) bool


@dataclass
class Passes:
    """Images that a model was given, images whose gradient came back to its logits, and those of them with parameter gradients."""

    forward: int = 0
    backward: int = 0
    with_parameters: int = 0


@dataclass(frozen=True)
class Measured:
    """One attack on one model: the best time over repeats, what the model was asked, and what stands, (radii, n) bool."""

    seconds: float
    passes: Passes
    standing: np.ndarray


@contextmanager
def counted(model: nn.Module) -> Iterator[Passes]:
    """Inside, count what `model` is asked; an image counts once per pass, however large its batch."""
    passes, coming_back = Passes(), [0]

    def forwarded(module: nn.Module, inputs: Any, logits: Tensor) -> None:
        passes.forward += len(logits)
        if logits.requires_grad:
            logits.register_hook(came_back)

    def came_back(gradient: Tensor) -> None:
        passes.backward += len(gradient)
        coming_back[0] = len(gradient)

    def accumulated(parameter: Tensor) -> None:  # the first parameter that a pass reaches counts for all of them
        passes.with_parameters += coming_back[0]
        coming_back[0] = 0

    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    handles = [model.register_forward_hook(forwarded), *(one.register_post_accumulate_grad_hook(accumulated) for one in learnt)]
    try:
        yield passes
    finally:
        for handle in handles:
            handle.remove()


def ours(model: nn.Module, work: Work, threats: list[Threat], settings: strict.Settings) -> np.ndarray:
    """The strict attack at every radius."""
    with evaluating(model):
        return np.stack([record.correct[-1] for record in strict.strict(model, work, threats, settings)])


def foolbox_pgd(model: nn.Module, work: Work, threats: list[Threat], settings: strict.Settings) -> np.ndarray:
    """foolbox's PGD with as many steps and restarts; loss, step size and start are its own."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox imports GitPython, which complains where there is no git
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=work.batch.images.device)
    standing, norms = np.empty((len(threats), len(work)), bool), np.array([threat.norm for threat in threats])
    for norm, kind in {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}.items():
        places = np.flatnonzero(norms == norm)
        attack, radii = kind(steps=settings.steps).repeat(settings.restarts), [threats[place].epsilon for place in places]
        for positions, part in work.chunks(np.arange(len(work) if len(places) else 0)):
            fooled = attack(wrapped, part.batch.images, part.batch.labels, epsilons=radii)[2]
            standing[places[:, None], positions] = ~fooled.cpu().numpy()
    return standing


def autoattack(model: nn.Module, work: Work, threats: list[Threat], version: str) -> np.ndarray:
    """pyautoattack's own driver, radius by radius; "custom" runs the attacks `CUSTOM`, with the five restarts that it then sets."""
    from pyautoattack import AutoAttack

    images, labels, found = work.batch.images.contiguous(), work.batch.labels, []  # it calls `view` on what it is given
    for threat in threats:
        norm, attacks = {"linf": "Linf", "l2": "L2"}[threat.norm], list(CUSTOM) if version == "custom" else None
        trace = sys.gettrace()  # the driver ends all tracing, of coverage and debuggers too
        with torch.random.fork_rng():
            attack = AutoAttack(model, norm=norm, eps=threat.epsilon, version=version, attacks=attacks, seed=0, device=images.device)
            answers = attack.run_standard_evaluation(images, labels, batch_size=work.batch_size)[1]
        sys.settrace(trace)
        found.append((answers == labels).cpu().numpy())
    return np.stack(found)


def measured(attacks: list[Attack], model: nn.Module, work: Work, repeats: int) -> list[Measured]:
    """Count each attack in a first run, which also warms up; then time all of them in turns and keep each one's best of `repeats`.

    With 0 repeats the first run is the one that is timed.
    """
    first, found = [], []
    for attack in attacks:
        with counted(model) as passes:
            seconds, standing = _timed(attack, model, work)
        first.append(seconds)
        found.append((passes, standing))
    rounds = [[_timed(attack, model, work)[0] for attack in attacks] for _ in range(repeats)]
    best = np.min(rounds, axis=0) if rounds else first
    return [Measured(float(seconds), *entry) for seconds, entry in zip(best, found)]


def lines(row: str, names: list[str], found: list[Measured], threats: list[Threat], images: int) -> list[dict[str, str]]:
    """A line of the table for each attack; accuracies are shares of all `images`, misclassified ones included."""
    made = []
    for name, one in zip(names, found):
        n, passes = one.standing.shape[1], one.passes
        learnt = 100 * passes.with_parameters / max(passes.backward, 1)
        costs = {"ms": f"{1000 * one.seconds / n:.1f}", "ratio": f"{one.seconds / found[0].seconds:.2f}"}
        costs |= {"forward": f"{passes.forward / n:.0f}", "backward": f"{passes.backward / n:.0f}", "with parameters": f"{learnt:.0f} %"}
        places = [words((threat.norm, threat.epsilon)) for threat in threats]
        left = {place: f"{100 * stands.sum() / images:.1f}" for place, stands in zip(places, one.standing)}
        made.append({"row": row, "attack": name, "attacked": f"{n} of {images}"} | costs | left)
    return made


@command(__doc__)
@source("--models", "Folder with one model folder per row.")
@source("--images", "Image file made by prepare-data.")
@click.option("--rows", default="NR,JR,AT25", help="Rows to attack.")
@click.option("--norm", type=click.Choice(["table", *RADII]), default="table", help="table: the threat models of the tables.")
@click.option("--radii", help=f"With linf or l2: radii, ascending.  [default: {RADII['linf']} or {RADII['l2']}]")
@click.option("--steps", type=click.IntRange(min=1), default=40)
@click.option("--restarts", type=click.IntRange(min=1), default=3)
@click.option("--count", type=click.IntRange(min=1), default=200, help="The first so many test images.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images at a time.  [default: evaluation.batch_size]")
@click.option("--repeats", type=click.IntRange(min=1), default=3, help="Timed runs, of which the fastest counts.")
@click.option(
    "--autoattack", "version", type=click.Choice(["none", "custom", "standard"]), default="custom", help="custom: APGD-CE, APGD-T."
)
@click.option("--autoattack-count", type=click.IntRange(min=1), default=8, help="AutoAttack gets the first so many correct images.")
def main(
    models: Path,
    images: Path,
    rows: str,
    norm: str,
    radii: str | None,
    steps: int,
    restarts: int,
    count: int,
    batch_size: int | None,
    repeats: int,
    version: str,
    autoattack_count: int,
) -> None:
    plan, attacked = replace(settings(), steps=steps, restarts=restarts), threats(norm, radii)
    size = batch_size or params.section(Evaluation, "evaluation").batch_size
    device, made = runtime.start(0, "analysis"), []
    for row in rows.split(","):
        model, correct = work(models / row, images, count, size, device)
        mine, theirs = (partial(attack, threats=attacked, settings=plan) for attack in (ours, foolbox_pgd))
        made += lines(row, ["strict", "foolbox"], measured([mine, theirs], model, correct, repeats), attacked, count)
        if version != "none":
            few = correct.take(np.arange(min(autoattack_count, len(correct))))
            found = measured([mine, partial(autoattack, threats=attacked, version=version)], model, few, 0)
            made += lines(row, ["strict", f"AutoAttack {version}"], found, attacked, len(few))
    click.echo(f"{_machine(device)}; PGD-{steps}, {restarts} restarts, {norm}, batches of {size}, best of {repeats} runs\n")
    click.echo(pd.DataFrame(made).to_string(index=False))


def work(folder: Path, images: Path, count: int, batch_size: int, device: torch.device) -> tuple[nn.Module, Work]:
    """The model in `folder`, and those of the first `count` test images that it classifies correctly."""
    model, data = checkpoint.read(folder, device), first_images(image_file.read(images, "test"), count, device)
    return model, Work(data, np.arange(count), batch_size).take(np.flatnonzero(classified(model, data, batch_size)))


def settings() -> strict.Settings:
    """Losses and step of the strict attack, from whichever suite of params.yaml has it."""
    together = "pgd" not in params.value("attacks")
    return params.section(pgd.Settings, "attacks", *["together"] * together, "pgd")


def threats(norm: str, radii: str | None) -> list[Threat]:
    """For norm "table" those of the tables; else `radii`, ascending numbers with commas between them (None: `RADII`)."""
    if norm == "table":
        require(radii is None, "--radii belong to --norm linf or l2")
        return in_tables(listed("table"))
    radii = radii or RADII[norm]
    try:
        found = [float(part) for part in radii.split(",")]
    except ValueError as error:
        raise InputError(f"--radii must be numbers with commas between them, got {radii!r}") from error
    require(found == sorted(found), f"--radii must ascend, got {radii!r}")
    return [params.parse(Threat, {"norm": norm, "epsilon": radius, "step_size": None}, "--radii") for radius in found]


def _timed(attack: Attack, model: nn.Module, attacked: Work) -> tuple[float, np.ndarray]:
    """On a CPU the processor's time over all threads, which other programs do not lengthen; on a GPU the time on the wall."""
    clock = time.process_time if attacked.batch.images.device.type == "cpu" else time.perf_counter
    started = clock()
    standing = attack(model, attacked)  # an array on the CPU: whatever a GPU had to do for it is done
    seconds = clock() - started
    model.zero_grad(set_to_none=True)
    return seconds, standing


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{environment.cpu()}, {torch.get_num_threads()} thread(s)"


if __name__ == "__main__":
    main()
