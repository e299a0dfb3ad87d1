"""Sections of params.yaml as frozen dataclasses, each declared beside the code that it configures.

Read with the YAML 1.2 parser that DVC uses, so that `1e-3` is a number here too. Unknown keys, missing keys and wrong types are refused.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import dacite
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lib.base.errors import InputError, require

PATH = Path("params.yaml")
NAME = re.compile(r"[A-Za-z0-9_]+")
Settings = TypeVar("Settings")
_changed: list[dict] = []


def document() -> dict:
    """All of params.yaml, as it stands within `changed`."""
    return _changed[-1] if _changed else parsed(PATH.resolve())


@contextmanager
def changed(changes: dict[str, Any]) -> Iterator[None]:
    """Inside, params.yaml reads as if these keys had these values, for whoever asks in this process; new last keys are allowed.

    Args:
        changes: value by dotted key, `{"training.epochs": 3}`. Lists are replaced as a whole.

    Raises:
        InputError: a key leads through something that is no section.
    """
    copy = deepcopy(document())
    for key, new in changes.items():
        *sections, last = key.split(".")
        node = copy
        for depth, name in enumerate(sections):
            node = node.setdefault(name, {})
            require(isinstance(node, dict), f"{place(*sections[: depth + 1])} must be a section to change {key}, got {node!r}")
        node[last] = deepcopy(new)
    _changed.append(copy)
    try:
        yield
    finally:
        _changed.pop()


@cache
def parsed(path: Path) -> dict:
    """A YAML file of sections, read once."""
    require(path.is_file(), f"expected {path} in the current folder {Path.cwd()}, found nothing there")
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def value(*keys: str) -> Any:
    """The plain value under nested `keys`: `value("attacks", "pgd")`."""
    node: Any = document()
    for depth, key in enumerate(keys):
        where = ".".join(keys[:depth]) or "params.yaml"
        known = ", ".join(map(str, node)) if isinstance(node, dict) else "no keys"
        require(isinstance(node, dict) and key in node, f"params.yaml: {where} has no key {key!r}, it has {known}")
        node = node[key]
    return node


def section(kind: type[Settings], *keys: str) -> Settings:
    """The section under `keys` as an instance of the frozen dataclass `kind`; its `__post_init__` checks ranges."""
    return parse(kind, value(*keys), place(*keys))


def names(*keys: str) -> list[str]:
    """The names of the entries of the dictionary under `keys`: letters, digits and underscores only."""
    entries = value(*keys)
    require(isinstance(entries, dict), f"{place(*keys)} must be a section with keys, got {entries!r}")
    for name in entries:
        require(bool(NAME.fullmatch(str(name))), f"{place(*keys)}: names use letters, digits and underscores only, got {name!r}")
    return list(entries)


def sections(kind: type[Settings], *keys: str) -> dict[str, Settings]:
    """Every entry of the dictionary under `keys`, parsed as `kind`."""
    return {name: section(kind, *keys, name) for name in names(*keys)}


def place(*keys: str) -> str:
    """How sentences name the place of `keys`.

    >>> place("attacks", "pgd")
    'params.yaml: attacks.pgd'
    """
    return f"{PATH.name}: {'.'.join(keys)}"


def parse(kind: type[Settings], data: Any, where: str) -> Settings:
    """`data`, found at `where`, as an instance of `kind`; raises `InputError` with one sentence."""
    require(isinstance(data, dict), f"{where} must be a section with keys, got {data!r}")
    try:
        return dacite.from_dict(kind, data, dacite.Config(strict=True, type_hooks={float: _number, int: _no_boolean}))
    except dacite.UnexpectedDataError as error:
        known = ", ".join(kind.__dataclass_fields__)  # type: ignore[attr-defined]
        raise InputError(f"{where} has unknown keys {', '.join(sorted(map(str, error.keys)))}; known are {known}") from error
    except dacite.MissingValueError as error:
        raise InputError(f"{where} lacks the key {error.field_path}") from error
    except dacite.WrongTypeError as error:
        got = _at(data, error.field_path or "", error.value)
        raise InputError(f"{where}.{error.field_path} must be {_expected(error.field_type)}, got {got!r}") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _at(data: dict, path: str, otherwise: Any) -> Any:
    """What stood in `data` before dacite touched it."""
    for key in path.split("."):
        if not isinstance(data, dict) or key not in data:
            return otherwise
        data = data[key]
    return data


def _number(data: Any) -> Any:
    """An integer literal is a number too; booleans are not."""
    return float(data) if isinstance(data, int) and not isinstance(data, bool) else _no_boolean(data)


def _no_boolean(data: Any) -> Any:
    require(not isinstance(data, bool), f"expected a number, got {data}")
    return data


def _expected(kind: Any) -> str:
    """How a type is called in a sentence: `Literal["l2", "linf"]` is "one of 'l2', 'linf'"."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(repr, get_args(kind)))
    return getattr(kind, "__name__", str(kind))
