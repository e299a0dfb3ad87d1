"""The pipeline's own commands, one after the other in one process, under changed parameters: teacher, maps, targets, student.

Every step is a folder or file named by a digest of what it depends on, so that steps which a change does not touch are taken from
what another run has left, and no step can be mistaken for another.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lib.base import digests, params
from lib.base.choices import choice
from lib.studies import presets
from lib.studies.variant import Targets, Variant

PRESET = "strict"  # what every study starts from
NETWORK = ("model", "training")
ENTRIES = {"train_at": "at", "train_jr": "jr", "train_ir": "ir", "train_distilled": "distillation"}


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
        self._data = digests.of_file(images)

    def teacher(self, name: str) -> Path:
        """The folder of a teacher; the teacher "initial" is an untrained network."""
        if name == "initial":
            return self._made(["model"], partial(run, "initial_network", self.seed, images=self.images))
        return self._made([*NETWORK, f"teachers.{name}"], partial(run, "train_teacher", name, self.seed, images=self.images))

    def targets(self, spec: Targets) -> Path:
        """The file of target interpretations that `spec` asks for."""
        found = self._source(spec.source) if spec.source else self._thresholded(str(spec.teacher), str(spec.method))
        if spec.disturbed:
            disturb = partial(run, "disturb_targets", spec.disturbed, self.seed, targets=found)
            return self._made([f"nulls.{spec.disturbed}"], disturb, ".h5")
        if spec.level:
            return self._made(["permute"], partial(run, "permute", spec.level, self.seed, targets=found), ".h5")
        return found

    def student(self, variant: Variant) -> Path:
        """The folder of the variant's own network."""
        if variant.stage == "train_teacher":
            with params.changed(variant.student):
                return self.teacher(variant.row)
        inputs: dict[str, Path] = {"images": self.images}
        if variant.targets:
            inputs["targets"] = self.targets(variant.targets)
        if variant.distilled_from:
            inputs["teacher"] = self.teacher(variant.distilled_from)
        with params.changed(variant.student):
            return self._made(
                [*NETWORK, f"{ENTRIES[variant.stage]}.{variant.row}"], partial(run, variant.stage, variant.row, self.seed, **inputs)
            )

    def _source(self, name: str) -> Path:
        return self._made([f"sources.{name}"], partial(run, "make_targets", name, self.seed, images=self.images), ".h5")

    def _thresholded(self, teacher: str, method: str) -> Path:
        extract = partial(run, "extract_saliency", teacher, method, self.seed, images=self.images, model=self.teacher(teacher))
        maps = self._made([f"saliency.methods.{method}", "saliency.seed", "saliency.batch_size", "saliency.accuracy"], extract, ".h5")
        return self._made(["threshold"], partial(run, "threshold", maps=maps), ".h5")

    def _made(self, sections: Sequence[str], make: partial, suffix: str = "") -> Path:
        """Where the result of a command that lacks only `out` is, after running it if nobody has; `sections`: what it reads of params."""
        read = [params.value(*section.split(".")) for section in sections]
        made_before = [path.stem for name, path in make.keywords.items() if name != "images"]
        depends = [make.args, self._data, read, made_before]
        name = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16] + suffix
        for place in self._places:
            if (place / name).exists():
                return place / name
        self.folder.mkdir(parents=True, exist_ok=True)
        make(out=self.folder / name)
        return self.folder / name


def run(stage: str, *arguments: object, **options: object) -> None:
    """Run a stage's command in this process; raises what the command raises."""
    words = [str(word) for word in arguments] + [word for name, value in options.items() for word in (f"--{name}", str(value))]
    choice("stages", stage, "stage").main.main(args=words, standalone_mode=False)
