"""Presets: the columns of presets.yaml, which say how the switches of params.yaml stand under `paper` and under `strict`."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import isclose, sqrt
from pathlib import Path
from typing import Any

from lib.base import params
from lib.base.errors import require

PATH = Path("presets.yaml")
NAMES = ("paper", "strict")
CIFAR10 = "_cifar10"
MISSING = "nothing"


@dataclass(frozen=True)
class Switch:
    """One key of params.yaml with its value in each column."""

    paper: Any
    strict: Any
    why: str
    page: str
    paper_cifar10: Any = MISSING
    strict_cifar10: Any = MISSING

    def value(self, preset: str, cifar10: bool) -> Any:
        """The value in the column `preset`, of the CIFAR-10 experiment where it has one of its own."""
        own = getattr(self, preset + CIFAR10)
        return own if cifar10 and own != MISSING else getattr(self, preset)


@dataclass(frozen=True)
class Departure:
    """A key of params.yaml whose value is not the preset's; `page` of docs/decisions says what follows."""

    key: str
    value: Any
    expected: Any
    page: str

    def __str__(self) -> str:
        return f"{self.key} is {written(self.value)}, the preset has {written(self.expected)} (docs/decisions/{self.page})"


def switches() -> dict[str, Switch]:
    """Every switch of presets.yaml by its key."""
    return {key: _switch(key, entry) for key, entry in _file()["switches"].items()}


def departures(document: dict) -> list[Departure]:
    """Which keys of `document` (all of params.yaml) have another value than under the preset that it names, in the table's order.

    Raises:
        InputError: `document` names no preset, or an unknown one.
    """
    preset = document.get("preset", MISSING)
    _require_known(preset)
    found = []
    for place, name, switch in _places(document):
        expected, value = _expected(document, (*place, name), switch, preset), _node(document, place).get(name, MISSING)
        if not _same(value, expected):
            found.append(Departure(".".join((*place, name)), value, expected, switch.page))
    return found


def applied(document: dict, preset: str) -> dict:
    """A copy of `document` with every switch, and `preset` itself, as under `preset`; weights of norms are converted with them."""
    _require_known(preset)
    copy = deepcopy(document)
    for place, name, switch in list(_places(copy)):
        node, value = _node(copy, place), _expected(copy, (*place, name), switch, preset)
        if not _same(node.get(name, MISSING), value):
            _convert(copy, place, name, value)
            node[name] = deepcopy(value)
    copy["preset"] = preset
    return copy


def written(value: Any) -> str:
    """A value as YAML writes it.

    >>> written(None), written(True), written({"NR_simple": None})
    ('null', 'true', '{NR_simple: null}')
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(one)}" for key, one in value.items()) + "}"
    return {True: "true", False: "false", None: "null"}[value] if isinstance(value, bool) or value is None else str(value)


def _convert(document: dict, place: tuple[str, ...], name: str, value: Any) -> None:
    """Where `name` is what the weight of a norm is converted with, multiply the weight; 5 digits are kept away from "batch", 4 back."""
    for key, rule in _file()["converted"].items():
        *pattern, weight = key.split(".")
        node = _node(document, place)
        if rule["with"] != name or weight not in node or place not in _matches(document, tuple(pattern)):
            continue
        where, before = ".".join((*place, name)), node.get(name)
        for reduction in (before, value):
            known = reduction in rule and reduction not in ("with", "page")
            require(known, f"params.yaml: {where} is {before!r}, with which {weight} cannot be converted to {value!r}; set both yourself")
        factor = _factor(document, rule[value]) / _factor(document, rule[before])
        node[weight] = float(f"{node[weight] * factor:.{5 if factor > 1 else 4}g}")


def _factor(document: dict, text: Any) -> float:
    """A number, or the square root of a key's value: "sqrt(training.batch_size)"."""
    if isinstance(text, (int, float)):
        return float(text)
    key = text.removeprefix("sqrt(").removesuffix(")")
    node = _node(document, tuple(key.split(".")))
    require(type(node) in (int, float) and node > 0, f"params.yaml: {key} must be a positive number, got {node!r}")
    return sqrt(node)


def _places(document: dict) -> Iterator[tuple[tuple[str, ...], str, Switch]]:
    """Section, last key and switch of everything in `document` that the table speaks of, whether or not the key is there."""
    for key, switch in switches().items():
        *pattern, name = key.split(".")
        for place in _matches(document, tuple(pattern)):
            yield place, name, switch


def _matches(node: dict, pattern: tuple[str, ...], place: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The sections that a pattern stands for, `*` for every entry that is a section.

    >>> _matches({"ir": {"a": {}, "b": {}}, "at": {}}, ("ir", "*"))
    [('ir', 'a'), ('ir', 'b')]
    """
    if not pattern:
        return [place]
    head, rest = pattern[0], pattern[1:]
    sections = {key: child for key, child in node.items() if isinstance(child, dict)}
    chosen = sections if head == "*" else {head: sections[head]} if head in sections else {}
    return [one for key, child in chosen.items() for one in _matches(child, rest, (*place, key))]


def _node(document: dict, place: tuple[str, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def _expected(document: dict, place: tuple[str, ...], switch: Switch, preset: str) -> Any:
    """The value in the column `preset`; thresholds of their own have only target sets that are made."""
    value = switch.value(preset, _is_cifar10(document))
    if place != ("threshold", "exceptions"):
        return value
    saliency = document.get("saliency", {})
    made = {f"{teacher}_{method}" for teacher in saliency.get("teachers", []) for method in saliency.get("methods", {})}
    return {name: phi for name, phi in value.items() if name in made}


def _is_cifar10(document: dict) -> bool:
    return document.get("model", {}).get("architecture") == "wide_resnet"


def _same(value: Any, expected: Any) -> bool:
    """Numbers by value, everything else by type too: true is not 1."""
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (value, expected))
    if numbers:
        return isclose(value, expected, rel_tol=1e-9)
    return value == expected and isinstance(value, bool) == isinstance(expected, bool)


def _switch(key: str, entry: Any) -> Switch:
    return params.parse(Switch, entry, f"{PATH}: switches.{key}")


def _require_known(preset: Any) -> None:
    require(preset in NAMES, f"preset must be one of {', '.join(NAMES)}, got {preset!r}")


def _file() -> dict:
    return params.parsed(PATH.resolve())
