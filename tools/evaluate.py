"""Evaluate any torch model on any images by the attacks of params.yaml: the same radii, table, gate and referee as in the report.

The model is one of our model folders (--model), or what an importable function returns (--factory), with --weights loaded into it; it
gives logits for images in [0, 1]. The images are the test split of an HDF5 image file, or folders named after the classes. In a folder
without a params.yaml the sections are those of the quick scale.
"""

import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before the current folder, which may have a lib/ of its own

from lib.attacks import outcomes, own
from lib.attacks.work import Evaluation
from lib.base import files, params
from lib.base.command import command, result, source
from lib.base.errors import require
from lib.evaluation import outcome_file, radii
from lib.evaluation.outcome_file import REFEREE, Outcomes, Radius, Record
from lib.evaluation.threats import Threat, threats
from lib.gate.check import Check
from lib.gate.checks import checks
from lib.network import checkpoint, runtime
from lib.report.gate import Gate, Line, to_json
from lib.report.results import COLUMNS, records, together
from lib.report.table import decimals, escape_markdown, piped
from lib.sharing.foreign_models import factory as any_factory
from lib.sharing.foreign_models import images as any_images
from lib.sharing.foreign_models import model as any_model
from lib.sharing.foreign_models import weights as any_weights
from lib.statistics.columns import CLEAN, NORMS, Column
from lib.statistics.intervals import wilson

QUICK = Path(__file__).resolve().parents[1] / "scales" / "quick.yaml"
PATH = click.Path(exists=True, path_type=Path)
PARTS = ("paper", "referee", "probes")
CURVE = 101  # points of a security curve, from 0 to the largest radius


@dataclass(frozen=True)
class Evaluated:
    """Everything that was found on one model, and the sentences that were said about it; the evaluation comes first, then own attacks."""

    outcomes: list[Outcomes]
    threats: list[Threat]
    gate: list[Check]
    remarks: list[str]

    @property
    def images(self) -> int:
        """How many images every accuracy of an attack was measured on."""
        return len(self.outcomes[0].rows)

    @property
    def attacks(self) -> list[Record]:
        """Every attack in every threat model."""
        return [record for one in self.outcomes for record in records(one, self.threats)]

    @property
    def radii(self) -> dict[str, Radius]:
        """Norm -> the robust radii under all attacks together."""
        return {norm: together(self.outcomes, norm) for norm in self.outcomes[0].radii}


@command(__doc__)
@click.option("--model", type=PATH, help="Folder of a model trained here.")
@click.option("--factory", help="package.module:function, importable from the current folder; called without arguments.")
@click.option("--weights", type=PATH, help="With --factory: .safetensors, or a state dict saved by torch.")
@source("--images", "HDF5 image file, or a folder of class folders.")
@click.option("--image-size", type=click.IntRange(min=1), help="Of class folders: resize the largest centred square.")
@click.option("--threats", "threat_list", default="table", help="List of threat models in params.yaml.")
@click.option("--without", multiple=True, type=click.Choice(PARTS), help="Leave out the paper's attack, the referee or the gate's probes.")
@click.option("--count", type=click.IntRange(min=1), help="Attack the first so many images.  [default: evaluation.images, or all if fewer]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images at a time.  [default: evaluation.batch_size]")
@click.option("--name", help="What the model is called in the results.  [default: its folder's or function's name]")
@click.option("--reference", type=PATH, help="Earlier --out of an undefended model on the same images, for check G15 of the gate.")
@result("New folder for radii, curves, results, table and gate; it appears only when complete.", folder=True)
def main(
    model: Path | None,
    factory: str | None,
    weights: Path | None,
    images: Path,
    image_size: int | None,
    threat_list: str,
    without: tuple[str, ...],
    count: int | None,
    batch_size: int | None,
    name: str | None,
    reference: Path | None,
    out: Path,
) -> None:
    require(not out.exists() or (out.is_dir() and not any(out.iterdir())), f"--out must be a new or an empty folder, {out} is not")
    with _parameters() as remarks:
        left_out: dict[str, Any] = dict.fromkeys(without)
        settings = replace(params.section(outcomes.Settings, "attacks"), **left_out)
        mine = {key: params.section(own.suite(key).Settings, "own_attacks", key) for key in params.names("own_attacks")}
        attacked, undefended = threats(threat_list), read_outcomes(reference) if reference else None
        device = runtime.start(0, "analysis")
        test = any_images.read(images, count, image_size)
        plan = _plan(len(test), count, batch_size)
        asking, told = _model(model, factory, weights)
        _say([*remarks, *told])
        accepted = any_model.accepted(asking, test, device)
        _say(accepted.remarks)
        accepted.require_classes(settings)
        called = name or (model.resolve().name if model else str(factory))
        asked = [outcomes.evaluation(called, 0, settings, attacked, plan)]
        asked += [own.asked(called, 0, key, entry, plan) for key, entry in mine.items()]
        found = [outcomes.outcomes(accepted.model, test, one, device) for one in asked]
        chance = _chance(found[0])
        _say(chance)
        evaluated = Evaluated(found, attacked, checks(found, undefended), [*remarks, *told, *accepted.remarks, *chance])
        with files.writing_folder(out) as part:
            write(evaluated, part)
    click.echo(in_words(evaluated))


@contextmanager
def _parameters() -> Iterator[list[str]]:
    """The parameters of the current folder, or of the quick scale; what is to be said of that."""
    if params.PATH.is_file():
        yield []
        return
    with params.replaced(QUICK):
        yield ["there is no params.yaml in this folder: attacks, radii and numbers of images are those of the quick scale, made for digits"]


def write(found: Evaluated, folder: Path) -> None:
    """Write all files into `folder`."""
    for index, one in enumerate(found.outcomes):
        outcome_file.write(folder / (f"{next(iter(one.settings))}.h5" if index else "radii.h5"), one)
    for name, frame in {"results": results(found), "radii": per_image(found), "curves": curves(found)}.items():
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", float_format="%.6g")
    (folder / "results.json").write_text(json.dumps(summary(found), indent=1) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(to_markdown(found), encoding="utf-8")
    row = found.outcomes[0].row
    verdicts = to_json(Gate([Line(row, row, {found.outcomes[0].seed: found.gate})]))
    (folder / "gate.json").write_text(json.dumps(verdicts, indent=1) + "\n", encoding="utf-8")


def read_outcomes(folder: Path) -> list[Outcomes]:
    """The outcomes that an earlier call wrote into `folder`; raises `InputError` if there are none."""
    require((folder / "radii.h5").is_file(), f"--reference must be a folder that this command made, {folder} holds no radii.h5")
    return [outcome_file.read(file) for file in sorted(folder.glob("*.h5"))]


def results(found: Evaluated) -> pd.DataFrame:
    """One line per accuracy, with the columns of report/results.csv; n is the number of images that it is a share of."""
    first = found.outcomes[0]
    start = (first.dataset, first.row, first.seed)
    lines = [(*start, "", "clean", "", np.nan, float(first.clean.mean()), found.images)]
    for record in found.attacks:
        lines.append((*start, record.semantics, record.attack, record.norm, record.epsilon, record.accuracy, found.images))
    return pd.DataFrame(lines, columns=COLUMNS)


def per_image(found: Evaluated) -> pd.DataFrame:
    """One line per image: its number, label, whether it is classified correctly, and in each norm its radius and what found it."""
    first = found.outcomes[0]
    columns = {"image": first.rows, "label": first.labels, "clean": first.clean.astype(int)}
    for norm, radius in found.radii.items():
        columns |= {f"radius_{norm}": radius.radius, f"found_by_{norm}": radius.found_by}
    return pd.DataFrame(columns)


def curves(found: Evaluated) -> pd.DataFrame:
    """The security curve of each norm: robust accuracy under all attacks together, at radii up to the largest that was found."""
    parts = []
    for norm, radius in found.radii.items():
        largest = float(radius.radius[np.isfinite(radius.radius)].max())
        epsilon, accuracy = radii.curve(radius.radius, CURVE, largest)
        parts.append(pd.DataFrame({"norm": norm, "epsilon": epsilon, "accuracy": accuracy}))
    return pd.concat(parts, ignore_index=True)


def summary(found: Evaluated) -> dict[str, Any]:
    """results.json: every accuracy with its 95 % Wilson interval, mean radii, the referee, all settings, and what the gate says of them."""
    first = found.outcomes[0]
    attacks = [
        {"semantics": record.semantics, "attack": record.attack, "norm": record.norm, "epsilon": record.epsilon}
        | _interval(record.accuracy, found.images)
        for record in found.attacks
    ]
    return {
        "model": first.row,
        "dataset": first.dataset,
        "images_sha256": first.images_digest,
        "remarks": found.remarks,
        "clean": _interval(float(first.clean.mean()), found.images),
        "mean_radius": {norm: round(float(radius.capped.mean(dtype=float)), 6) for norm, radius in found.radii.items()},
        "attacks": attacks,
        "referee": [
            {"attack": record.attack, "norm": record.norm, "epsilon": record.epsilon, "asked": asked, "broken": broken}
            for record, asked, broken in _refereed(first)
        ],
        "settings": {name: entry for one in found.outcomes for name, entry in one.settings.items()},
        "gate": {check.id: check.verdict for check in found.gate},
    }


def table(found: Evaluated) -> pd.DataFrame:
    """Accuracies in percent, a line per threat model (the first: no attack) and a column per attack; empty where none was measured."""
    digits = decimals(found.images, 1)
    cells: dict[str, dict[str, str]] = {}
    for record in sorted(found.attacks, key=lambda entry: (entry.norm, entry.epsilon)):
        cells.setdefault(_column(record).threat, {})[_column(record).group] = f"{100 * record.accuracy:.{digits}f}"
    groups = list(dict.fromkeys(_column(record).group for record in found.attacks))
    clean = f"{100 * found.outcomes[0].clean.mean():.{digits}f}"
    lines = {CLEAN.attack: dict.fromkeys(groups or ["accuracy"], clean)} | cells
    return pd.DataFrame.from_dict(lines, orient="index").fillna("")


def to_markdown(found: Evaluated) -> str:
    """The table with its caption, below it the radii and the remarks."""
    frame = table(found)
    heads, *lines = [["", *frame.columns], *([str(place), *values] for place, values in zip(frame.index, frame.to_numpy()))]
    notes = [f"\n{escape_markdown(line)}\n" for line in radii_in_words(found)]
    notes += [f"\nNote: {escape_markdown(remark)}.\n" for remark in found.remarks]
    return f"{caption(found)}\n\n{piped(_escaped(heads), map(_escaped, lines))}\n{''.join(notes)}"


def caption(found: Evaluated) -> str:
    """What the numbers are, and how far chance may have moved them."""
    low, high = wilson(0.5, found.images)
    first = found.outcomes[0]
    where = f"{first.row}: accuracy in percent on {found.images} images of {first.dataset}"
    return f"{where}; the images alone leave an uncertainty of up to ±{50 * (high - low):.1f} points (95 %, Wilson)."


def radii_in_words(found: Evaluated) -> list[str]:
    """A line per norm: the mean radius and what found the radii; and one per radius of the referee."""
    lines = []
    for norm, radius in found.radii.items():
        names = Counter(name or "nothing" for name in radius.found_by.tolist() if name != outcome_file.CLEAN)
        by = ", ".join(f"{name} {count}" for name, count in names.most_common())
        lines.append(f"{NORMS[norm]}: mean robust radius {radius.capped.mean(dtype=float):.4g}; found by {by}")
    for record, asked, broken in _refereed(found.outcomes[0]):
        tried = f"AutoAttack ({record.attack}) broke {broken} of {asked} images that the search left standing"
        lines.append(f"{_column(record).threat}: {tried}")
    return lines


def in_words(found: Evaluated) -> str:
    """The remarks, the table, the radii, and every check of the gate that did not pass, for a terminal."""
    open_checks = [check for check in found.gate if check.verdict != "pass"]
    passed = len(found.gate) - len(open_checks)
    notes = [f"Note: {remark}." for remark in found.remarks]
    lines = [caption(found), *notes, "", table(found).to_string(), "", *radii_in_words(found), ""]
    lines.append(f"The gate: {passed} of {len(found.gate)} checks pass; the others:")
    for check in open_checks:
        value = "" if check.value is None or not isfinite(check.value) else f" {check.value:.3g} {check.unit}".rstrip()
        head = f"  {check.id:<4}{check.verdict:<13}{check.name}{value}"
        lines += [head, *textwrap.wrap(check.note or check.rule, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)]
    return "\n".join(lines)


def _refereed(found: Outcomes) -> list[tuple[Record, int, int]]:
    """Every record of the referee with how many images it was asked for and how many of them it broke."""
    counted = []
    for record in found.records:
        if record.semantics == REFEREE:
            asked = np.ones(len(found.rows), bool) if record.asked is None else record.asked
            counted.append((record, int(asked.sum()), int((asked & ~record.correct.all(0)).sum())))
    return counted


def _model(folder: Path | None, factory: str | None, weights: Path | None) -> tuple[nn.Module, list[str]]:
    require((folder is None) != (factory is None), "exactly one of --model and --factory must be given")
    require(weights is None or factory is not None, "--weights belong to --factory; a folder given by --model has its own")
    if folder is not None:
        return checkpoint.read(folder, runtime.device()), []
    model = any_factory.made(str(factory))
    return model, any_weights.load(model, weights) if weights else []


def _plan(images: int, count: int | None, batch_size: int | None) -> Evaluation:
    given = params.section(Evaluation, "evaluation")
    return Evaluation(count or min(given.images or images, images), batch_size or given.batch_size)


def _chance(found: Outcomes) -> list[str]:
    share, largest = float(found.clean.mean()), float(np.bincount(found.labels).max()) / len(found.labels)
    sentence = (
        f"the model classifies {100 * share:.1f} % of the images correctly, no more than the share of the largest class; check that its "
        "outputs are in the order of the labels (class folders: alphabetical) and that it takes pixels in [0, 1]"
    )
    return [sentence] * (share <= largest)


def _column(record: Record) -> Column:
    return Column(record.semantics, record.attack, record.norm, record.epsilon)


def _interval(accuracy: float, n: int) -> dict[str, float | int]:
    low, high = wilson(accuracy, n)
    return {"accuracy": accuracy, "low": low, "high": high, "n": n}


def _escaped(cells: Sequence[str]) -> list[str]:
    return [escape_markdown(cell) for cell in cells]


def _say(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        click.echo(f"Note: {sentence}.", err=True)


if __name__ == "__main__":
    main()
