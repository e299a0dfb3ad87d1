"""What a study measures of one network."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lib.attacks import outcomes
from lib.attacks.work import Evaluation, classified
from lib.base import checksums, image_file, params
from lib.base.image_file import Split
from lib.gradients import alignment
from lib.network import batches, checkpoint, runtime
from lib.network.model_state import evaluating
from lib.statistics import trained_out
from lib.studies.measure_file import Measures
from lib.studies.variant import Study, Variant
from lib.targets import target_file, transforms

BATCH = 250


def measures(folder: Path, images: Path, targets: Path | None, reference: Path, study: Study, variant: Variant, seed: int) -> Measures:
    """Measure the network in `folder`: accuracy on all test images, attacks on the first, gradients on train images.

    Args:
        targets: the network's own target interpretations; `reference`: those that every network is compared with.
    """
    device = runtime.start(seed, "analysis")
    network = checkpoint.read(folder, device)
    train, test = image_file.read(images, "train"), image_file.read(images, "test")
    with evaluating(network):
        clean = classified(network, batches.on_device(test, device), BATCH)
    found = _attacked(network, test, study, variant, device)
    norm, own, shared = _gradients(network, train, targets, reference, study, device)
    of_training: dict[str, Any] = {"validation_loss": validation_loss(folder), "notes": course(folder)}
    return Measures(clean, **found, label_norm=norm, cosine_reference=shared, cosine_target=own, **of_training)


def _attacked(network: nn.Module, test: Split, study: Study, variant: Variant, device: torch.device) -> dict[str, Any]:
    """Of each of the first test images (m,) the robust radius in both norms, and how far it stands under the strict and the paper's attack.

    A variant that changes rules of the paper's attack is about that attack: what stands under it counts in both places.
    """
    attack = {**study.attack, "paper": {**study.attack["paper"], **(variant.attack or {})}, "referee": None, "probes": None}
    settings, threat = params.parse(outcomes.Settings, attack, "study: attack"), variant.threat or study.threat
    asked = outcomes.evaluation(variant.row, 0, settings, [threat], Evaluation(study.images, study.images))
    found = outcomes.outcomes(network, test, asked, device)
    paper = found.records[0].per_image
    robust = found.strict(threat.norm, threat.epsilon).per_image if variant.attack is None else paper
    return {"robust": robust, "paper": paper} | {f"radius_{norm}": radius.capped for norm, radius in found.radii.items()}


def _gradients(
    network: nn.Module, train: Split, targets: Path | None, reference: Path, study: Study, device: torch.device
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Norm of the label logit's gradient, its cosine with the own targets and with the reference, each (n,)."""
    plan = alignment.Plan(study.gradients, 0, BATCH, "reference")
    data = batches.on_device(train, device).take(slice(0, study.gradients))
    own = None if targets is None else _maps(targets, train, len(data))
    found = alignment.gradients(network, data, _maps(reference, train, len(data)), own, plan)
    return found.label_norm, found.cosine_target, found.cosine_reference


def _maps(path: Path, train: Split, count: int) -> np.ndarray:
    header, maps = target_file.read(path, train)
    return transforms.finished(header.provenance, maps[:count])


def validation_loss(folder: Path) -> float:
    """Validation loss of the epoch whose weights were kept."""
    return next(float(line["validation_loss"]) for line in _history(folder) if int(line["selected"]))


def course(folder: Path) -> dict[str, float]:
    """How the training loss came down: `fell` and `late` of lib/statistics/trained_out.py."""
    epochs = _history(folder)
    return asdict(trained_out.course(float(epochs[0]["first_loss"]), [float(line["loss"]) for line in epochs]))


def _history(folder: Path) -> list[dict[str, str]]:
    with checksums.unchanged(folder / "history.csv", "the history of a training").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
