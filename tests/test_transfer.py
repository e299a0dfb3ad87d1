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
from lib.evaluation.threats import Threat
from lib.network.batches import Batch

SHAPE = (1, 8, 8)
SETTINGS = transfer.Settings(0, 20, 1, ["margin"], 6.0, ["A"], None)
both_norms = pytest.mark.parametrize("norm, epsilon", [("l2", 0.5), ("linf", 0.08)])


def split(images: Tensor, labels: Tensor) -> Split:
    pixels = images.mul(255).round().byte().numpy()
    return Split("toy", pixels, labels.numpy(), np.arange(len(labels)), 4, digest(pixels, labels.numpy()))


def made(model: nn.Module, images: Tensor, labels: Tensor, threat: Threat, settings=SETTINGS) -> list[transfer.Crafted]:
    return transfer.crafted({"A": model}, Batch(images, labels), [threat], settings, 7)


def judged(model: nn.Module, images: Tensor, labels: Tensor, crafted: list[transfer.Crafted]):
    return transfer.outcomes(model, "B", 3, split(images, labels), Batch(images, labels), crafted, SETTINGS, 7)


@both_norms
def test_crafted_images_lie_in_the_ball_and_the_box_and_fool_their_source(norm, epsilon):
    model = smooth(4, SHAPE, seed=5).eval()
    model[1].weight.data *= 6
    images = grey(40, SHAPE, low=-0.3, high=1.3).clamp(0, 1)
    labels = model(images).argmax(1)
    (found,) = made(model, images, labels, Threat(norm, epsilon, 1.0))
    delta = (found.images[0] - images).flatten(1)
    assert (delta.norm(dim=1) if norm == "l2" else delta.abs().amax(1)).max() <= epsilon * (1 + rounding(epsilon, norm, SHAPE))
    assert found.images[0].min() >= 0 and found.images[0].max() <= 1
    itself = judged(model, images, labels, [found]).records[0]
    assert itself.accuracy < 0.8 and itself.noticed("violation").max() <= rounding(epsilon, norm, SHAPE)


@pytest.mark.parametrize("norm, dual", [("l2", 2), ("linf", 1)])
def test_between_half_spaces_an_image_transfers_exactly_where_the_targets_boundary_is_in_reach(norm, dual):
    """Parallel boundaries: every image is pushed by epsilon along the common normal, whatever its distance to the source's boundary."""
    direction = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    source, target = half_space(direction, float(direction.sum() / 2)), half_space(direction, float(direction.sum() / 2) + 0.3)
    images = grey(60, SHAPE)
    labels = source(images).argmax(1)
    length = direction.flatten().norm(p=dual)
    epsilon = float((source(images)[:, 1] - source(images)[:, 0]).detach().abs().median() / length)
    (found,) = made(source, images, labels, Threat(norm, epsilon, 1.0))
    record = judged(target, images, labels, [found]).records[0]
    score = target(images)[:, 1] - target(images)[:, 0]
    signed = (score * (2 * labels - 1) / length).detach().numpy()  # negative where the target is wrong as it is
    sure = (np.abs(signed - epsilon) > 0.02 * epsilon) & (np.abs(signed) > 1e-4)
    assert np.array_equal(record.correct[0][sure], (signed > epsilon)[sure])
    assert 0.1 < record.accuracy < 0.9


def test_a_gradient_free_target_falls_to_images_made_on_a_network_with_gradients():
    """What PGD cannot do to it."""
    source, target = half_space(torch.ones(SHAPE), 32.0), Flat(0.5)
    images = grey(20, SHAPE, low=0.51, high=0.56)
    labels = torch.ones(20, dtype=torch.int64)
    (found,) = made(source, images, labels, Threat("linf", 0.2, 1.0))
    assert judged(target, images, labels, [found]).records[0].accuracy == 0.0


def test_every_image_walks_to_the_end_even_where_the_source_is_wrong_or_fooled_early():
    source = Scaled(half_space(torch.ones(SHAPE), 32.0), 1.0)
    images = torch.cat([torch.full((2, *SHAPE), 0.501), torch.full((2, *SHAPE), 0.4)])
    with seen(source) as batches:
        (found,) = made(source, images, torch.ones(4, dtype=torch.int64), Threat("linf", 0.1, 1.0))
    assert {len(batch) for batch in batches} == {4} and len(batches) == 21
    torch.testing.assert_close(found.images[0], images - 0.1, rtol=0, atol=1e-4)


def test_the_worst_of_several_starts_counts_and_clean_errors_count_as_fallen():
    images, labels = torch.full((3, *SHAPE), 0.45), torch.tensor([0, 0, 1])
    threat = Threat("linf", 0.2, 1.0)
    brighter, same = images + 0.1, images.clone()
    brighter[1] = images[1]
    record = judged(Flat(0.5), images, labels, [transfer.Crafted("A", threat, [same, brighter])]).records[0]
    assert record.correct.tolist() == [[True, True, False], [False, True, False]]
    assert record.accuracy == pytest.approx(1 / 3) and record.attack == "from A" and record.semantics == "transfer"


def test_outcomes_say_which_images_row_and_seed_they_belong_to():
    images, labels = torch.full((3, *SHAPE), 0.45), torch.zeros(3, dtype=torch.int64)
    found = judged(Flat(0.5), images, labels, [])
    assert (found.row, found.seed, found.suite, found.dataset) == ("B", 3, "transfer", "toy")
    assert found.rows.tolist() == [0, 1, 2] and found.clean.all()


def test_neither_the_batch_size_nor_the_mode_of_a_model_changes_what_is_crafted():
    """In float64: over 20 steps, what the order of a sum changes in the last digit grows."""
    model = smooth(4, SHAPE, seed=5, dropout=0.5).double().train()
    images = grey(20, SHAPE).double()
    labels = torch.zeros(20, dtype=torch.int64)
    threat = Threat("l2", 0.5, 1.0)
    first = transfer.crafted({"A": model}, Batch(images, labels), [threat], SETTINGS, 3)[0].images[0]
    second = transfer.crafted({"A": model.eval()}, Batch(images, labels), [threat], SETTINGS, 20)[0].images[0]
    torch.testing.assert_close(first, second, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "change, sentence", [({"sources": []}, "at least one row"), ({"images": 0}, "images must be positive or null, got 0")]
)
def test_unusable_settings_are_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(SETTINGS, **change)
