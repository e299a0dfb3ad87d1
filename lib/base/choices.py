"""One choice is one file, found by its name: architectures, saliency methods, attacks of your own."""

import importlib
import importlib.util
from types import ModuleType

from lib.base.errors import require


def require_choice(package: str, name: str, what: str) -> None:
    """Raise `InputError` unless `name` is a file of `package`; `what` says what it should be."""
    known = name.isidentifier() and importlib.util.find_spec(f"{package}.{name}") is not None
    require(known, f"{what} must be a file in {package.replace('.', '/')}, got {name!r}")


def choice(package: str, name: str, what: str) -> ModuleType:
    """The module `name` of `package`; raises `InputError` if there is none.

    >>> choice(package="lib.saliency", name="simple", what="saliency method").__name__
    'lib.saliency.simple'
    """
    require_choice(package, name, what)
    return importlib.import_module(f"{package}.{name}")
