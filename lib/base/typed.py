"""Plain data as frozen dataclasses: unknown keys, missing keys, values of another type and numbers that are none are refused."""

import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lib.base.errors import InputError, noting

LARGEST = 2**63  # what DVC, NumPy and HDF5 can take of an integer
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
WORDS = {float: "a number", int: "an integer", bool: "true or false", str: "a text"}


def read(kind: Any, data: Any, where: str, problems: list[str], null: bool = False) -> Any:
    """`data`, found at `where`, as the type `kind`; what does not fit becomes a sentence in `problems`, and the result means nothing.

    An integer is a number too; booleans, texts and what is not finite are none. With `null` nothing fits, too.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if data is None and null:
        return None
    if origin in (Union, UnionType):
        *others, last = [choice for choice in arguments if choice is not NoneType]
        for choice in others:
            faults: list[str] = []
            found = read(choice, data, where, faults)
            if not faults:
                return found
        return read(last, data, where, problems, NoneType in arguments)
    if is_dataclass(kind) and isinstance(data, dict):
        return _section(kind, data, where, problems)
    if origin in (list, dict) and isinstance(data, origin):
        return _entries(origin, arguments, data, where, problems)
    if not _fits(kind, data):
        problems.append(f"{where} must be {expected(kind)}{' or null' if null else ''}, got {shown(data)}{_hint(kind, data)}")
        return data
    return float(data) if kind is float else data


def expected(kind: Any) -> str:
    """How a type is called in a sentence.

    >>> expected(Literal["l2", "linf"]), expected(float), expected(list[int])
    ("one of 'l2', 'linf'", 'a number', 'a list')
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if is_dataclass(kind) or (origin or kind) is dict:
        return "a section with keys"
    return "a list" if origin is list else WORDS.get(kind, str(kind))


def shown(data: Any) -> str:
    """A value as a sentence quotes it, the end of a long one left out."""
    text = repr(data)
    return text if len(text) <= 80 else f"{text[:77]}..."


_hints = cache(get_type_hints)


def _section(kind: Any, data: dict, where: str, problems: list[str]) -> Any:
    known, before = {field.name: field for field in fields(kind)}, len(problems)
    unknown = sorted(str(key) for key in data if key not in known)
    if unknown:
        problems.append(f"{where} has unknown keys {', '.join(unknown)}; known are {', '.join(known)}")
    lacking = [name for name, field in known.items() if name not in data and field.default is field.default_factory is MISSING]
    problems.extend(f"{where} lacks the key {name}" for name in lacking)
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for name in known:
        if name in data:
            faults = len(problems)
            found = read(hints[name], data[name], f"{where}.{name}", problems)
            if name == "seed" and isinstance(found, int) and found < 0:
                problems.append(f"{where}.seed must not be negative, got {found}")
            values |= {name: found} if len(problems) == faults else {}
    return _made(kind, values, where, problems, complete=len(problems) == before)


def _made(kind: Any, values: dict[str, Any], where: str, problems: list[str], complete: bool) -> Any:
    """The instance; of an incomplete one the values at hand are held against its `__post_init__`, as far as that comes."""
    made: Callable[[], Any] = (lambda: kind(**values)) if complete else (lambda: _checked(kind, values))
    instance = None
    with noting() as noted:
        try:
            instance = made()
        except InputError as error:
            noted.extend(map(str, error.args))
        except Exception:
            if complete and not noted:
                raise
    problems.extend(f"{where}: {sentence}" for sentence in noted)
    return instance


def _checked(kind: Any, values: dict[str, Any]) -> None:
    instance = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(instance, name, value)
    getattr(instance, "__post_init__", lambda: None)()


def _entries(origin: Any, arguments: tuple, data: Any, where: str, problems: list[str]) -> Any:
    if origin is list:
        return [read(arguments[0], entry, f"{where}.{index}", problems) for index, entry in enumerate(data)]
    for key in data:
        if not _fits(arguments[0], key):
            problems.append(f"{where} must have as keys {expected(arguments[0])}, got {key!r}")
    return {key: read(arguments[1], entry, f"{where}.{key}", problems) for key, entry in data.items()}


def _fits(kind: Any, data: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(type(data) is type(choice) and data == choice for choice in get_args(kind))
    if kind is Any:
        return True
    if kind in (int, float):
        integer = isinstance(data, int) and not isinstance(data, bool) and abs(data) < LARGEST
        return integer or (kind is float and isinstance(data, float) and isfinite(data))
    return isinstance(data, get_origin(kind) or kind)


def _hint(kind: Any, data: Any) -> str:
    """How a number that is written as a text can be given, and what is wrong with an integer that does not fit.

    >>> _hint(float, "8/255"), _hint(float, "1e-3")
    ('; write 0.0313725', '; write 0.001, without quotes')
    """
    if kind not in (int, float) or isinstance(data, bool):
        return ""
    if isinstance(data, int):
        return ", which has more than 64 bits"
    numbers = re.fullmatch(f"({NUMBER})(?:/({NUMBER}))?", data.replace(" ", "")) if isinstance(data, str) else None
    if numbers is None or (numbers[2] and not float(numbers[2])):
        return ""
    return f"; write {float(numbers[1]) / float(numbers[2]):.6g}" if numbers[2] else f"; write {float(numbers[1]):g}, without quotes"
