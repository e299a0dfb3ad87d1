"""The gate on real networks, through the real attacks: every broken defence fails the check that is there for it, honest ones none.

Where a defence stops no attack, the search finds what it finds without the defence, and that is what is claimed of it.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from lib.attacks import transfer
from lib.base import params
from lib.evaluation.outcome_file import NORMS, Outcomes
from lib.evaluation.outcomes import Settings, evaluation, outcomes
from lib.evaluation.threats import Threat
from lib.evaluation.work import Evaluation, first_images
from lib.gate.check import Check
from lib.gate.checks import checks
from tests import broken_defences as defences

IMAGES = 40
CPU = torch.device("cpu")
THREATS = [Threat("l2", 0.5, 0.125), Threat("linf", 0.1, 0.02)]
RADII = {"l2": 0.5, "linf": 0.1}
SETTINGS = {
    "search": {"seed": 0, "gradients": 79, "classes": 4, "steps": 15, "worth": 0.001},
    "paper": {"seed": 0, "steps": 20, "runs": 1, "batch_size": 50},
    "referee": {"seed": 0, "radii": RADII, "images": 10, "attacks": ["apgd-ce", "square"], "iterations": 20, "targets": 3, "queries": 100},
    "probes": {"seed": 0, "images": 20, "draws": 10, "norms": ["l2"], "longer": 1.25},
}
TRANSFER = {"sources": ["undefended"], "images": IMAGES, "seed": 0, "radii": RADII, "steps": 20, "first_step": 5.0}
HONEST = ["linear", "undefended", "adversarially trained"]
Attacked = Callable[[str], tuple[Outcomes, Outcomes]]
Judge = Callable[[str], dict[str, Check]]


@pytest.fixture(scope="module")
def attacked() -> Attacked:
    """The outcomes of all attacks, and of transfer, on a defence by its name; each is trained and attacked once."""
    images, labels = defences.digits()
    train, known = (images[:-IMAGES], labels[:-IMAGES]), images[-IMAGES:]
    shown, linear = defences.split(known, labels[-IMAGES:]), defences.split(*defences.quadrants(IMAGES)[:2])
    undefended = defences.trained(defences.network(), *train, epochs=30)
    makers: dict[str, Callable[[], nn.Module]] = {
        "linear": defences.Quadrants,
        "undefended": lambda: undefended,
        "adversarially trained": lambda: defences.trained(defences.network(), *train, epochs=30, epsilon=0.5),
        "dropout": lambda: defences.Dropout(undefended),
        "batch statistics": lambda: defences.BatchStatistics(undefended),
        "softmax": lambda: defences.Softmax(undefended),
        "gradient killer": lambda: defences.GradientKiller(undefended),
        "saturated": lambda: defences.Scaled(undefended, 1e4),
        "logits times 1e9": lambda: defences.Scaled(undefended, 1e9),
        "logits times 1e-9": lambda: defences.Scaled(undefended, 1e-9),
        "tiny gradients": lambda: defences.TinyGradients(undefended),
        "quantised": lambda: defences.Quantised(undefended),
        "thermometer": lambda: defences.Thermometer(undefended),
        "resized at random": lambda: defences.Resized(undefended, hashed=False),
        "resized by a hash": lambda: defences.Resized(undefended, hashed=True),
        "lookup": lambda: defences.Lookup(undefended, known, reach=0.05),
        "start detector": lambda: defences.StartDetector(undefended, known, RADII["linf"]),
        "median blur": lambda: defences.trained(defences.MedianBlur(defences.network()), *train, epochs=30),
        "k winners": lambda: defences.trained(defences.network(defences.KWinners(8)), *train, epochs=30),
        "sign": lambda: defences.trained(defences.network(defences.Sign()), *train, epochs=30),
    }

    @cache
    def found(name: str) -> tuple[Outcomes, Outcomes]:
        model, test = makers[name](), linear if name == "linear" else shown
        asked = evaluation(name, 0, params.parse(Settings, SETTINGS, "attacks"), THREATS, Evaluation(IMAGES, IMAGES))
        apart = params.parse(transfer.Settings, TRANSFER, "transfer")
        data = first_images(test, apart.images, CPU)
        made = transfer.crafted({"undefended": undefended}, data, apart, IMAGES)
        return outcomes(model, test, asked, CPU), transfer.outcomes(model, name, 0, test, data, made, apart, IMAGES)

    return found


@pytest.fixture(scope="module")
def judge(attacked: Attacked) -> Judge:
    """The gate's answer on a defence by its name."""
    return lambda name: {check.id: check for check in checks(attacked(name))}
