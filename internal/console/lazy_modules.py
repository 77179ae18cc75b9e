"""Modules that are imported when they are used: `--help` and a typo need only the command line."""

import importlib
import types
from typing import Any


class _LazyModule(types.ModuleType):
    """Stands for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module holds
        return getattr(importlib.import_module(self.__name__), name)


def lazy(name: str) -> types.ModuleType:
    """Return a module that is imported when it is first used.

    Type checkers and import-linter need the true import beside it, under TYPE_CHECKING.
    """
    return _LazyModule(name)
