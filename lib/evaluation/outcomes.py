"""One attack suite on one model, image by image."""

from types import ModuleType

import numpy as np
import torch
from torch import nn

from lib.base.errors import require
from lib.base.image_file import Split
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

    Images that the model misclassifies as they are count as not robust and are not attacked.

    Raises:
        InputError: more images are asked for than the split has, or a clean image's output is not finite.
    """
    data = first_images(test, plan.images, device)
    with evaluating(model):
        clean = classified(model, data, plan.batch_size)
        positions = np.flatnonzero(clean)
        require(len(positions) > 0, "the model classifies no test image correctly, there is nothing to attack")
        work = Work(data, np.arange(len(data)), plan.batch_size).take(positions)
        records = suite(suite_name).records(model, work, threats, settings)
    complete = tuple(spread(record, positions, len(data)) for record in records)
    rows = np.arange(len(data), dtype=np.int64)
    return Outcomes(test.dataset, row, seed, suite_name, test.digest, rows, test.labels[: len(data)], clean, complete)
