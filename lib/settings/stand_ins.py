"""What lets the check of params.yaml load the code that declares its sections in a tenth of a second: other people's packages stay out.

The dataclasses stand beside the code that they configure, and that code imports torch, which alone takes two to three seconds. Nothing
of it is called here, so that a module needs to find names only: classes to inherit from, decorators, types.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

OURS = ("lib", "stages")
REAL = {*OURS, "numpy", "click", "ruamel", "_ruamel_yaml"}


class _Named(type):
    """A class whose every attribute is such a class, too."""

    def __getattr__(cls, name: str) -> "_Named":
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named(name, (_Inert,), {})


class _Inert(metaclass=_Named):
    """Takes any arguments; as a decorator it leaves alone what it decorates."""

    def __init__(self, *arguments: object, **options: object) -> None: ...

    def __call__(self, *arguments: object, **options: object) -> object:
        return arguments[0] if arguments else self


class _Module(ModuleType):
    __path__: list[str] = []

    def __getattr__(self, name: str) -> _Named:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named(name, (_Inert,), {})


class _Finder:
    """Finds every package outside the standard library that is neither ours nor one that the check itself works with."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        package = name.partition(".")[0]
        return None if package in REAL or package in sys.stdlib_module_names else ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


@contextmanager
def in_place() -> Iterator[None]:
    """Inside, what is imported finds stand-ins; afterwards they are gone, and after an error so is what was loaded with them."""
    finder, before = _Finder(), set(sys.modules)
    sys.meta_path.insert(0, finder)
    failed = True
    try:
        yield
        failed = False
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if isinstance(sys.modules[name], _Module) or (failed and name.partition(".")[0] in OURS):
                _forget(name)


def _forget(name: str) -> None:
    parent, _, last = name.rpartition(".")
    del sys.modules[name]
    if parent in sys.modules:
        vars(sys.modules[parent]).pop(last, None)  # where `from parent import last` would look
