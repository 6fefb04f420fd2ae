"""Values as users give them: overrides that Hydra's grammar cannot read are quoted, ~ is the user's home, and some
defaults come from the environment."""

import os
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError
from omegaconf.grammar_parser import parse

from asr.common.errors import ConfigError
from asr.common.files import expanded

PATHS = (
    "paths.data", "paths.runs", "data.source", "tokenizer.lexicon", "lm.texts", "lm.held_out", "lm.path",
    "decoder.weights_from", "decoder.recurrent", "evaluation.models", "training.init_from", "check.model", "check.json",
    "listen.folder", "pack.output", "shards.source", "shards.cache", "augment.reverb.folders",
    "augment.background.folders", "augment.babble.folders",
)  # fmt: skip
"""Keys of files and folders, in which ~ is the user's home: a shell leaves it alone behind a dot."""


def environment(name: str, default: Any) -> Any:
    """`${environment:NAME,default}` in conf/: a variable of the environment, unless it is not set or empty.

    Where the default is a list, commas separate the items of the variable.
    """
    value = os.environ.get(name)
    if not value:
        return default
    return value if default is None or isinstance(default, str) else [item.strip() for item in value.split(",")]


OmegaConf.register_new_resolver("environment", environment, replace=True)


def readable(override: str, kind: Any, swept: bool) -> str:
    """An override that Hydra reads as it was meant: what is valid there stays as it is, and other values are quoted.

    Args:
        kind: The type of the key; None where there is no such key.
        swept: Whether commas separate the values of a sweep; else they may belong to a text.

    Raises:
        ConfigError: It has no key.
    """
    key, equals, value = override.partition("=")
    if not key.strip("+~"):
        raise ConfigError(f"Cannot read {override!r}: write key=value.")
    if not equals or _is_meant(override, kind, swept):
        return override
    parts = _parts(value) if swept else [value]
    meant = [part if _is_meant(f"{key}={part}", kind, swept) else _quoted(part, kind) for part in parts]
    changed = f"{key}={','.join(meant)}"
    return override if _parse(changed) is None else changed  # its key cannot be read


def quoted(text: str) -> str:
    """A single value that Hydra reads, in quotes where it needs them."""
    return text if _is_meant(f"key={text}", str, swept=False) else _in_quotes(text)


def expand_home(composed: DictConfig) -> None:
    """Puts the user's home in the place of a leading ~ in the paths of a configuration, in place."""
    for key in PATHS:
        group, _, name = key.rpartition(".")
        values = OmegaConf.select(composed, group)
        if not isinstance(values, DictConfig) or name not in values or OmegaConf.is_interpolation(values, name):
            continue
        value = values[name]
        if isinstance(value, str) and value.startswith("~"):
            values[name] = str(expanded(value))
        elif OmegaConf.is_list(value) and any(isinstance(item, str) and item.startswith("~") for item in value):
            values[name] = [
                str(expanded(item)) if isinstance(item, str) and item.startswith("~") else item for item in value
            ]


def _parse(override: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(override)
    except (HydraException, ValueError):  # the latter of numbers of thousands of digits
        return None


def _is_text(kind: Any) -> bool:
    return kind is str or (get_origin(kind) not in (list, dict) and str in get_args(kind))


def _is_meant(override: str, kind: Any, swept: bool) -> bool:
    """Whether Hydra can read an override, and no text as a list, a mapping or, without a sweep, as several values."""
    parsed = _parse(override)
    if parsed is None or not _is_text(kind):
        return parsed is not None
    value = parsed.value()
    if isinstance(value, ChoiceSweep):
        return swept or not value.simple_form
    return not isinstance(value, list | dict)


def _quoted(value: str, kind: Any) -> str:
    """A value with quotes around what cannot be read: around its items, where it is a list or a mapping in brackets."""
    if get_origin(kind) is list and value.startswith("[") and value.endswith("]"):
        return f"[{','.join(map(_item, _parts(value[1:-1])))}]"
    if get_origin(kind) is dict and value.startswith("{") and value.endswith("}"):
        pairs = (part.partition(":") for part in _parts(value[1:-1]))
        return "{" + ",".join(f"{name.strip()}:{_item(text.strip())}" for name, _, text in pairs) + "}"
    return _in_quotes(value)


def _item(text: str) -> str:
    return text if _parse(f"key={text}") is not None else _in_quotes(text)


def _parts(value: str) -> Iterator[str]:
    """What stands between the commas of a value that are outside of brackets and quotes."""
    depth, quote, start = 0, "", 0
    for place, letter in enumerate(value):
        if quote:
            quote = "" if letter == quote and value[place - 1] != "\\" else quote
        elif letter in "'\"" and not value[start:place].strip():
            quote = letter
        elif letter in "[{(":
            depth += 1
        elif letter in "]})":
            depth -= 1
        elif letter == "," and depth <= 0:
            yield value[start:place].strip()
            start = place + 1
    yield value[start:].strip()


def _in_quotes(text: str) -> str:
    try:
        parse(text)
    except GrammarParseError:
        text = text.replace("${", "\\${")  # no interpolation, but a text that looks like one
    return QuotedString(text, Quote.single).with_quotes()
