"""Each probe notices what it is for, on models with known answers."""

import numpy as np
import pytest
import torch
from classifiers import Flat, Linear, Scaled, grey, half_space, random_linear, seen, smooth
from torch import Tensor, nn

from lib.attacks import probes
from lib.attacks.best import Best
from lib.attacks.losses import margin
from lib.attacks.search import Settings as Search
from lib.attacks.search import search
from lib.attacks.work import Work
from lib.base.errors import InputError
from lib.evaluation.outcome_file import Record
from lib.network.batches import Batch
from lib.network.model_state import evaluating
from tests.broken_defences import BatchStatistics, Dropout, GradientKiller, Resized, TinyGradients

SHAPE = (1, 8, 8)
MAIN = Search(seed=0, gradients=23, classes=3, steps=10, worth=0.001)
NAMES = ["gradients", "black_box", "longer", "float64"]
CHANGES = {"seed": 0, "images": 1000, "draws": 5, "norms": ["l2", "linf"], "longer": 2.0}


def probe(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 100, rows=None, norm="linf") -> dict[str, Record]:
    """Probes in one norm, by name."""
    work = Work(Batch(images, labels), np.arange(len(images)) if rows is None else rows, batch_size)
    with evaluating(model):
        best = {norm: search(model, work, norm, MAIN)[0]}
        return {record.attack: record for record in probes.records(model, work, best, probes.Settings(**CHANGES), MAIN)}


def decided(model: nn.Module, count: int = 20, **where) -> tuple[Tensor, Tensor]:
    images = grey(count, SHAPE, **where)
    with torch.no_grad():
        return images, model(images).argmax(1)


def rough(seed: int = 5) -> nn.Module:
    model = smooth(4, SHAPE, seed=seed)
    model[1].weight.data *= 6
    return model.eval()


def forward(model: nn.Module, batch_size: int = 100, like: nn.Module | None = None) -> Record:
    """What is noticed in forward passes, on images that `like` (None: the model) decides."""
    images, labels = decided(like or rough())
    work = Work(Batch(images, labels), np.arange(len(images)), batch_size)
    with evaluating(model):
        return probes._forward(model, work, probes.Settings(**CHANGES))


def test_every_probe_is_there_once_per_norm_and_asked_of_the_first_images():
    model = rough()
    images, labels = decided(model, 6)
    work = Work(Batch(images, labels), np.arange(6), 10)
    with evaluating(model):
        best = {norm: search(model, work, norm, MAIN)[0] for norm in ("l2", "linf")}
        found = probes.records(model, work, best, probes.Settings(**CHANGES | {"images": 4, "norms": ["linf"]}), MAIN)
    assert [(record.norm, record.attack) for record in found] == [
        *[(norm, "returned") for norm in best],
        *[("l2", name) for name in NAMES[:2]],
        *[("linf", name) for name in NAMES],
        ("none", "forward"),
    ]
    for record in found:
        everywhere = record.attack == "returned"
        assert record.semantics == "probe" and record.epsilon == 0 and record.correct.shape == (1, 6)
        assert record.asked is None if everywhere else record.asked.tolist() == [True] * 4 + [False] * 2
        assert all(np.isnan(values[4:]).all() for values in record.telemetry.values()) or everywhere


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_on_a_linear_model_nothing_depends_on_anything(norm):
    """One gradient everywhere: it predicts the radius, and no further search, noise or line finds less."""
    direction = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    model = half_space(direction, float(direction.sum() / 2))
    images, labels = decided(model)
    distance = margin(model(images), labels).abs().detach() / direction.flatten().norm(p=1 if norm == "linf" else 2)
    assert 0 < float(distance.max()) < 0.3  # so that the box, 0.3 away, is out of the way
    found = probe(model, images, labels, norm=norm)
    gradients = found["gradients"]
    np.testing.assert_allclose(gradients.noticed("cosine"), 1, rtol=1e-5)
    np.testing.assert_allclose(gradients.noticed("predicted"), 1, atol=0.1)  # where the distance is next to nothing
    assert not any(gradients.telemetry[name].any() for name in ("zero", "nan", "vanished"))
    for name in ("longer", "float64"):
        for told in ("before", "after"):
            np.testing.assert_allclose(found[name].telemetry[told], distance, rtol=0.01, atol=1e-4)
    black_box = found["black_box"].telemetry
    assert np.isinf(black_box["noise"]).all() and (black_box["line"] >= distance.numpy()).all()
    assert found["returned"].noticed("outside").max() < 1e-5 and found["returned"].noticed("lead").max() < 1e-4


def test_images_that_were_not_returned_as_they_are_counted_show():
    """Of four images one is right, one is classified correctly, one leaves the box, and one is further away than its radius says."""
    model = half_space(torch.ones(SHAPE), 32.0)
    images, labels = torch.full((4, *SHAPE), 0.4), torch.zeros(4, dtype=torch.int64)
    best = Best.unknown(Work(Batch(images, labels), np.arange(4), 4), "linf")
    levels = torch.tensor([0.6, 0.45, 1.5, 0.7])
    best.adversarial, best.radius = levels.view(-1, 1, 1, 1).expand(4, *SHAPE).clone(), torch.tensor([0.2, 0.05, 1.1, 0.2])
    found = probes._returned(model, best).telemetry
    np.testing.assert_allclose(found["outside"], [0, 0, 0.5, 0.5], atol=1e-5)
    assert (found["lead"] > 0).tolist() == [False, True, False, False]


def test_an_image_without_a_radius_was_not_returned():
    model = half_space(torch.ones(SHAPE), 1000.0)
    images, labels = torch.full((2, *SHAPE), 0.4), torch.zeros(2, dtype=torch.int64)
    found = probe(model, images, labels)
    assert not len(found["returned"].noticed("lead"))
    assert np.isinf(found["black_box"].telemetry["line"]).all() and np.isinf(found["black_box"].telemetry["noise"]).all()
    np.testing.assert_allclose(found["longer"].telemetry["before"], 0.6, rtol=1e-6)  # the longest perturbation in the box


def test_dropout_at_test_time_shows_between_identical_passes():
    assert forward(Dropout(rough())).noticed("spread").max() > 0.1
    assert forward(rough()).noticed("spread").max() == 0


def test_batch_statistics_show_between_an_image_alone_and_among_others():
    found = forward(BatchStatistics(rough()))
    assert found.noticed("alone").min() > 0.01 and found.noticed("spread").max() == 0
    assert forward(rough()).noticed("alone").max() < 1e-4


def test_what_is_drawn_from_the_image_itself_shows_when_it_moves_a_little():
    found = forward(Resized(rough(), hashed=True))
    assert found.noticed("near").max() > 0.01 and found.noticed("spread").max() == 0
    assert forward(rough()).noticed("near").max() < 1e-3


def test_probabilities_are_told_from_logits():
    found = forward(nn.Sequential(rough(), nn.Softmax(1)))
    assert (found.noticed("probabilities") == 1).all() and (found.noticed("classes") == 4).all()
    assert (forward(rough()).noticed("probabilities") == 0).all()


def gradients(model: nn.Module) -> Record:
    """What is noticed of the gradients in L∞, where 0.05 is known of every image."""
    images, labels = decided(rough())
    work = Work(Batch(images, labels), np.arange(len(images)), 100)
    with evaluating(model):
        return probes._gradients(model, work, "linf", torch.full((len(images),), 0.05), probes.Settings(**CHANGES))


def test_saturated_logits_show_as_vanished_gradients_of_cross_entropy_and_of_nothing_else():
    found, plain = gradients(Scaled(rough(), 1e6)), gradients(rough())
    assert found.noticed("vanished").mean() > 0.5 and not plain.noticed("vanished").any()
    assert not found.noticed("zero").any()
    np.testing.assert_allclose(found.noticed("predicted"), plain.noticed("predicted"), rtol=1e-4)


def test_gradients_that_are_not_the_networks_predict_another_distance():
    predicted = gradients(TinyGradients(rough(), 1e-30)).noticed("predicted")
    np.testing.assert_allclose(predicted, 1e30 * gradients(rough()).noticed("predicted"), rtol=1e-3)
    assert (gradients(GradientKiller(rough())).noticed("zero") == 1).all()
    assert np.isinf(gradients(GradientKiller(rough())).noticed("predicted")).all()


def test_a_line_to_grey_black_white_or_the_negative_is_left_where_the_class_changes():
    """Class 0 is brightness up to 0.75 of images at 0.5: only the line to white crosses, at a distance of 0.25."""
    images, labels = torch.full((3, *SHAPE), 0.5), torch.zeros(3, dtype=torch.int64)
    work, settings = Work(Batch(images, labels), np.arange(3), 2), probes.Settings(**CHANGES)
    with evaluating(Flat(0.75)) as model:
        found = probes._black_box(model, work, "linf", torch.full((3,), 0.5), settings).telemetry
    np.testing.assert_allclose(found["line"], 0.25, atol=0.5 / 2**probes.HALVINGS)
    assert (found["line"] > 0.25).all()  # the last point tried that fooled the model


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_noise_is_as_long_as_it_may_be_and_other_for_every_draw(norm):
    model = half_space(torch.ones(SHAPE), 0.0)
    images, labels = torch.full((3, *SHAPE), 0.5), torch.ones(3, dtype=torch.int64)
    work = Work(Batch(images, labels), np.arange(3), 3)
    with seen(model) as batches, evaluating(model):
        probes._black_box(model, work, norm, torch.tensor([0.1, 0.2, 0.3]), probes.Settings(**CHANGES | {"draws": 7}))
    drawn = torch.stack(batches[:7]) - 0.5
    lengths = drawn.flatten(2).abs().amax(2) if norm == "linf" else drawn.flatten(2).norm(dim=2)
    torch.testing.assert_close(lengths, 0.9 * torch.tensor([0.1, 0.2, 0.3]).expand(7, 3), rtol=1e-4, atol=0)
    assert len(torch.unique(drawn.flatten(2).sum(2))) > 14


def test_no_probe_depends_on_the_batch_size_or_on_who_else_is_asked():
    model = rough().double()  # so that the order of a sum decides nothing
    images, labels = decided(model, 12, low=0.0, high=1.0, dtype=torch.float64)
    rows = np.arange(50, 62)
    whole = probe(model, images, labels, rows=rows)
    for found, part in (
        (probe(model, images, labels, batch_size=5, rows=rows), slice(0, 12)),
        (probe(model, images[4:9], labels[4:9], rows=rows[4:9]), slice(4, 9)),
    ):
        for name in NAMES:
            for told, values in whole[name].telemetry.items():
                np.testing.assert_allclose(found[name].telemetry[told], values[part], rtol=1e-4, atol=1e-7, err_msg=f"{name} {told}")


def test_the_model_is_left_in_its_own_precision():
    model = rough()
    probe(model, *decided(model, 5))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_a_model_that_cannot_be_run_in_float64_is_searched_as_it_is():
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = rough()

        def forward(self, images: Tensor) -> Tensor:
            return self.inner(images.float())

    model = Stubborn().eval()
    images, labels = decided(rough(), 4)
    one, work = probes._exact(model, Work(Batch(images, labels), np.arange(4), 4))
    assert work.batch.images.dtype == torch.float32
    assert float(one(images).detach().std(1).median()) == pytest.approx(1, rel=1e-5)


def test_a_model_whose_logits_do_not_differ_keeps_their_size():
    model = Linear(torch.zeros(4, *SHAPE), torch.zeros(4))
    images = grey(4, SHAPE)
    assert probes._size(model, Work(Batch(images, torch.zeros(4, dtype=torch.int64)), np.arange(4), 4)) == 1


def test_a_model_that_is_wrong_on_all_of_the_first_images_cannot_be_probed():
    model = random_linear(4, SHAPE)
    images, labels = decided(model, 5)
    with pytest.raises(InputError, match="classifies none of the first 3 images correctly"):
        probes.records(model, Work(Batch(images, labels), np.arange(10, 15), 5), {}, probes.Settings(**CHANGES | {"images": 3}), MAIN)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"images": 0}, "images must be positive, got 0"),
        ({"draws": 0}, "draws must be positive, got 0"),
        ({"longer": 1.0}, "longer must exceed 1, got 1.0"),
        ({"norms": []}, "norms must name at least one of l2, linf"),
    ],
)
def test_unusable_settings_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        probes.Settings(**CHANGES | changes)
