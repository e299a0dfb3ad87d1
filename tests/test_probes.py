"""Each probe notices what it is for, on models with known answers."""

import numpy as np
import pytest
import torch
from classifiers import Band, Linear, Scaled, grey, half_space, random_linear, rounding, seen, smooth
from torch import Tensor, nn

from lib.attacks import probes, strict, walk
from lib.attacks.losses import margin
from lib.base.errors import InputError
from lib.evaluation.outcome_file import Record
from lib.evaluation.threats import Threat
from lib.evaluation.work import Work
from lib.network.batches import Batch
from lib.network.model_state import evaluating

SHAPE = (1, 8, 8)
THREATS = [Threat("l2", 1.0, 0.1), Threat("linf", 0.1, 0.1)]
STRICT = {"seed": 0, "steps": 12, "restarts": 2, "strict_losses": ["margin", "standardised_cross_entropy"], "strict_step": 8.0}
NAMES = [
    "gradients",
    "noise",
    "fgsm",
    "few_steps",
    "single",
    "single_standardised",
    "single_cross_entropy",
    "single_x10",
    "single_x1000",
    "single_float64",
]
NAMES += ["reference", "steps_x2_5", "steps_x5", "step_half", "step_double", "restarts_double"]


def probe(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 100, rows=None, **changes) -> dict[str, Record]:
    """Probes at one radius, by name."""
    settings = probes.Settings(**{**STRICT, "images": 1000, "draws": 20, "threats": {"linf": 0.1}, **changes})
    work = Work(Batch(images, labels), np.arange(len(images)) if rows is None else rows, batch_size)
    with evaluating(model):
        return {record.attack: record for record in probes.records(model, work, THREATS, settings)}


def decided(model: nn.Module, count: int = 30, **where) -> tuple[Tensor, Tensor]:
    images = grey(count, SHAPE, **where)
    with torch.no_grad():
        return images, model(images).argmax(1)


def rough(seed: int = 5) -> nn.Module:
    model = smooth(4, SHAPE, seed=seed)
    model[1].weight.data *= 6
    return model.eval()


def test_every_probe_is_there_once_per_radius_of_the_norms_that_the_row_is_attacked_in():
    model = rough()
    images, labels = decided(model, 6)
    settings = probes.Settings(**STRICT, images=4, draws=2, threats={"l2": 0.5, "linf": 0.05})
    work = Work(Batch(images, labels), np.arange(6), 10)
    with evaluating(model):
        found = probes.records(model, work, THREATS, settings)
        one_norm = probes.records(model, work, THREATS[1:], settings)
    assert [record.attack for record in found] == ["forward", *NAMES, *NAMES]
    assert {(record.norm, record.epsilon) for record in found[1:]} == {("l2", 0.5), ("linf", 0.05)}
    assert [record.attack for record in one_norm] == ["forward", *NAMES]
    for record in found:
        assert record.semantics == "probe" and record.asked.tolist() == [True] * 4 + [False] * 2
        assert record.settings["images"] == 4 and record.correct.shape[1] == 6


def test_on_a_linear_model_nothing_depends_on_anything():
    """One gradient everywhere: exact first-order prediction, cosine 1, and every attack leaves the same images."""
    direction = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)).double()
    model = half_space(direction, float(direction.sum() / 2))
    images, labels = decided(model, 40, dtype=torch.float64)
    distance = margin(model(images), labels).abs().detach().numpy() / float(direction.abs().sum())
    epsilon = float(np.median(distance))
    found = probe(model, images, labels, threats={"linf": epsilon})
    for name in (
        "fgsm",
        "few_steps",
        "single",
        "single_standardised",
        "single_cross_entropy",
        "single_x10",
        "single_x1000",
        "single_float64",
        *NAMES[-6:],
    ):
        assert np.array_equal(found[name].per_image.astype(bool), distance > epsilon), name
    gradients = found["gradients"]
    np.testing.assert_allclose(gradients.telemetry["cosine"], 1)
    assert np.median(gradients.telemetry["taylor_error"]) < 1e-3
    assert (found["noise"].per_image >= found["single"].per_image).all() and found["noise"].accuracy > 0.5
    inputs = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(nn.functional.cross_entropy(model(inputs), labels, reduction="sum"), inputs)
    np.testing.assert_allclose(gradients.telemetry["cross_entropy_norm"], expected.flatten(1).norm(dim=1).numpy(), rtol=1e-6)
    assert not gradients.telemetry["zero"].any() and not gradients.telemetry["nan"].any()


def test_the_reference_is_the_strict_attack_and_every_stronger_one_only_takes_from_it():
    model = rough()
    images, labels = decided(model, 60, low=0.0, high=1.0)
    weak = {"steps": 1, "strict_step": 0.6}
    found = probe(model, images, labels, threats={"linf": 0.05}, **weak)
    settings = strict.Settings(**{**STRICT, **weak})
    with evaluating(model):
        (expected,) = strict.strict(model, Work(Batch(images, labels), np.arange(60), 60), [Threat("linf", 0.05, 1.0)], settings)
    assert np.array_equal(found["reference"].correct, expected.correct)
    taken = 0
    for name in NAMES[-5:]:
        assert (found[name].correct[-1] <= expected.correct[-1]).all()
        taken += int(expected.correct[-1].sum() - found[name].correct[-1].sum())
    assert taken > 0 and 0.1 < expected.accuracy < 0.9


def test_walks_of_other_lengths_and_steps_are_what_their_names_say():
    model = rough()
    images, labels = decided(model, 20)
    found = probe(model, images, labels, threats={"linf": 0.001})  # nothing falls, so that every walk has images
    expected = {"steps_x2_5": (30, 0.4), "steps_x5": (60, 0.2), "step_half": (12, 0.5), "step_double": (12, 2.0)}
    first = 8.0 * 0.001 / 12
    for name, (steps, factor) in expected.items():
        assert found[name].settings["steps"] == steps and found[name].settings["step_size"] == pytest.approx(factor * first)
    assert found["restarts_double"].settings["walks"] == 2 and found["few_steps"].settings["steps"] == 10


def test_dropout_at_test_time_shows_between_identical_passes():
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = rough()

        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.dropout(self.inner(images), 0.3, training=True)

    images, labels = decided(rough(), 20)
    assert probe(Forgetful(), images, labels)["forward"].noticed("spread").max() > 0.1
    assert probe(rough(), images, labels)["forward"].noticed("spread").max() == 0


def test_batch_statistics_show_between_an_image_alone_and_among_others():
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = rough()

        def forward(self, images: Tensor) -> Tensor:
            return self.inner(images - images.mean(0, keepdim=True) * (len(images) > 1))

    images, labels = decided(rough(), 20)
    found = {size: probe(Centred(), images, labels, batch_size=size)["forward"] for size in (20, 1)}
    assert found[20].noticed("alone").min() > 0.01 and found[20].noticed("spread").max() == 0
    assert found[1].noticed("alone").max() == 0
    assert probe(rough().double(), images.double(), labels)["forward"].noticed("alone").max() < 1e-10


def test_probabilities_are_told_from_logits():
    images, labels = decided(rough(), 20)
    found = probe(nn.Sequential(rough(), nn.Softmax(1)), images, labels)["forward"]
    assert (found.noticed("probabilities") == 1).all() and (found.noticed("classes") == 4).all()
    assert (probe(rough(), images, labels)["forward"].noticed("probabilities") == 0).all()


def test_saturated_logits_show_as_vanished_gradients_of_cross_entropy_and_as_its_disagreement_with_the_margin():
    images, labels = decided(rough(), 40, low=0.0, high=1.0)
    found = probe(Scaled(rough(), 1e5), images, labels)
    assert (found["gradients"].noticed("zero") == 1).mean() > 0.5
    assert found["single_cross_entropy"].accuracy - found["single"].accuracy > 0.3
    assert np.array_equal(found["single_x10"].correct, found["single"].correct)


def test_a_band_that_the_walk_crosses_is_fooled_on_the_way_and_not_at_its_end():
    images, labels = torch.full((6, *SHAPE), 0.3), torch.zeros(6, dtype=torch.int64)
    found = probe(Band(0.35, 0.45), images, labels, threats={"linf": 0.3}, steps=40, strict_step=2.0)["single"]
    assert found.accuracy == 0.0 and found.noticed("last").tolist() == [1] * 6


def test_a_walk_that_still_climbs_has_no_plateau_and_one_that_has_arrived_has():
    """A half-space far away: at the cosine's end nothing moves; with a step too small for the ball the loss climbs to the end."""
    model = half_space(torch.ones(SHAPE), 0.0)
    work = Work(Batch(torch.full((3, *SHAPE), 0.5), torch.ones(3, dtype=torch.int64)), np.arange(3), 3)

    def plateau(length: float) -> float:
        plan = walk.Plan(40, length, margin, 0, None, leave=False)
        return float(walk.walk(model, work, Threat("linf", 0.1, None), plan).plateau.max())

    assert plateau(0.1) == 0 and plateau(0.001) > 0.2


def test_noise_is_uniform_in_the_ball_and_other_for_every_draw():
    model = half_space(torch.ones(SHAPE), 0.0)
    images, labels = torch.full((3, *SHAPE), 0.5), torch.ones(3, dtype=torch.int64)
    settings = probes.Settings(**STRICT, images=3, draws=7, threats={"linf": 0.1})
    with seen(model) as batches, evaluating(model):
        probes._noise(model, Work(Batch(images, labels), np.arange(3), 3), Threat("linf", 0.1, None), settings)
    drawn = torch.stack(batches)
    assert drawn.shape[0] == 7 and (drawn - 0.5).abs().max() <= 0.1 * (1 + rounding(0.1, "linf", SHAPE))
    assert float((drawn - 0.5).std()) == pytest.approx(0.1 / 3**0.5, rel=0.05)
    assert len(torch.unique(drawn.flatten(2)[:, :, 0])) == 21


def test_no_probe_depends_on_the_batch_size_or_on_who_else_is_asked():
    model = rough().double()  # so that the order of a sum decides nothing
    images, labels = decided(model, 24, low=0.0, high=1.0, dtype=torch.float64)
    rows = np.arange(50, 74)
    whole = probe(model, images, labels, rows=rows, steps=3)
    cut = probe(model, images, labels, batch_size=5, rows=rows, steps=3)
    some = probe(model, images[4:9], labels[4:9], rows=rows[4:9], steps=3)
    for name in ["forward", *NAMES]:
        assert np.array_equal(whole[name].correct, cut[name].correct) and np.array_equal(whole[name].correct[:, 4:9], some[name].correct)


def test_the_model_is_left_in_its_own_precision():
    model = rough()
    images, labels = decided(model, 5)
    probe(model, images, labels)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_a_model_that_is_wrong_on_all_of_the_first_images_cannot_be_probed():
    model = random_linear(4, SHAPE)
    images, labels = decided(model, 5)
    settings = probes.Settings(**STRICT, images=3, draws=2, threats={"linf": 0.1})
    with pytest.raises(InputError, match="classifies none of the first 3 images correctly"):
        probes.records(model, Work(Batch(images, labels), np.arange(10, 15), 5), THREATS, settings)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"images": 0}, "images must be positive, got 0"),
        ({"draws": 0}, "draws must be positive, got 0"),
        ({"threats": {}}, "threats must name a radius for at least one of l2, linf"),
        ({"threats": {"linf": -1.0}}, "threats.linf must be positive, got -1"),
        ({"steps": 0}, "steps must be positive, got 0"),
    ],
)
def test_unusable_settings_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        probes.Settings(**{**STRICT, "images": 1, "draws": 1, "threats": {"linf": 0.1}, **changes})


def test_a_linear_model_without_difference_has_zero_gradients_and_no_nan():
    model = Linear(torch.ones(4, *SHAPE), torch.tensor([1.0, 0.0, -1.0, -2.0]))
    images, labels = decided(model, 4)
    found = probe(model, images, labels)
    assert (found["single"].noticed("zero_gradients") == 1).all()
    assert all(np.isfinite(record.accuracy) for record in found.values())


def test_a_model_that_cannot_be_run_in_float64_is_probed_without_it():
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = rough()

        def forward(self, images: Tensor) -> Tensor:
            return self.inner(images.float())

    images, labels = decided(rough(), 8)
    assert set(probe(Stubborn(), images, labels)) == {"forward", *NAMES} - {"single_float64"}
