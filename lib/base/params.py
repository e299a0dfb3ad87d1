"""Sections of params.yaml as frozen dataclasses, each declared beside the code that it configures.

Read with the YAML 1.2 parser that DVC uses, so that `1e-3` is a number here too. The types of fields are held by lib/base/typed.py.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from lib.base import typed
from lib.base.errors import InputError, attempt, require

PATH = Path("params.yaml")
NAME = re.compile(r"[A-Za-z0-9_]+")
Settings = TypeVar("Settings")
_changed: list[dict] = []


class _Constructor(SafeConstructor):
    """Dates stay texts: no parameter is one, and one that does not exist would end the parser without its key."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def document() -> dict:
    """All of params.yaml, as it stands within `changed`."""
    return _changed[-1] if _changed else parsed(PATH.resolve())


@contextmanager
def replaced(path: Path) -> Iterator[None]:
    """Inside, the sections are those of the YAML file at `path`, for whoever asks in this process."""
    _changed.append(parsed(path.resolve()))
    try:
        yield
    finally:
        _changed.pop()


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
    return loaded(text(path), path)


def text(path: Path) -> str:
    """What stands in a text file; raises `InputError` where it is missing or not UTF-8."""
    require(path.is_file(), f"expected {path} in the current folder {Path.cwd()}, found nothing there")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path} must be text in UTF-8, line {line} has the byte 0x{error.object[error.start]:02x}") from error


def loaded(content: str, path: Path) -> Any:
    """The YAML text of the file `path` as plain dictionaries, lists, numbers and texts."""
    yaml = YAML(typ="safe")
    yaml.Constructor = _Constructor
    try:
        return yaml.load(content)
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def value(*keys: str) -> Any:
    """The plain value under nested `keys`: `value("attacks", "pgd")`."""
    node: Any = document()
    for depth, key in enumerate(keys):
        where = place(*keys[:depth]) if depth else PATH.name
        known = ", ".join(map(str, node)) if isinstance(node, dict) else "no keys"
        if not isinstance(node, dict) or key not in node:
            raise InputError(f"{where} has no key {key!r}, it has {known}")
        node = node[key]
    return node


def section(kind: type[Settings], *keys: str) -> Settings:
    """The section under `keys` as an instance of the frozen dataclass `kind`; its `__post_init__` checks ranges."""
    return parse(kind, value(*keys), place(*keys))


def names(*keys: str) -> list[str]:
    """The names of the entries of the dictionary under `keys`: letters, digits and underscores only."""
    entries = value(*keys)
    if not isinstance(entries, dict):
        raise InputError(f"{place(*keys)} must be a section with keys, got {typed.shown(entries)}")
    for name in entries:
        fits = isinstance(name, str) and bool(NAME.fullmatch(name))
        require(fits, f"{place(*keys)}: names use letters, digits and underscores only, got {name!r}")
    return list(entries)


def sections(kind: type[Settings], *keys: str) -> dict[str, Settings]:
    """Every entry of the dictionary under `keys`, parsed as `kind`."""
    return {name: attempt(section, kind, *keys, name) for name in names(*keys)}  # type: ignore[misc]


def place(*keys: str) -> str:
    """How sentences name the place of `keys`.

    >>> place("attacks", "pgd")
    'params.yaml: attacks.pgd'
    """
    return f"{PATH.name}: {'.'.join(keys)}"


def parse(kind: type[Settings], data: Any, where: str) -> Settings:
    """`data`, found at `where`, as an instance of `kind`; raises one `InputError` with a sentence for everything that is wrong."""
    problems: list[str] = []
    found = typed.read(kind, data, where, problems)
    if problems:
        raise InputError(*problems)
    return found
