"""What can be checked of a target file, check by check, and what cannot be known of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from lib.base import h5, image_file
from lib.base.errors import InputError, require
from lib.sharing.inspection import facts, streams
from lib.sharing.inspection.integrity import Integrity, integrity
from lib.targets import target_file
from lib.targets.target_file import Header

Verdict = Literal["ok", "failed", "not checked"]
NAMES = ("format", "header", "maps", "finite", "images", "weights", "accuracy", "sample")
TOLERANCE = 0.01


@dataclass(frozen=True)
class Check:
    """What one check found: `note` is what is right, what is wrong, or why it was not made."""

    name: str
    verdict: Verdict
    note: str


@dataclass(frozen=True)
class Means:
    """What a file is held against. rows: of how many maps at least it is tried whether they come out again.

    tolerance: how far these may be off, relative to their norm.
    """

    images: Path | None = None
    model: Path | None = None
    rows: int = 200
    tolerance: float = TOLERANCE


class _Unchecked(Exception):
    """A check that cannot be made; says why."""


def checks(path: Path, means: Means, random: np.random.Generator | None = None) -> list[Check]:
    """Every check of `NAMES`, in this order. `random` draws the maps that are made again; None: anew each time."""
    file = _File(path, means, random or np.random.default_rng())
    found: dict[str, Check] = {}
    for name in NAMES:
        found[name] = _tried(name, lambda name=name: file.check(name, found))  # type: ignore[misc]
    return list(found.values())


def unknowns(found: list[Check], header: Header | None) -> list[str]:
    """What no check can show of this file, as sentences."""
    if header is None:
        return ["Nothing in a file that cannot be read is to be trusted."]
    verdicts = {check.name: check for check in found}
    lines = [
        "Digests in a file show damage, not honesty: whoever changes a file can make them anew. "
        "Compare the content digest with one that its maker gave you by another way."
    ]
    if "import" in header.provenance:
        return [*lines, "How imported maps were made is known to nobody here; the provenance names the file that they came from."]
    again = verdicts["sample"].verdict
    if again == "ok":
        lines.append("Maps that were not made again are known by their digests alone.")
    if again == "not checked":
        lines.append("No map was made again, so method, settings and the order of the maps are the word of whoever made the file.")
    if "teacher" in header.provenance:
        lines.append(
            "How the teacher's weights were trained, and on which images, is in no file: their digest says which weights they are."
        )
    return lines


def header_of(path: Path) -> Header | None:
    """What the file says of itself, or None where it cannot be read."""
    try:
        with streams.opened(path) as (header, _):
            return header
    except InputError:
        return None


def _tried(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", check())
    except _Unchecked as reason:
        return Check(name, "not checked", str(reason))
    except InputError as error:
        return Check(name, "failed", str(error))


class _File:
    """The file under examination and what it is held against."""

    def __init__(self, path: Path, means: Means, random: np.random.Generator) -> None:
        self.path, self.means, self.random = path, means, random

    def check(self, name: str, before: dict[str, Check]) -> str:
        """Make the check called `name`; those that it builds on came before it."""
        for other in {"format": (), "header": ("format",)}.get(name, ("format", "header")):
            _go_on(before[other].verdict == "ok", f"check {other} failed")
        if name in ("accuracy", "sample"):
            for other in ("images", "weights"):
                _go_on(before[other].verdict != "failed", f"check {other} failed")
        return getattr(self, f"_{name}")()

    def _format(self) -> str:
        with h5.reading(self.path, target_file.KIND, target_file.VERSION):
            return f"HDF5 of schema {target_file.VERSION}, complete; numbers only, no links, nothing kept in other files"

    def _header(self) -> str:
        with streams.opened(self.path) as (_, maps):
            return f"{facts.extent(maps.place, maps.shape)}; what the file says of itself fits its digest"

    def _maps(self) -> str:
        found = self._integrity
        wrong = f"{len(found.damaged)} of {found.total} maps do not fit their digests (rows {_some(found.damaged)}); {found.sentence}"
        require(not found.damaged, wrong)
        return f"all {found.total} fit their digests"

    def _finite(self) -> str:
        wrong = self._integrity.infinite
        require(not wrong, f"{self.path}: {len(wrong)} maps hold values that are not finite (rows {_some(wrong)})")
        return "every value is"

    def _images(self) -> str:
        images = self._given_images
        with streams.opened(self.path) as (header, maps), image_file.opened(images, "train") as train:
            target_file.fit(self.path, header, maps, train)
            require(header.dataset == train.dataset, f"{self.path} names the dataset {header.dataset!r}, {images} is {train.dataset!r}")
            return f"made from the {len(train)} train images of {images} (digest {train.digest[:12]}), row by row"

    def _weights(self) -> str:
        _go_on(isinstance(self._told("teacher", "weights_sha256"), str), "the provenance names no weights")
        model = self._given_model
        from lib.sharing.inspection import origin  # with torch, which takes seconds

        return origin.weights(self.path, self._provenance, model)

    def _accuracy(self) -> str:
        stated = self._told("teacher", "accuracy") is not None and self._told("saliency", "batch_size") is not None
        _go_on(stated, "the provenance states none")
        model, images = self._given_model, self._given_images
        from lib.sharing.inspection import origin

        return origin.accuracy(self.path, self._provenance, images, model)

    def _sample(self) -> str:
        told, means = self._provenance.provenance, self.means
        _go_on("import" not in told, "the maps were imported, nothing says how they were made")
        images, model = self._given_images, self._given_model if "saliency" in told else None
        from lib.sharing.inspection import origin, recomputed

        obstacle = recomputed.obstacle(told)
        _go_on(obstacle is None, str(obstacle))
        found = origin.sample(self.path, self._provenance, images, model, means.rows, self.random)
        found.require_close(self.path, means.tolerance)
        return found.in_words()

    @cached_property
    def _provenance(self) -> Header:
        with streams.opened(self.path) as (header, _):
            return header

    @property
    def _given_images(self) -> Path:
        _go_on(self.means.images is not None, "no --images given")
        assert self.means.images is not None
        return self.means.images

    @property
    def _given_model(self) -> Path:
        _go_on(self.means.model is not None, "no --model given")
        assert self.means.model is not None
        return self.means.model

    def _told(self, step: str, key: str) -> object:
        section = self._provenance.provenance.get(step)
        return section.get(key) if isinstance(section, dict) else None

    @cached_property
    def _integrity(self) -> Integrity:
        return integrity(self.path)


def _go_on(condition: bool, reason: str) -> None:
    if not condition:
        raise _Unchecked(reason)


def _some(rows: list[int]) -> str:
    return ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
