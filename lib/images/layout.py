"""Which folders are official splits, by what people call them, and which are classes."""

import re
from collections.abc import Sequence

from lib.base.errors import require
from lib.base.splits import SPLITS

WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(("eval", "evaluation", "holdout"), "unclear"),  # some mean validation by it, others test
}
FILLING = ("sets", "set", "dataset", "data", "images", "image", "imgs", "img", "split", "samples", "folder")  # as in training_set


def splits(folders: Sequence[str], where: str) -> dict[str, str]:
    """Split -> folder, in the order of SPLITS; empty if `folders` are classes, also where one of them is called train.

    Folders are splits if their names differ in a split's word alone: train and val, Training_Set and Test-Set, digits_train and
    digits_test.

    Raises:
        InputError: which folder is which split is not clear, or none is train; the sentence begins with `where`.

    >>> splits(["Testing", "masks", "Training"], "photos")
    {'train': 'Training', 'test': 'Testing'}
    >>> splits(["bus", "train"], "photos")
    {}
    """
    named: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for folder in folders:
        for stem, split in _parts(folder):
            named.setdefault(stem, []).append((split, folder))
    groups = [group for group in named.values() if len({split for split, _ in group}) > 1]
    chosen = [pair for group in groups or named.values() for pair in group]
    if not groups and (len(chosen) < len(folders) or len({split for split, _ in chosen}) < 2):
        return {}
    told = f"{where} has the folders {', '.join(sorted(repr(folder) for _, folder in chosen))}"
    names = [split for split, _ in chosen]
    clear = len(groups) == 1 and len(set(names)) == len(names) and "unclear" not in names and "train" in names
    require(clear, f"{told}; call one of them train, at most one validation and at most one test, and move others away")
    return {split: dict(chosen)[split] for split in SPLITS if split in names}


def _parts(folder: str) -> list[tuple[tuple[str, ...], str]]:
    """What a name is about apart from a split, and the split; empty if it names none or several."""
    words = [_bare(word) for word in re.findall(r"[^\W\d_]+", folder.casefold())]
    named = [WORDS[word] for word in words if word in WORDS]
    stem = tuple(word for word in words if word and word not in WORDS)
    return [(stem, named[0])] if len(named) == 1 else []


def _bare(word: str) -> str:
    for filling in FILLING:
        if word.endswith(filling) and (word == filling or word.removesuffix(filling) in WORDS):
            return word.removesuffix(filling)
    return word
