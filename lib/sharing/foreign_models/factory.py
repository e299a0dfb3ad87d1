"""A model that somebody's own function makes."""

import importlib
import inspect
from typing import Any

from torch import nn

from lib.base.errors import InputError, require
from lib.sharing.foreign_models import foreign


def made(name: str) -> nn.Module:
    """The model that `package.module:function`, importable from the current folder, returns when it is called without arguments.

    Raises:
        InputError: there is no such function, it needs arguments, it or its module raises anything or exits, or it returns no model.
    """
    module_name, _, function_name = name.partition(":")
    require(bool(module_name and function_name), f"--factory must be written package.module:function, got {name!r}")
    with foreign.settings_kept(), foreign.imports():
        with foreign.blamed(f"--factory {name}: importing {module_name} from the current folder failed", placed=True):
            function: Any = getattr(importlib.import_module(module_name), function_name, None)
        require(callable(function), f"--factory {name}: {module_name} has no function {function_name!r}")
        _require_no_arguments(name, function)
        with foreign.blamed(f"--factory {name}: {function_name} failed", placed=True):
            model = function()
    said = "the class " + model.__name__ if isinstance(model, type) else f"a {type(model).__name__}"
    require(isinstance(model, nn.Module), f"--factory {name} must return a torch.nn.Module, it returned {said}")
    return model


def _require_no_arguments(name: str, function: Any) -> None:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise InputError(f"--factory {name} is called without arguments, but: {error}") from error
    except ValueError:  # what is written in C may have no signature: calling it will tell
        return
