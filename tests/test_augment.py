"""Images and targets are cropped and mirrored alike, by every possible change equally often, as the generator says."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from lib.targets import transforms
from lib.training.augment import crop_and_flip, thresholded


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(count: int, channels: int = 2, height: int = 5, width: int = 6) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=seeded(7))


def possible(image: torch.Tensor, padding: int) -> torch.Tensor:
    """Every crop of one padded image (C, H, W), and then every mirrored crop, by slicing: the definition."""
    _, height, width = image.shape
    padded = F.pad(image, [padding] * 4)
    places = product(range(2 * padding + 1), repeat=2)
    crops = torch.stack([padded[:, top : top + height, left : left + width] for top, left in places])
    return torch.cat([crops, crops.flip(-1)])


def chosen(before: torch.Tensor, after: torch.Tensor, padding: int) -> list[int]:
    """Which of the possible changes made each image; exactly one must fit."""
    found = []
    for image, moved in zip(before, after, strict=True):
        fits = (possible(image, padding) == moved).flatten(1).all(1).nonzero().flatten().tolist()
        assert len(fits) == 1
        found.append(fits[0])
    return found


def test_every_image_is_one_of_the_possible_crops():
    images = random_images(40)
    moved, nothing = crop_and_flip(images, None, seeded(), padding=2)
    assert nothing is None and moved.shape == images.shape
    assert len(set(chosen(images, moved, 2))) > 20


def test_all_changes_are_equally_likely():
    images = random_images(1, channels=1).expand(3600, -1, -1, -1)
    moved, _ = crop_and_flip(images, None, seeded(), padding=1)
    counts = torch.bincount(torch.tensor(chosen(images, moved, 1)), minlength=18)
    assert counts.min() > 200 - 5 * 14 and counts.max() < 200 + 5 * 14  # binomial: 200 expected, standard deviation 14


def test_half_of_the_images_are_mirrored():
    images = random_images(2000, channels=1)
    moved, _ = crop_and_flip(images, None, seeded(), padding=0)
    mirrored = (moved == images.flip(-1)).flatten(1).all(1)
    assert (mirrored | (moved == images).flatten(1).all(1)).all()
    assert 900 < mirrored.sum() < 1100


def test_a_target_equal_to_its_image_stays_equal():
    images = random_images(30)
    moved, targets = crop_and_flip(images, images.clone(), seeded())
    assert torch.equal(moved, targets)
    assert not torch.equal(moved, images)


def test_targets_with_other_channels_follow_their_images():
    images, targets = random_images(30, channels=3), random_images(30, channels=1)
    moved, followed = crop_and_flip(images, targets, seeded(), padding=2)
    assert chosen(images, moved, 2) == chosen(targets, followed, 2)


def test_the_images_do_not_depend_on_whether_there_are_targets():
    images = random_images(30)
    assert torch.equal(crop_and_flip(images, None, seeded())[0], crop_and_flip(images, images * 2, seeded())[0])


def test_the_generator_decides():
    images = random_images(30)
    first, again, other = (crop_and_flip(images, None, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_arguments_are_left_as_they_were():
    images = random_images(10)
    before = images.clone()
    crop_and_flip(images, images, seeded())
    assert torch.equal(images, before)


def test_the_memory_layout_of_the_images_does_not_matter():
    images = random_images(10)
    last = images.to(memory_format=torch.channels_last)
    for ours, theirs in zip(crop_and_flip(images, images, seeded()), crop_and_flip(last, images, seeded()), strict=True):
        assert torch.equal(ours, theirs)


# Threshold on the device


@pytest.mark.parametrize("phi", [0.1, 1.0, 2.5])
@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_threshold_is_that_of_numpy(phi, ddof, layout):
    """lib.targets.transforms.threshold works in float64 on the processor; the maps have a mean of their own and padding of zeros."""
    maps, _ = crop_and_flip(random_images(40, channels=3) - 0.3, None, seeded(), padding=2)
    found = thresholded(maps.contiguous(memory_format=layout), phi, ddof)
    assert torch.equal(found, torch.from_numpy(transforms.threshold(maps.numpy(), phi, ddof)))
    assert 0 < (found == 0).float().mean() < 1 or phi == 2.5


def test_the_divisor_decides_at_the_edge():
    """Values 0, 0, 0, 1: mean 1/4, the 1 lies 0.75 from it; std is 0.433 divided by D and 0.5 divided by D - 1."""
    maps = torch.tensor([0.0, 0.0, 0.0, 1.0]).view(1, 1, 2, 2)
    assert [thresholded(maps, 1.6, ddof).sum().item() for ddof in (0, 1)] == [1.0, 0.0]


def test_without_a_phi_maps_stay_as_they_are():
    maps = random_images(5)
    assert thresholded(maps, None, 1) is maps


def test_padding_enters_the_threshold_of_a_map_that_was_cropped_first():
    """Ones with a two: as a whole the two alone is kept; among zeros that a shift brought in, ones are no longer near the mean."""
    maps = torch.ones(1, 1, 5, 5)
    maps[0, 0, 2, 2] = 2.0
    shifted = F.pad(maps, (3, -3, 0, 0))
    assert (thresholded(maps, 1.0, 1) != 0).sum() == 1
    assert (thresholded(shifted, 1.0, 1) != 0).sum() == 10
