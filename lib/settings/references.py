"""What the sections of params.yaml say of each other: names that stand for an entry elsewhere, and numbers that must fit together."""

from collections import Counter
from types import ModuleType
from typing import Any

from lib.base import params
from lib.base.choices import choice
from lib.base.errors import attempt, require
from lib.report import rows, settings
from lib.training import loop
from lib.training.objective import divisible


def teacher_sets() -> list[str]:
    """The target sets that stage threshold makes."""
    return [f"{teacher}_{method}" for teacher in params.value("saliency", "teachers") for method in params.names("saliency", "methods")]


def target_sets() -> list[str]:
    """All target sets, the permuted ones among them."""
    return teacher_sets() + [f"{params.value('permute', 'source')}_{level}" for level in params.names("permute", "fractions")]


def names_one_of(known: list[str], what: str, *keys: str) -> None:
    """What stands under `keys`, one name or several, are among those known."""
    found = params.value(*keys)
    for name in found if isinstance(found, list | dict) else [found]:
        require(name in known, f"{params.place(*keys)} must name {what} ({', '.join(known)}), got {name!r}")


def teachers() -> None:
    """Maps are made of the networks of section teachers."""
    names_one_of(params.names("teachers"), "entries of teachers", "saliency", "teachers")


def permuted() -> None:
    """What is permuted is a target set that is made."""
    names_one_of(teacher_sets(), "a target set that saliency makes", "permute", "source")


def thresholds() -> None:
    """A threshold of its own belongs to a target set that is made."""
    names_one_of(teacher_sets(), "target sets that saliency makes", "threshold", "exceptions")


def students() -> None:
    """A row of `ir` is named after its targets."""
    names_one_of(target_sets(), "target sets that saliency and permute make", "ir")


def reference() -> None:
    """Gradients are compared with a target set that is made."""
    names_one_of(target_sets(), "a target set that saliency and permute make", "gradients", "reference")


def sources() -> None:
    """Images are made on different rows of the table."""
    names_one_of(params.names("rows"), "rows", "transfer", "sources")
    twice = repeated(params.value("transfer", "sources"))
    require(not twice, f"{params.place('transfer', 'sources')} must be different rows, got {', '.join(twice)} more than once")


def threat_lists() -> None:
    """Every row is attacked in a list that there is, and the tables show one of them."""
    lists = params.names("threats")
    require(
        "table" in lists, f"{params.place('threats')} must have the list table, that of the report's main table, it has {', '.join(lists)}"
    )
    for row in params.names("rows"):
        attempt(names_one_of, lists, "a list of threats", "rows", row, "threats")


def radii() -> None:
    """No list attacks twice at one radius: the later outcome would stand in the earlier one's place."""
    for name in params.names("threats"):
        twice = repeated([f"{entry['norm']} {entry['epsilon']:g}" for entry in params.value("threats", name)])
        require(not twice, f"{params.place('threats', name)} must have every radius once, got {', '.join(twice)} more than once")


def headline() -> None:
    """The threat model of Figure 3a is one of every list, under an attack that is run."""
    place, found = params.place("report", "figure_threat"), params.section(settings.FigureThreat, "report", "figure_threat")
    for name in params.names("threats"):
        shown = [(entry["norm"], entry["epsilon"]) for entry in params.value("threats", name)]
        radii = ", ".join(f"{norm} {epsilon:g}" for norm, epsilon in shown)
        fits, got = (found.norm, found.epsilon) in shown, f"{found.norm} {found.epsilon:g}"
        require(fits, f"{place} must be a radius of threats.{name} ({radii}), got {got}")
    run = found.semantics == "strict" or params.value("attacks", "paper") is not None
    require(run, f"{place}.semantics must be strict where attacks.paper is null, got {found.semantics!r}")


def techniques() -> None:
    """Tables and figures know a row by its technique, and by its group where rows share a technique."""
    called = {row: (params.value("rows", row, "technique"), params.value("rows", row, "group")) for row in params.names("rows")}
    for name in repeated(list(called.values())):
        same = " and ".join(f"rows.{row}" for row, other in called.items() if other == name)
        require(False, f"params.yaml: {same} must differ in technique or group, got {name[0]!r} and {name[1]!r} for all of them")


def batches() -> None:
    """A batch can be divided as `training` and its rows ask."""
    plan = params.section(loop.Plan, "training")
    for section, objective in rows.TRAINED_BY.items():
        module = choice("lib.objectives", objective, "objective")
        for row in params.names(section):
            attempt(divided, plan, params.section(module.Settings, section, row), module, params.place(section, row))


def divided(plan: loop.Plan, found: Any, module: ModuleType, place: str) -> None:
    """The same for the settings of one row, `module` being the file of its objective."""
    size, divisor, count = plan.batch_size, getattr(found, "batch_divisor", 1), plan.accumulate
    require(size % divisor == 0, f"{place}.batch_divisor must be a divisor of training.batch_size {size}, got {divisor}")
    require(count <= size // divisor, f"{place}.batch_divisor leaves {size // divisor} images, too few for training.accumulate {count}")
    whole = count == 1 or divisible(module, found)
    require(whole, f"{place}: its loss has no parts, training.accumulate must be 1 for it, got {count}")


def repeated(names: list[Any]) -> list[Any]:
    """What a list holds more than once.

    >>> repeated(["JR", "AT", "JR"])
    ['JR']
    """
    return [name for name, count in Counter(names).items() if count > 1]


RULES = [teachers, permuted, thresholds, students, reference, sources, threat_lists, radii, headline, techniques, batches]
