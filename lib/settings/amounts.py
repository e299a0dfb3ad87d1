"""What the data allow: no more images than there are, attacks that have enough classes, thresholds that leave something."""

from math import sqrt

from lib.attacks import outcomes, referee
from lib.base import params
from lib.base.errors import require
from lib.images import datasets
from lib.targets import transforms

# How many images of a split are asked for, and of which.
ASKED = {
    "training.batch_size": "train",
    "gradients.images": "train",
    "saliency.accuracy.images": "validation",
    "evaluation.images": "test",
    "transfer.images": "test",
}
VALUES = {"mnist5k": 28 * 28, "mnist": 28 * 28, "cifar10": 3 * 32 * 32}  # of a map


def images() -> None:
    """A split has the images that are asked for."""
    for key, split in ASKED.items():
        count, has = params.value(*key.split(".")), params.value("data", split)
        require(count is None or count <= has, f"params.yaml: {key} must be at most data.{split}, {has}, got {count}")


def thresholds() -> None:
    """At a phi this large every target would be zero."""
    settings, count = params.section(transforms.Threshold, "threshold"), VALUES.get(params.value("data", "dataset"))
    if count is None:
        return
    largest = (count - 1) / sqrt(count) if settings.ddof else sqrt(count - 1)  # a map of zeros but for one value
    given = {"phi": settings.phi} | {f"exceptions.{name}": phi for name, phi in settings.exceptions.items()}
    for key, phi in given.items():
        fits, above = phi is None or phi < largest, f"above which a map of {count} values is all zero"
        require(fits, f"{params.place('threshold', key)} must be below {largest:.5g}, {above}, got {phi}")


def dataset() -> None:
    """The dataset has the images and the classes that are asked for; nothing is said where it is not here yet."""
    data = params.section(datasets.Data, "data")
    found = datasets.available(data)
    if found is None:
        return
    for splits, count in found.pools.items():
        named, wanted = " + ".join(f"data.{name}" for name in splits), sum(getattr(data, name) for name in splits)
        require(wanted <= count, f"params.yaml: {named} must be at most the {count} images that {data.dataset} has there, got {wanted}")
    asked = params.section(outcomes.Settings, "attacks").referee
    targeted = set(referee.TARGETED) & set(asked.attacks if asked else [])
    fits = not targeted or found.classes >= referee.FEWEST_CLASSES
    need = f"{' and '.join(sorted(targeted))} need at least {referee.FEWEST_CLASSES} classes"
    require(fits, f"params.yaml: attacks.referee.attacks: {need}, {data.dataset} has {found.classes}")


RULES = [images, thresholds]
