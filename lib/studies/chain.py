"""The pipeline's own commands, one after the other in one process, under changed parameters: teacher, maps, targets, student.

Every step is a folder or file named by a digest of what it depends on, so that steps which a change does not touch are taken from
what another run has left, and no step can be mistaken for another.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib import presets
from lib.base import params
from lib.network.choices import choice
from lib.studies.variant import Targets, Variant

PRESET = "strict"  # what every study starts from
NETWORK = ("model", "training")
ENTRIES = {"train_teacher": "teachers", "train_at": "at", "train_jr": "jr", "train_ir": "ir", "train_distilled": "distillation"}


@contextmanager
def under(changes: dict[str, Any]) -> Iterator[None]:
    """Inside, params.yaml reads as preset `strict` with `changes`."""
    with params.changed(presets.applied(params.document(), PRESET)), params.changed(changes):
        yield


class Chain:
    """The steps of one seed. `folder` receives what is made; `shared`, if any, is where finished steps may lie already."""

    def __init__(self, seed: int, images: Path, folder: Path, shared: Path | None = None) -> None:
        self.seed, self.images, self.folder = seed, images, folder
        self._places = [place for place in (shared, folder) if place is not None]
        self._data = hashlib.sha256(images.read_bytes()).hexdigest()

    def teacher(self, name: str) -> Path:
        """The folder of a teacher; the teacher "initial" is an untrained network."""
        if name == "initial":
            return self._made("initial", ["model"], [], lambda out: run("initial_network", self.seed, images=self.images, out=out))
        sections = [*NETWORK, f"teachers.{name}"]
        return self._made("teacher", sections, [], lambda out: run("train_teacher", name, self.seed, images=self.images, out=out))

    def targets(self, spec: Targets) -> Path:
        """The file of target interpretations that `spec` asks for."""
        found = self._source(spec.source) if spec.source else self._thresholded(str(spec.teacher), str(spec.method))
        if spec.disturbed:
            name, before = spec.disturbed, found
            make = lambda out: run("disturb_targets", name, self.seed, targets=before, out=out)  # noqa: E731
            return self._made(f"null {name}", [f"nulls.{name}"], [before], make, ".h5")
        if spec.level:
            level, before = spec.level, found
            make = lambda out: run("permute_targets", level, self.seed, targets=before, out=out)  # noqa: E731
            return self._made(f"level {level}", ["permute"], [before], make, ".h5")
        return found

    def student(self, variant: Variant) -> Path:
        """The folder of the variant's own network."""
        if variant.stage == "train_teacher":
            with params.changed(variant.student):
                return self.teacher(variant.row)
        options: dict[str, Path] = {"images": self.images}
        if variant.targets:
            options["targets"] = self.targets(variant.targets)
        if variant.distilled_from:
            options["teacher"] = self.teacher(variant.distilled_from)
        with params.changed(variant.student):
            sections = [*NETWORK, f"{ENTRIES[variant.stage]}.{variant.row}"]
            upstream = [path for name, path in options.items() if name != "images"]
            make = lambda out: run(variant.stage, variant.row, self.seed, **options, out=out)  # noqa: E731
            return self._made(variant.stage, sections, upstream, make)

    def _source(self, name: str) -> Path:
        make = lambda out: run("make_targets", name, self.seed, images=self.images, out=out)  # noqa: E731
        return self._made(f"source {name}", [f"sources.{name}"], [], make, ".h5")

    def _thresholded(self, teacher: str, method: str) -> Path:
        model = self.teacher(teacher)
        sections = [f"saliency.methods.{method}", "saliency.seed"]
        extract = lambda out: run("extract_saliency", teacher, method, self.seed, images=self.images, model=model, out=out)  # noqa: E731
        maps = self._made(f"maps {teacher} {method}", sections, [model], extract, ".h5")
        return self._made("threshold", ["threshold"], [maps], lambda out: run("threshold", maps=maps, out=out), ".h5")

    def _made(self, what: str, sections: Sequence[str], upstream: Sequence[Path], make: Callable[[Path], None], suffix: str = "") -> Path:
        """Where this step's result is, after making it if nobody has."""
        depends = [
            what,
            self.seed,
            self._data,
            [params.value(*section.split(".")) for section in sections],
            [path.stem for path in upstream],
        ]
        name = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16] + suffix
        for place in self._places:
            if (place / name).exists():
                return place / name
        self.folder.mkdir(parents=True, exist_ok=True)
        make(self.folder / name)
        return self.folder / name


def run(stage: str, *arguments: object, **options: object) -> None:
    """Run a stage's command in this process; raises what the command raises."""
    words = [str(word) for word in arguments] + [word for name, value in options.items() for word in (f"--{name}", str(value))]
    choice("stages", stage, "stage").main.main(args=words, standalone_mode=False)
