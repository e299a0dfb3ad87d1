"""Every section of params.yaml as the dataclass that it configures."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from lib.attacks import outcomes, transfer, work
from lib.base import params
from lib.base.choices import choice
from lib.base.errors import attempt, noting, require
from lib.evaluation import threats as lists
from lib.gradients import alignment
from lib.images import datasets
from lib.network import architecture
from lib.report import rows, settings
from lib.studies import presets
from lib.targets import transforms
from lib.targets.extraction.teachers import Accuracy
from lib.training import loop

Rule = Callable[[], Any]


@dataclass(frozen=True)
class Saliency:
    """Section `saliency`; an entry of `methods` configures the file of lib/saliency that it is named after."""

    teachers: list[str]
    seed: int
    batch_size: int
    accuracy: Accuracy
    methods: dict[str, dict[str, Any]]

    def __post_init__(self) -> None:
        require(self.batch_size > 0, f"batch_size must be positive, got {self.batch_size}")
        for name in ("teachers", "methods"):
            require(len(getattr(self, name)) > 0, f"{name} must name at least one")
        require(len(set(self.teachers)) == len(self.teachers), f"teachers must be different, got {self.teachers}")


@dataclass(frozen=True)
class Permute:
    """Section `permute`: `fractions` of the pixels of the target set `source`, by the name that ends the permuted set's."""

    source: str
    seed: int
    rule: Literal["fraction", "probability"]
    fractions: dict[str, float]

    def __post_init__(self) -> None:
        for name, fraction in self.fractions.items():
            require(0 <= fraction <= 1, f"fractions.{name} must lie in [0, 1], got {fraction}")


def preset() -> None:
    """The switches follow a column of presets.yaml."""
    found = params.value("preset")
    require(found in presets.NAMES, f"{params.place('preset')} must be one of {', '.join(presets.NAMES)}, got {found!r}")


def threats() -> None:
    """Every list of threat models, whether a row names it or not."""
    for name in params.names("threats"):
        attempt(lists.threats, name)


def chosen(family: str, what: str, *keys: str) -> None:
    """The entries under `keys`, each by the `Settings` of the file of the package `family` that it is named after."""
    for name in params.names(*keys):
        module = attempt(choice, family, name, f"{params.place(*keys, name)}: {what}")
        if module is not None:
            attempt(params.section, module.Settings, *keys, name)


def trained(section: str, objective: str) -> None:
    """The rows that `section` trains."""
    params.sections(choice("lib.objectives", objective, "objective").Settings, section)


def model() -> None:
    """The network, with what its architecture asks of it."""
    found = params.section(architecture.Model, "model")
    check = getattr(choice("lib.models", found.architecture, "architecture"), "check", None)
    if check is not None:
        with noting() as noted:
            check(found)
        for sentence in noted:
            require(False, f"{params.place('model')}: {sentence}")


def whole() -> None:
    """No section that nothing reads: it would be a misspelt one."""
    unknown = [str(name) for name in params.document() if name not in (*RULES, *OPTIONAL)]
    known = ", ".join((*RULES, *OPTIONAL))
    require(not unknown, f"params.yaml has unknown sections {', '.join(unknown)}; known are {known}")


RULES: dict[str, Rule] = {
    "preset": preset,
    "seeds": rows.seeds,
    "data": partial(params.section, datasets.Data, "data"),
    "model": model,
    "training": partial(params.section, loop.Plan, "training"),
    "rows": rows.rows,
    **{section: partial(trained, section, objective) for section, objective in rows.TRAINED_BY.items()},
    "saliency": partial(params.section, Saliency, "saliency"),
    "threshold": partial(params.section, transforms.Threshold, "threshold"),
    "permute": partial(params.section, Permute, "permute"),
    "evaluation": partial(params.section, work.Evaluation, "evaluation"),
    "threats": threats,
    "attacks": partial(params.section, outcomes.Settings, "attacks"),
    "own_attacks": partial(chosen, "lib.own_attacks", "attack", "own_attacks"),
    "transfer": partial(params.section, transfer.Settings, "transfer"),
    "gradients": partial(params.section, alignment.Plan, "gradients"),
    "report": partial(params.section, settings.Report, "report"),
}
# Sections of single commands, which the pipeline does not need.
OPTIONAL: dict[str, Rule] = {
    "sources": partial(chosen, "lib.targets.from_images", "target source", "sources"),
    "nulls": partial(chosen, "lib.targets.controls", "null", "nulls"),
    "distillation": partial(trained, "distillation", "distillation"),
}


def rules() -> list[Rule]:
    """What holds of each section by itself, those of saliency methods among them."""
    methods = partial(chosen, "lib.saliency", "saliency method", "saliency", "methods")
    present = [rule for name, rule in OPTIONAL.items() if name in params.document()]
    return [whole, *RULES.values(), methods, *present]
