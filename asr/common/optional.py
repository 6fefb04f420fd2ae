"""Importing libraries that only some users need, and large ones."""

import gc
from importlib import import_module
from types import ModuleType

from asr.common.errors import ConfigError


def optional(name: str, extra: str) -> ModuleType:
    """Imports a library of an optional extra.

    Raises:
        ConfigError: It is not installed; says how to.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"{name} is needed ({error}): pip install 'asr[{extra}]' brings it.") from None


def import_large(name: str) -> ModuleType:
    """Imports a module without garbage collection, which finds nothing there and takes a fifth of PyTorch's import."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        if enabled:
            gc.enable()
