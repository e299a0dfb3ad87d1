"""What prepare-data says it understood: images per class and split, where splits come from, pictures that occur twice."""

from collections import defaultdict
from hashlib import blake2b

import numpy as np

from lib.base.splits import SPLITS

LISTED = 20  # classes; of more only the extremes are told

Splits = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def table(classes: tuple[str, ...], splits: Splits) -> list[str]:
    """Lines with the number of images of each class in train, validation and test, or its extremes where classes are many."""
    counts = np.stack([np.bincount(splits[name][1], minlength=len(classes)) for name in SPLITS], axis=1)
    if len(classes) > LISTED:
        spans = ", ".join(f"{name} {low} to {high}" for name, low, high in zip(SPLITS, counts.min(0), counts.max(0)))
        return [f"images per class: {spans}"]
    rows = [f"  {label}: {name!r} {'/'.join(map(str, row))}" for label, (name, row) in enumerate(zip(classes, counts))]
    return [f"images per class in {'/'.join(SPLITS)}:", *rows]


def origin(pools: dict[tuple[str, ...], range]) -> str:
    """Which splits are drawn from one pool.

    >>> origin({("train", "validation"): range(60), ("test",): range(60, 70)})
    'train, validation from 60 images, test from 10 others'
    """
    (first, size), *others = [(", ".join(splits), len(rows)) for splits, rows in pools.items()]
    return ", ".join([f"{first} from {size} images", *(f"{splits} from {count} others" for splits, count in others)])


def repeated(splits: Splits) -> list[str]:
    """Sentences on pictures, equal to the pixel, that occur in two splits or in two classes."""
    places: defaultdict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for name, (images, labels, _) in splits.items():
        for image, label in zip(np.ascontiguousarray(images), labels.tolist()):
            places[blake2b(image.data, digest_size=16).digest()].append((name, label))
    several = [tuple(map(set, zip(*shown))) for shown in places.values() if len(shown) > 1]
    counts = {f"pictures of {name} that are in train too": sum({name, "train"} <= where for where, _ in several) for name in SPLITS[1:]}
    counts["pictures that are in more than one class"] = sum(len(labels) > 1 for _, labels in several)
    return [f"{what}: {count}" for what, count in counts.items() if count]
