"""Libraries that only some users need."""

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
