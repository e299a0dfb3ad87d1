"""One attack suite on one model, image by image."""

from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Asked:
    """What is asked of a network: to stand an attack suite, with `settings` of its own, in some threat models.

    `row` and `seed` only say whose outcomes these are.
    """

    row: str
    seed: int
    suite: str
    settings: object
    threats: list[Threat]
    plan: Evaluation


def outcomes(model: nn.Module, test: Split, asked: Asked, device: torch.device) -> Outcomes:
    """Clean and attacked outcomes of the first images of the test split.

    Images that the model misclassifies as they are count as not robust and are not attacked. The others are attacked batch by batch: the
    suite is run anew for each, so that parts can be shared out (lib/evaluation/parts.py).

    Raises:
        InputError: more images are asked for than the split has, or a clean image's output is not finite.
    """
    return part(model, test, asked, device, (1, 1))[0]


def part(
    model: nn.Module, test: Split, asked: Asked, device: torch.device, chosen: tuple[int, int], common: dict | None = None
) -> tuple[Outcomes, parts.Part]:
    """The outcomes of part I of K, as those of all images with nothing found on the others, and which batches these are; `common` is what
    the parts must have in common beside what outcomes say of themselves."""
    data, size = first_images(test, asked.plan.images, device), asked.plan.batch_size
    with evaluating(model):
        clean = classified(model, data, size)
        count = int(clean.sum())
        require(count > 0, "the model classifies no test image correctly, there is nothing to attack")
        place = parts.part(count, size, *chosen, common)
        work, records = Work(data, np.arange(len(data)), size), suite(asked.suite).records
        found = []
        for batch in range(place.first, place.last):
            positions = replace(place, first=batch, last=batch + 1).positions(clean)
            one = replace(work.take(positions), is_first=batch == 0)
            found.append(
                (positions, [spread(record, positions, len(data)) for record in records(model, one, asked.threats, asked.settings)])
            )
    rows, joined = np.arange(len(data), dtype=np.int64), parts.joined(found)
    return Outcomes(test.dataset, asked.row, asked.seed, asked.suite, test.digest, rows, test.labels[: len(data)], clean, joined), place
