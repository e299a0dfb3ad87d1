"""One attack suite on one model, image by image."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import torch
from torch import nn

from lib.base.errors import require
from lib.base.image_file import Split
from lib.evaluation import parts
from lib.evaluation.outcome_file import Outcomes
from lib.evaluation.threats import Threat
from lib.evaluation.work import Evaluation, Work, classified, first_images, spread
from lib.network.choices import choice
from lib.network.model_state import evaluating


def suite(name: str) -> ModuleType:
    """The file of lib/suites called `name`; it offers `Settings` and `records(model, work, threats, settings)`."""
    return choice("lib.suites", name, "attack suite")


def outcomes(
    model: nn.Module,
    test: Split,
    row: str,
    seed: int,
    suite_name: str,
    settings: object,
    threats: list[Threat],
    plan: Evaluation,
    device: torch.device,
) -> Outcomes:
    """Clean and attacked outcomes of the first images of the test split.

    Images that the model misclassifies as they are count as not robust and are not attacked. The others are attacked batch by batch: the
    suite is run anew for each, so that parts can be shared out (lib/evaluation/parts.py).

    Raises:
        InputError: more images are asked for than the split has, or a clean image's output is not finite.
    """
    return part(model, test, row, seed, suite_name, settings, threats, plan, device, (1, 1))[0]


def part(
    model: nn.Module,
    test: Split,
    row: str,
    seed: int,
    suite_name: str,
    settings: object,
    threats: list[Threat],
    plan: Evaluation,
    device: torch.device,
    chosen: tuple[int, int],
    asked: dict | None = None,
) -> tuple[Outcomes, parts.Part]:
    """The outcomes of part I of K, as those of all images with nothing found on the others, and which batches these are; `asked` is what
    the parts must have in common beside what outcomes say of themselves."""
    data = first_images(test, plan.images, device)
    with evaluating(model):
        clean = classified(model, data, plan.batch_size)
        count = int(clean.sum())
        require(count > 0, "the model classifies no test image correctly, there is nothing to attack")
        place = parts.part(count, plan.batch_size, *chosen, asked)
        work, records = Work(data, np.arange(len(data)), plan.batch_size), suite(suite_name).records
        found = []
        for batch in range(place.first, place.last):
            positions = replace(place, first=batch, last=batch + 1).positions(clean)
            one = replace(work.take(positions), is_first=batch == 0)
            found.append((positions, [spread(record, positions, len(data)) for record in records(model, one, threats, settings)]))
    rows = np.arange(len(data), dtype=np.int64)
    joined = parts.joined(found)
    return Outcomes(test.dataset, row, seed, suite_name, test.digest, rows, test.labels[: len(data)], clean, joined), place
