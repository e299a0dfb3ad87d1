"""Adversarial images of one network shown to another: crafted on the source alone, judged by the target alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from classifiers import Flat, Scaled, grey, half_space, rounding, seen, smooth
from torch import Tensor, nn

from lib.attacks import transfer
from lib.base.errors import InputError
from lib.base.image_file import Split, digest
from lib.evaluation.outcome_file import Outcomes
from lib.network.batches import Batch

SHAPE = (1, 8, 8)
SETTINGS = transfer.Settings(["A"], None, 0, {"linf": 0.1}, 20, 6.0)
both_norms = pytest.mark.parametrize("norm, epsilon", [("l2", 0.5), ("linf", 0.08)])


def split(images: Tensor, labels: Tensor) -> Split:
    pixels = images.mul(255).round().byte().numpy()
    return Split("toy", pixels, labels.numpy(), np.arange(len(labels)), 4, digest(pixels, labels.numpy()))


def made(model: nn.Module, images: Tensor, labels: Tensor, norm: str, epsilon: float) -> list[transfer.Crafted]:
    return transfer.crafted({"A": model}, Batch(images, labels), replace(SETTINGS, radii={norm: epsilon}), 7)


def judged(model: nn.Module, images: Tensor, labels: Tensor, crafted: list[transfer.Crafted], row: str = "B") -> Outcomes:
    return transfer.outcomes(model, row, 3, split(images, labels), Batch(images, labels), crafted, SETTINGS, 7)


@both_norms
def test_crafted_images_lie_in_the_ball_and_the_box_and_fool_their_source(norm, epsilon):
    model = smooth(4, SHAPE, seed=5).eval()
    model[1].weight.data *= 6
    images = grey(40, SHAPE, low=-0.3, high=1.3).clamp(0, 1)
    labels = model(images).argmax(1)
    (found,) = made(model, images, labels, norm, epsilon)
    delta = (found.images - images).flatten(1)
    assert (delta.norm(dim=1) if norm == "l2" else delta.abs().amax(1)).max() <= epsilon * (1 + rounding(epsilon, norm, SHAPE))
    assert found.images.min() >= 0 and found.images.max() <= 1
    (record,) = judged(model, images, labels, [found]).transfer(norm, epsilon)
    assert record.accuracy < 0.8


@pytest.mark.parametrize("norm, dual", [("l2", 2), ("linf", 1)])
def test_between_half_spaces_the_radius_is_the_first_length_beyond_the_targets_boundary(norm, dual):
    """Parallel boundaries: every image is pushed along the common normal, by a quarter of epsilon more in each try, away from the box."""
    direction = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    source, target = half_space(direction, float(direction.sum() / 2)), half_space(direction, float(direction.sum() / 2) + 0.3)
    images = grey(60, SHAPE)
    labels = source(images).argmax(1)
    length = direction.flatten().norm(p=dual)
    epsilon = float((source(images)[:, 1] - source(images)[:, 0]).detach().abs().median() / length)
    radius = judged(target, images, labels, made(source, images, labels, norm, epsilon)).radii[norm].radius
    score = target(images)[:, 1] - target(images)[:, 0]
    signed = (score * (2 * labels - 1) / length).detach().numpy()  # negative where the target is wrong as it is
    steps = np.array(transfer.SCALES) * epsilon
    sure = (np.abs(signed[:, None] - steps) > 0.02 * epsilon).all(1) & (np.abs(signed) > 1e-4)
    first = np.append(steps, np.inf)[np.searchsorted(steps, signed)]
    expected = np.where(signed < 0, 0, first)
    assert sure.sum() > 40 and len(set(expected[sure])) > 4
    np.testing.assert_allclose(radius[sure], expected[sure], rtol=0.01)


def test_a_gradient_free_target_falls_to_images_made_on_a_network_with_gradients():
    """What no walk on itself can do to it."""
    source, target = half_space(torch.ones(SHAPE), 32.0), Flat(0.5)
    images = grey(20, SHAPE, low=0.51, high=0.56)
    labels = torch.ones(20, dtype=torch.int64)
    found = judged(target, images, labels, made(source, images, labels, "linf", 0.2)).radii["linf"]
    assert (found.radius <= 0.2 * (1 + 1e-5)).all() and set(found.found_by) == {"transfer from A"}


def test_every_image_walks_to_the_end_even_where_the_source_is_wrong_or_fooled_early():
    source = Scaled(half_space(torch.ones(SHAPE), 32.0), 1.0)
    images = torch.cat([torch.full((2, *SHAPE), 0.501), torch.full((2, *SHAPE), 0.4)])
    with seen(source) as batches:
        (found,) = made(source, images, torch.ones(4, dtype=torch.int64), "linf", 0.1)
    assert {len(batch) for batch in batches} == {4} and len(batches) == 20
    torch.testing.assert_close(found.images, images - 0.1, rtol=0, atol=1e-4)


def test_the_shortest_over_all_sources_counts_and_clean_errors_have_none():
    """Source A makes images brighter, B leaves the second alone; 0.05 more than 0.45 is enough, and 0.25 of 0.2 is exactly that."""
    images, labels = torch.full((3, *SHAPE), 0.45), torch.tensor([0, 0, 1])
    short, long = images + 0.24, images + 0.4
    short[1] = images[1]
    crafted = [transfer.Crafted("A", "linf", long), transfer.Crafted("B", "linf", short)]
    found = judged(Flat(0.5), images, labels, crafted, "C").radii["linf"]
    np.testing.assert_allclose(found.radius, [0.06, 0.1, 0.0], rtol=1e-5)
    assert found.found_by.tolist() == ["transfer from B", "transfer from A", "clean"]
    np.testing.assert_allclose(found.telemetry["from B"], [0.06, np.inf, np.nan], rtol=1e-5)


def test_an_image_made_on_the_network_itself_is_not_shown_to_it():
    images, labels = torch.full((2, *SHAPE), 0.45), torch.zeros(2, dtype=torch.int64)
    found = judged(Flat(0.5), images, labels, [transfer.Crafted("A", "linf", images + 0.4)], "A")
    assert np.isinf(found.radii["linf"].radius).all() and found.transfer("linf", 0.1) == []


def test_outcomes_say_which_images_row_and_seed_they_belong_to():
    images, labels = torch.full((3, *SHAPE), 0.45), torch.zeros(3, dtype=torch.int64)
    found = judged(Flat(0.5), images, labels, [])
    assert (found.row, found.seed, found.dataset, list(found.settings)) == ("B", 3, "toy", ["transfer"])
    assert found.rows.tolist() == [0, 1, 2] and found.clean.all()


def test_neither_the_batch_size_nor_the_mode_of_a_model_changes_what_is_crafted():
    """In float64: over 20 steps, what the order of a sum changes in the last digit grows."""
    model = smooth(4, SHAPE, seed=5, dropout=0.5).double().train()
    images = grey(20, SHAPE).double()
    data, settings = Batch(images, torch.zeros(20, dtype=torch.int64)), replace(SETTINGS, radii={"l2": 0.5})
    first = transfer.crafted({"A": model}, data, settings, 3)[0].images
    second = transfer.crafted({"A": model.eval()}, data, settings, 20)[0].images
    torch.testing.assert_close(first, second, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"sources": []}, "at least one row"),
        ({"images": 0}, "images must be positive or null, got 0"),
        ({"steps": 0}, "steps must be positive, got 0"),
        ({"radii": {"l2": -1.0}}, "radii.l2 must be positive, got -1.0"),
    ],
)
def test_unusable_settings_are_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(SETTINGS, **change)
