"""Imports of optional and of large libraries."""

import gc
import sys

import pytest

from asr.common.errors import ConfigError
from asr.common.optional import import_large, optional


def test_a_library_that_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(ConfigError, match=r"no_such_library is needed .*pip install 'asr\[extra\]'"):
        optional("no_such_library", "extra")


@pytest.mark.parametrize("name", ["colorsys", "no_such_module"])
def test_garbage_is_collected_again_after_a_large_import(name: str) -> None:
    sys.modules.pop(name, None)
    try:
        assert import_large(name).__name__ == "colorsys"
    except ModuleNotFoundError:
        assert name == "no_such_module"
    assert gc.isenabled()
