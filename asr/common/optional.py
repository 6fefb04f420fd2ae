"""Importing libraries that only some users need, and large ones."""

import gc
import sys
from importlib import import_module
from types import ModuleType

from asr.common.errors import ConfigError

BEAM = (
    "pip install 'asr[beam]' brings it"
    if sys.version_info < (3, 13)
    else "there is none for Python 3.13 and newer: use Python 3.12 and pip install 'asr[beam]'"
)
"""How to get what the extra `beam` is about."""


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
    """Imports a module without garbage collection, which finds none and takes a fifth of PyTorch's import.

    What is there after the first import is never looked at again.
    """
    enabled, imported = gc.isenabled(), name in sys.modules
    gc.disable()
    try:
        return import_module(name)
    finally:
        if not imported:
            gc.freeze()
        if enabled:
            gc.enable()
