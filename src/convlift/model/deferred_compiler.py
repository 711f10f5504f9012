"""Leaves torch's compiler out of the import of timm: no prediction uses it, and it is most of what that import loads.

Two of timm's lines load it: torchvision, which timm imports, asks `torch._dynamo.utils` for one function that only its
operators for detectors call, and timm marks methods of one vision transformer with `torch.compiler.disable`, which it
does without where torch has no such function. Importing torch._dynamo takes as long as importing torch.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

NAME = "torch._dynamo.utils"
ASKED_FOR = "is_compile_supported"


class _Deferred(ModuleType):
    """Stands for the module until something of it is called, or asked for that is not known here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name != ASKED_FOR:
            return getattr(_real(), name)
        return lambda *arguments: getattr(_real(), name)(*arguments)


@contextmanager
def compiler_deferred() -> Iterator[None]:
    """Imports within load no compiler, unless they do more with it than is known here; nothing is changed where it is
    loaded already."""
    if "torch._dynamo" in sys.modules:
        yield
        return
    stand_in, disable = _Deferred(NAME), torch.compiler.disable
    sys.modules[NAME], torch.compiler.disable = stand_in, _not_for_timm(disable)
    try:
        yield
    finally:
        torch.compiler.disable = disable
        _take_away(stand_in)


def _not_for_timm(disable: Callable[..., Any]) -> Callable[..., Any]:
    def disable_unless_timms(*given: Any, **options: Any) -> Any:
        if len(given) == 1 and not options and getattr(given[0], "__module__", "").startswith("timm."):
            return given[0]
        return disable(*given, **options)

    return disable_unless_timms


def _real() -> ModuleType:
    if isinstance(found := sys.modules.get(NAME), _Deferred):
        _take_away(found)
    return importlib.import_module(NAME)


def _take_away(stand_in: ModuleType) -> None:
    if sys.modules.get(NAME) is stand_in:
        del sys.modules[NAME]
