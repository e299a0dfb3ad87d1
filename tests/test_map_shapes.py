"""One channel and three, square and not: what is done to maps and images that no network takes part in."""

import numpy as np
import torch
from shapes import data, every_case, one_boundary

from lib.base.choices import choice
from lib.targets import transforms
from lib.training import augment

EPS = np.finfo(np.float32).eps  # twice the rounding of a number near 1; means and sums of a map stay within a few of it per value


@every_case
def test_augmented_targets_follow_their_images_and_are_thresholded_as_on_disk(shape, classes):
    images = data(one_boundary(shape, classes), shape, classes).images
    moved, targets = augment.crop_and_flip(images, images.contiguous(), torch.Generator().manual_seed(0), padding=1)
    assert torch.equal(moved, targets) and not torch.equal(moved, images)
    kept, _ = augment.crop_and_flip(images, None, torch.Generator().manual_seed(0), padding=0)
    assert all(torch.equal(one, image) or torch.equal(one, image.flip(2)) for one, image in zip(kept, images))
    for ddof in (0, 1):
        expected = transforms.threshold(images.numpy(), 1.0, ddof)
        assert np.array_equal(augment.thresholded(images, 1.0, ddof).numpy(), expected) and 0 < (expected != 0).mean() < 1


def nearest(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of every image the nearest with another label, by brute force."""
    squares = ((images[:, None].astype(float) - images[None]) ** 2).sum((2, 3, 4))
    return images[np.where(labels[:, None] == labels, np.inf, squares).argmin(1)]


@every_case
def test_targets_without_a_teacher_are_made_of_the_images(shape, classes):
    pixels = np.random.default_rng(0).integers(0, 256, (40, *shape), dtype=np.uint8)
    images, labels = (pixels / np.float32(255)), np.arange(40) % classes
    made = {}
    for name in ("image", "class_mean", "edges", "other_class", "same_class"):
        source = choice("lib.targets.from_images", name, "target source")
        made[name] = source.maps(images, labels, range(40), source.Settings(), 0)
        assert made[name].shape == images.shape, name
    of_class = np.stack([images[labels == label].mean(0) for label in labels])
    np.testing.assert_array_equal(made["image"], images)
    np.testing.assert_allclose(made["class_mean"], of_class - images, atol=8 * EPS)
    np.testing.assert_array_equal(made["other_class"], images - nearest(pixels, labels) / np.float32(255))
    others = [np.flatnonzero((images == found).all((1, 2, 3))) for found in made["same_class"]]
    assert all(len(rows) == 1 and rows[0] != row and labels[rows[0]] == labels[row] for row, rows in enumerate(others))
    turned = choice("lib.targets.from_images", "edges", "target source").maps(images.swapaxes(2, 3), labels, range(40), None, 0)
    np.testing.assert_array_equal(turned.swapaxes(2, 3), made["edges"])
    alone = choice("lib.targets.from_images", "edges", "target source").maps(images[:, -1:], labels, range(40), None, 0)
    np.testing.assert_array_equal(alone, made["edges"][:, -1:])


@every_case
def test_nulls_and_refinement_keep_what_they_promise(shape, classes):
    maps = np.random.default_rng(0).standard_normal((6, *shape), dtype=np.float32)
    changed = {}
    for name, settings in {"sign": {"of": "pixels"}, "blocks": {"size": 2}, "blur": {"sigma": 1.0}, "phase": {}}.items():
        null = choice("lib.targets.controls", name, "null")
        changed[name] = null.changed(maps, range(6), null.Settings(**settings), 0)
        assert changed[name].shape == maps.shape and not np.array_equal(changed[name], maps), name
    flat, channel = (lambda values: np.sort(values.reshape(6, -1))), (lambda values: np.sort(values.reshape(*values.shape[:2], -1)))
    np.testing.assert_array_equal(np.abs(changed["sign"]), np.abs(maps))
    np.testing.assert_array_equal(channel(changed["blocks"]), channel(maps))
    np.testing.assert_allclose(changed["blur"].mean((2, 3)), maps.mean((2, 3)), atol=8 * EPS)
    amplitudes = [np.abs(np.fft.rfft2(values.astype(np.float64))) for values in (changed["phase"], maps)]
    np.testing.assert_allclose(*amplitudes, atol=maps[0, 0].size * EPS * np.abs(changed["phase"]).max(), rtol=0)
    for rule in ("fraction", "probability"):
        np.testing.assert_array_equal(flat(transforms.permute(maps, range(6), transforms.Permutation(0.7, 0, 0, rule))), flat(maps))
    spread = maps.std((1, 2, 3), ddof=1, keepdims=True, dtype=np.float64)
    inside = np.abs(maps - maps.mean((1, 2, 3), keepdims=True, dtype=np.float64)) <= spread
    np.testing.assert_array_equal(transforms.threshold(maps, 1.0), np.where(inside, 0, maps))
