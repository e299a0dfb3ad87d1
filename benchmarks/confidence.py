"""How the paper's and the strict attack's verdicts on a standard network move with training time and with the scale of its logits.

`train` fits the network of params.yaml on clean images and keeps its weights after chosen epochs; `attack` attacks each of these networks
with its logits multiplied by constants, which changes no decision; `draw` makes the figure. See docs/confident-networks.md.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import altair as alt
import click
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lib.attacks import paper, search
from lib.attacks.losses import cross_entropy, margin
from lib.attacks.pgd import ascent
from lib.attacks.probes import Scaled
from lib.attacks.work import Work, classified, first_images
from lib.base import files, image_file, params
from lib.base.command import Group, command, source
from lib.evaluation import radii
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Threat
from lib.network import architecture, batches, projections, runtime
from lib.network.batches import Batch
from lib.network.model_state import evaluating
from lib.objectives import adversarial
from lib.training import loop

THREAT = Threat("l2", 1.5, 0.5)  # Table 1's first column, with the paper's step size
PAPER = paper.Settings(seed=0, steps=40, runs=3, batch_size=50)
STRICT = replace(PAPER, **asdict(projections.STRICT))  # the same walks with every rule as a strict attack has it
SEARCH = search.Settings(seed=0, gradients=240, classes=9, steps=14, worth=0.03)
STANDARD = adversarial.Settings(epsilon=None, norm="l2", step_size=1.0, steps=1, mode="eval", semantics="strict")
PUBLISHED = 0.7841  # the paper's standard row at L2 1.5


@click.group(cls=Group, help=__doc__)
def main() -> None:
    pass


class Snapshots:
    """The objective of standard training, which also writes the weights after the epochs in `keep`."""

    capturable = False  # it counts its calls (lib/training/objective.py)

    def __init__(self, steps: int, keep: set[int], folder: Path) -> None:
        self.steps, self.keep, self.folder, self.done = steps, keep, folder, 0

    def __call__(self, model: nn.Module, batch: Batch, noise: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        epoch, into = divmod(self.done, self.steps)
        if into == 0 and epoch in self.keep:
            self.save(model, epoch)
        self.done += 1
        return adversarial.loss(model, batch, noise, STANDARD)

    def save(self, model: nn.Module, epoch: int) -> None:
        """Write `<folder>/<epoch>.safetensors`."""
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        with files.writing(self.folder / f"{epoch}.safetensors") as part:
            save_file(state, part)


@command("Train the network of params.yaml on clean images, keeping its weights on the way.")
@source("--images", "Image file made by prepare-data.")
@click.option("--epochs", type=click.IntRange(min=1), required=True)
@click.option("--keep", default="1,2,4,8,16,32,64", help="Epochs whose weights are kept; the last always is.")
@click.option("--seed", type=click.IntRange(min=0), default=0)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the weights.")
def train(images: Path, epochs: int, keep: str, seed: int, out: Path) -> None:
    plan = replace(params.section(loop.Plan, "training"), epochs=epochs, selection="last")
    data, validation = image_file.read(images, "train"), image_file.read(images, "validation")
    device = runtime.start(seed, "teacher")
    model = build(data.images.shape[1:], data.classes).to(device)
    objective = Snapshots(-(-len(data) // plan.batch_size), {int(epoch) for epoch in keep.split(",")}, out)
    seen = batches.on_device(data, device), batches.on_device(validation, device)
    loop.fit(model, *seen, objective, plan, runtime.derived_seed(seed, "teacher"))
    objective.save(model, epochs)


@command("Attack every kept network with its logits multiplied by each factor; one line per network, factor and attack.")
@source("--images", "Image file made by prepare-data.")
@source("--weights", "Folder that `train` wrote.")
@click.option("--count", type=click.IntRange(min=1), default=500, help="Test images.")
@click.option("--factors", default="1,3,10,30", help="What the logits are multiplied by.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV file.")
def attack(images: Path, weights: Path, count: int, factors: str, out: Path) -> None:
    test, device = image_file.read(images, "test"), runtime.start(0, "analysis")
    model, data = build(test.images.shape[1:], test.classes).to(device), first_images(test, count, device)
    lines: list[dict] = []
    for path in sorted(weights.glob("*.safetensors"), key=lambda path: int(path.stem)):
        model.load_state_dict(load_file(path))
        for factor in map(float, factors.split(",")):
            with evaluating(Scaled(model, factor)) as scaled:
                lines += [{"epoch": int(path.stem), "factor": factor, **line} for line in measured(scaled, data)]
                click.echo(
                    f"epoch {path.stem}, logits x {factor:g}: " + ", ".join(f"{x['semantics']} {x['accuracy']:.1%}" for x in lines[-3:])
                )
        files.write(out, pd.DataFrame(lines).to_csv(index=False, lineterminator="\n"))


def build(shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network of section `model`."""
    channels, height, width = shape
    return architecture.build(params.section(architecture.Model, "model"), (channels, height, width), classes)


def measured(model: nn.Module, data: Batch) -> Iterator[dict]:
    """The paper's attack, the search, and the paper's walks by strict rules, with what the model is like at the images."""
    clean = classified(model, data, len(data))
    work = Work(data, np.arange(len(data)), 250).take(np.flatnonzero(clean))
    described = {"n": len(data), "clean": clean.mean(), **confidence(model, work.batch)}
    standing = radii.stands(search.search(model, work, THREAT.norm, SEARCH)[0].radius.cpu().numpy(), THREAT.epsilon)
    records = {"paper": PAPER, "strict, plain cross-entropy": STRICT}
    found = {name: paper.paper(model, work, [THREAT], settings)[0] for name, settings in records.items()}
    counts = {name: (record.per_image.sum(), _step(record)) for name, record in found.items()} | {"strict": (standing.sum(), float("nan"))}
    for name, (count, step) in counts.items():
        yield {"semantics": name, "accuracy": count / len(data), **described, "effective_step": step}


def confidence(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Medians over the correctly classified images: how far the label's logit leads, and the length of the loss's gradient."""
    gradient, logits, _ = ascent(model, batch.images, batch.labels, cross_entropy)
    length = gradient.double().flatten(1).norm(dim=1)
    return {"median_lead": float(-margin(logits, batch.labels).median()), "median_gradient": float(length.median())}


def _step(record: Record) -> float:
    steps = record.noticed("effective_step")
    return float(steps.mean()) if len(steps) else float("nan")


@command("Draw robust accuracy against training time, one panel per factor on the logits.")
@source("--measured", "CSV file that `attack` wrote.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Picture, .png or .svg.")
def draw(measured: Path, out: Path) -> None:
    frame = pd.read_csv(measured).replace({"semantics": {"paper": "paper’s attack", "strict": "strict attack"}})
    frame["semantics"] = frame["semantics"].replace("strict, plain cross-entropy", "the paper’s walks by strict rules")
    frame["logits"] = frame["factor"].map(lambda factor: "as they are" if factor == 1 else f"× {factor:g}")
    x = alt.X("epoch", title="epochs of training", scale=alt.Scale(type="log", base=2))
    y = alt.Y("accuracy", title="accuracy at L2 1.5", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=(0, 1)))
    looks = alt.Color("semantics", title=None, scale=alt.Scale(range=["#4f9bd9", "#c8421a", "#b48ad0"]), sort=None)
    lines = alt.Chart().mark_line(point=True).encode(x=x, y=y, color=looks, strokeDash=alt.StrokeDash("semantics", title=None, sort=None))
    published = alt.Chart().mark_rule(strokeDash=[1, 2]).encode(y=alt.datum(PUBLISHED))
    panels = (
        alt.layer(lines, published, data=frame)
        .properties(width=220, height=220)
        .facet(column=alt.Column("logits", sort=list(frame["logits"].unique())))
    )
    chart = panels.properties(title="Dotted: the paper’s 78.41 % (100 epochs)").configure_legend(orient="bottom")
    chart.save(out, scale_factor=2)


for subcommand, name in ((train, "train"), (attack, "attack"), (draw, "draw")):
    main.add_command(subcommand, name)

if __name__ == "__main__":
    main()
