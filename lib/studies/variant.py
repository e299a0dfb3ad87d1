"""What a study consists of: variants of one training, each a change of the pipeline's own parameters, and how all are measured."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lib.base import params
from lib.base.errors import require
from lib.evaluation.threats import Threat

Stage = Literal["train_teacher", "train_at", "train_jr", "train_ir", "train_distilled"]


@dataclass(frozen=True)
class Targets:
    """Where a student's target interpretations come from.

    Either the maps of a `teacher` by a saliency `method` (thresholded), or a teacher-free `source`; then, if asked, `disturbed` by a
    null that destroys part of their structure (lib/targets/controls), or permuted to a `level`. The teacher "initial" is an untrained
    network.
    """

    teacher: str | None = None
    method: str | None = None
    source: str | None = None
    disturbed: str | None = None
    level: str | None = None

    def __post_init__(self) -> None:
        from_teacher = self.teacher is not None and self.method is not None and self.source is None
        from_source = self.source is not None and self.teacher is None and self.method is None
        require(from_teacher or from_source, "targets must name a teacher and a method, or a source")
        one = self.disturbed is None or self.level is None
        require(one, f"targets name one of disturbed and level, got {self.disturbed!r} and {self.level!r}")


@dataclass(frozen=True)
class Variant:
    """One training. `row` is the entry of the parameters that `stage` trains.

    group, label: where and under which name the report shows it.
    base: the variant that it is compared with; None for one that others are compared with.
    change: parameter by dotted key for everything, teacher and targets among it; student: for the last training only.
    attack: rules of the paper's attack that are changed (`attacks.paper`); what is measured is the network under that attack.
    threat: the threat model instead of the study's.
    scale: parameters that a search multiplies by the strength that it looks for (lib/studies/matching.py).
    """

    group: str
    label: str
    stage: Stage
    row: str
    base: str | None = None
    targets: Targets | None = None
    distilled_from: str | None = None
    change: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    attack: dict[str, Any] | None = None
    threat: Threat | None = None
    scale: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Study:
    """Section `study`: seeds, and how every variant is measured.

    images: how many of the test split are attacked, in which threat model, with which settings of `attacks.search` and `attacks.paper`.
    gradients: how many images of the train split have their gradients measured.
    """

    seeds: list[int]
    images: int
    threat: Threat
    attack: dict[str, Any]
    gradients: int

    def __post_init__(self) -> None:
        require(len(self.seeds) >= 2, f"a study needs at least two seeds, got {self.seeds}")
        require(self.images > 0, f"images must be positive, got {self.images}")
        require(self.gradients > 0, f"gradients must be positive, got {self.gradients}")


def read(path: Path) -> tuple[Study, dict[str, Variant]]:
    """The study in the file `path`, with sections `study` and `variants`; raises `InputError` with one sentence."""
    document = params.parsed(path.resolve())
    require(isinstance(document, dict) and {"study", "variants"} <= set(document), f"{path} must have the sections study and variants")
    study = params.parse(Study, document["study"], f"{path}: study")
    variants = {name: params.parse(Variant, entry, f"{path}: variants.{name}") for name, entry in document["variants"].items()}
    for name, variant in variants.items():
        require(variant.base is None or variant.base in variants, f"{path}: variants.{name}.base must be a variant, got {variant.base!r}")
    return study, variants


def chosen(variants: dict[str, Variant], name: str, path: Path) -> Variant:
    """The variant `name`."""
    require(name in variants, f"{path} has no variant {name!r}, it has {', '.join(variants)}")
    return variants[name]
