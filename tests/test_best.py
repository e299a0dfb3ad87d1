"""What is known of each image's nearest adversarial image: nothing enters that is not real, and nothing real is lost."""

import numpy as np
import pytest
import torch
from classifiers import grey, half_space, rounding, seen
from torch import Tensor, nn

from lib.attacks.best import Best, distances
from lib.attacks.work import Work
from lib.base.errors import InputError
from lib.network.batches import Batch

SHAPE = (1, 2, 2)
both_norms = pytest.mark.parametrize("norm", ["l2", "linf"])


def brighter() -> nn.Module:
    """Class 1 where the four pixels sum to more than 2."""
    return half_space(torch.ones(SHAPE), 2.0)


def dark(count: int = 3, level: float = 0.25) -> Tensor:
    return torch.full((count, *SHAPE), level)


def unknown(images: Tensor, norm: str = "linf", batch_size: int = 2) -> Best:
    return Best.unknown(Work(Batch(images, torch.zeros(len(images), dtype=torch.int64)), np.arange(len(images)), batch_size), norm)


@both_norms
def test_at_first_nothing_is_known(norm):
    best = unknown(dark(), norm)
    assert best.radius.tolist() == [torch.inf] * 3 and best.radius.dtype == torch.float32
    assert torch.equal(best.adversarial, best.images) and best.by.tolist() == [""] * 3


@pytest.mark.parametrize("norm, radius", [("l2", 0.75), ("linf", 0.375)])
def test_an_adversarial_image_is_entered_with_its_distance_and_the_attacks_name(norm, radius):
    best = unknown(dark(), norm)
    candidates = dark(level=0.625)
    assert best.offer(brighter(), candidates, "mine").tolist() == [True] * 3
    assert best.radius.tolist() == [radius] * 3 and best.by.tolist() == ["mine"] * 3
    assert torch.equal(best.adversarial, candidates)


def test_only_shorter_ones_that_fool_the_network_are_entered():
    best = unknown(dark())
    best.offer(brighter(), dark(level=0.625), "first")
    candidates = torch.cat([dark(1, 0.5625), dark(1, 0.4375), dark(1, 0.75)])  # shorter, right, longer
    assert best.offer(brighter(), candidates, "second").tolist() == [True, False, False]
    assert best.radius.tolist() == [0.3125, 0.375, 0.375] and best.by.tolist() == ["second", "first", "first"]


@pytest.mark.parametrize("pixel", [1.0000001, -0.0000001, torch.nan, torch.inf])
def test_what_is_outside_the_box_or_not_a_number_is_not_entered(pixel):
    best, candidates = unknown(dark()), dark(level=0.75)
    candidates[1, 0, 0, 1] = pixel
    assert best.offer(brighter(), candidates, "mine").tolist() == [True, False, True]


def test_candidates_may_be_of_some_images_only():
    best = unknown(torch.cat([dark(1, level) for level in (0.1, 0.2, 0.3, 0.4)]))
    assert best.offer(brighter(), dark(2, 0.75), "mine", np.array([3, 1])).tolist() == [True, True]
    assert best.radius[[1, 3]].tolist() == pytest.approx([0.55, 0.35]) and best.by.tolist() == ["", "mine", "", "mine"]


def test_the_network_is_shown_only_what_could_be_shorter_and_few_at_a_time():
    best = unknown(dark(5))
    best.offer(brighter(), dark(5, 0.625), "first")
    model = brighter()
    with seen(model) as batches:
        best.offer(model, torch.cat([dark(3, 0.5625), dark(2, 0.75)]), "second")
    assert [len(batch) for batch in batches] == [2, 1]


@both_norms
def test_a_distance_is_rounded_once(norm):
    images, candidates = grey(20, (3, 8, 8), seed=1), grey(20, (3, 8, 8), seed=2)
    delta = (candidates.double() - images.double()).flatten(1)
    exact = delta.norm(dim=1) if norm == "l2" else delta.abs().amax(1)
    assert torch.equal(distances(candidates, images, norm), exact.float())
    plain = torch.linalg.vector_norm((candidates - images).flatten(1), 2 if norm == "l2" else torch.inf, dim=1)
    assert torch.allclose(plain, distances(candidates, images, norm), rtol=rounding(0.1, norm, (3, 8, 8)), atol=0)


def test_what_is_known_of_a_part_is_entered_for_the_whole():
    whole, part = unknown(dark(4)), unknown(dark(2))
    part.offer(brighter(), dark(2, 0.75), "mine")
    whole.put(np.array([2, 0]), part)
    assert whole.radius.tolist() == [0.5, torch.inf, 0.5, torch.inf] and whole.by.tolist() == ["mine", "", "mine", ""]
    assert whole.adversarial[[0, 2]].eq(0.75).all() and whole.adversarial[[1, 3]].eq(0.25).all()


def test_a_long_name_and_candidates_of_another_shape_are_refused():
    with pytest.raises(InputError, match="at most 24 characters, got 'aaaa"):
        unknown(dark()).offer(brighter(), dark(level=0.75), 25 * "a")
    with pytest.raises(InputError, match=r"shape \(3, 1, 2, 2\), got \(2, 1, 2, 2\)"):
        unknown(dark()).offer(brighter(), dark(2), "mine")
