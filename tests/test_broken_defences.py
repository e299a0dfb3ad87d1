"""The gate on real networks, through the real attacks: every broken defence fails the check that is there for it, honest ones none.

Where a defence stops no attack, the search finds what it finds without the defence, and that is what is claimed of it.
"""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import nn

from lib.attacks import transfer
from lib.attacks.outcomes import Settings, evaluation, outcomes
from lib.attacks.work import Evaluation, first_images
from lib.base import params
from lib.evaluation.outcome_file import Outcomes
from lib.evaluation.threats import Threat
from lib.gate.check import Check
from lib.gate.checks import checks
from tests import broken_defences as defences

IMAGES = 30
CPU = torch.device("cpu")
THREATS = [Threat("l2", 0.5, 0.125), Threat("linf", 0.1, 0.02)]
RADII = {"l2": 0.5, "linf": 0.1}
SETTINGS = {
    "search": {"seed": 0, "gradients": 79, "classes": 4, "steps": 15, "worth": 0.001},
    "paper": {"seed": 0, "steps": 20, "runs": 1, "batch_size": 50},
    "referee": {"seed": 0, "radii": RADII, "images": 10, "attacks": ["apgd-ce", "square"], "iterations": 20, "targets": 3, "queries": 100},
    "probes": {"seed": 0, "images": 15, "draws": 5, "norms": ["l2"], "longer": 1.25},
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
    undefended = defences.trained(defences.network(), *train, epochs=12)
    makers: dict[str, Callable[[], nn.Module]] = {
        "linear": defences.Quadrants,
        "undefended": lambda: undefended,
        "adversarially trained": lambda: defences.trained(defences.network(), *train, epochs=12, epsilon=0.5),
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
        "median blur": lambda: defences.trained(defences.MedianBlur(defences.network()), *train, epochs=12),
        "k winners": lambda: defences.trained(defences.network(defences.KWinners(8)), *train, epochs=12),
        "sign": lambda: defences.trained(defences.network(defences.Sign()), *train, epochs=12),
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


def radius(attacked: Attacked, name: str) -> dict[str, float]:
    """Mean radius by norm that all attacks of the evaluation find."""
    return {norm: float(found.capped.mean()) for norm, found in attacked(name)[0].radii.items()}


@pytest.mark.parametrize(
    ("defence", "number", "words"),
    [
        ("dropout", "G2", "images differ"),
        ("batch statistics", "G2", "images are answered otherwise alone than among others"),
        ("softmax", "G3", "outputs are non-negative and sum to 1"),
        ("gradient killer", "G10", "have a gradient of exactly zero"),
        ("saturated", "G9", "cross-entropy's gradient is exactly zero"),
        ("logits times 1e9", "G9", "cross-entropy's gradient is exactly zero"),
        ("tiny gradients", "G10", "times the distance that the gradient predicts"),
        ("quantised", "G10", "have a gradient of exactly zero"),
        ("thermometer", "G10", "have a gradient of exactly zero"),
        ("resized at random", "G2", "images differ"),
        ("resized by a hash", "G2", "images are answered otherwise when every pixel moves by 1e-6"),
        ("lookup", "G10", "have a gradient of exactly zero"),
        ("start detector", "G10", "of the search's gradients are exactly zero"),
        ("sign", "G10", "have a gradient of exactly zero"),
    ],
)
def test_every_broken_defence_fails_the_check_that_is_there_for_it(judge: Judge, defence: str, number: str, words: str) -> None:
    found = judge(defence)[number]
    assert found.verdict == "fail", found
    assert words in found.note


@pytest.mark.parametrize(
    ("defence", "number", "words"),
    [
        ("dropout", "G1", "that had fooled the model do not do so again"),
        ("gradient killer", "G5", "the search fools the model on"),
        ("gradient killer", "G8", "straight line"),
        ("quantised", "G8", "straight line"),
        ("start detector", "G5", "the search fools the model on"),
        ("start detector", "G8", "straight line"),
        ("sign", "G8", "straight line"),
    ],
)
def test_broken_defences_show_elsewhere_too(judge: Judge, defence: str, number: str, words: str) -> None:
    found = judge(defence)[number]
    assert found.verdict == "fail", found
    assert words in found.note


def test_k_winners_show_in_what_other_attacks_still_find(judge: Judge) -> None:
    """Its gradients are there, but lead nowhere in particular: AutoAttack and a longer search find what the search did not."""
    found = judge("k winners")
    assert {found[number].verdict for number in ("G4", "G6")} & {"warn", "fail"}, found


@pytest.mark.parametrize("defence", ["saturated", "logits times 1e9", "logits times 1e-9", "tiny gradients"])
def test_the_radii_do_not_depend_on_the_size_of_logits_or_gradients(attacked: Attacked, judge: Judge, defence: str) -> None:
    """Only what depends on the scale of the logits suffers: the paper's attack, not the search."""
    assert radius(attacked, defence) == pytest.approx(radius(attacked, "undefended"), rel=0.02)
    assert {number for number, check in judge(defence).items() if check.verdict == "fail"} <= {"G9", "G10"}
    gap = judge(defence)["G11"]
    assert gap.verdict == "info" and gap.value is not None and gap.value > 30


@pytest.mark.parametrize("defence", ["resized by a hash", "resized at random", "median blur"])
def test_defences_that_stop_no_attack_fall_as_soon_as_without_them(attacked: Attacked, defence: str) -> None:
    without = radius(attacked, "undefended")
    assert all(found < 1.05 * without[norm] for norm, found in radius(attacked, defence).items())


@pytest.mark.parametrize(("norm", "reach"), [("l2", 32**0.5 / 16), ("linf", 2.0)])
def test_the_linear_model_falls_exactly_where_geometry_says(attacked: Attacked, norm: str, reach: float) -> None:
    """The radius is the gap of the two brightest quadrants over what a perturbation of length 1 takes from it."""
    expected = defences.quadrants(IMAGES)[2].numpy() / reach
    found = attacked("linear")[0].radii[norm].radius  # type: ignore[index]
    assert (found >= expected * (1 - 1e-4)).all()
    assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("model", [*HONEST, "median blur"])
def test_honest_models_fail_nothing_and_nothing_warns(judge: Judge, model: str) -> None:
    loud = {check.id: check.note for check in judge(model).values() if check.verdict in ("fail", "warn") and "one image" not in check.note}
    assert not loud


@pytest.mark.parametrize("model", HONEST)
def test_of_honest_models_all_is_measured_but_the_reference(judge: Judge, model: str) -> None:
    assert [number for number, check in judge(model).items() if check.verdict == "not measured"] == ["G15"]
