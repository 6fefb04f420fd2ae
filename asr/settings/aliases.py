"""Further names of keys whose own names say too little; what is written down has the keys' own."""

import logging
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf, open_dict

log = logging.getLogger(__name__)

ALIASES = {
    "check.anomaly_threshold": "check.anomaly",
    "tokenizer.vocab_size": "tokenizer.pieces",
    "training.max_unreadable_utterances": "training.max_lost_utterances",
    "training.train_on_dev": "training.with_dev",
}
"""The key that each alias stands for."""

NOTE = "%s is another name of %s."


def canonical(override: str) -> str:
    """An override with the key's own name, as in training.with_dev=true for training.train_on_dev=true."""
    prefix = override[: len(override) - len(override.lstrip("+~"))]
    name, equals, value = override.removeprefix(prefix).partition("=")
    if name not in ALIASES:
        return override
    log.info(NOTE, name, ALIASES[name])
    return f"{prefix}{ALIASES[name]}{equals}{value}"


def replace_aliases(composed: DictConfig, overrides: Sequence[str]) -> None:
    """Gives what recipe.yaml sets by an alias to the key that the alias stands for, in place, unless an override, as
    `canonical` gives it, sets the key."""
    overridden = {override.lstrip("+").partition("=")[0] for override in overrides}
    for alias, key in ALIASES.items():
        group, _, name = alias.rpartition(".")
        values = OmegaConf.select(composed, group)
        if not isinstance(values, DictConfig) or name not in values:
            continue
        with open_dict(values):
            value = values.pop(name)
        if key not in overridden:
            OmegaConf.update(composed, key, value)
            log.info(NOTE, alias, key)
