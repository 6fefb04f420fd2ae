"""What determines a tokenizer beside the text that it is learned from."""

from typing import Any

from asr.text.config import TokenizerConfig, TokenizerKind
from asr.text.lexicon import lexicon_checksum

OF_PHONES = ("lexicon", "g2p")
"""Settings that other tokenizers do not read; they came later than runs and models that keep their names."""


def tokenizer_identity(config: TokenizerConfig) -> dict[str, Any]:
    """The settings that the kind of tokenizer reads, with the checksum of the lexicon in place of its path.

    Raises:
        ConfigError: There is no such lexicon.
    """
    identity: dict[str, Any] = {"kind": config.kind.name, "alphabet": config.alphabet, "pieces": config.pieces}
    if config.kind is TokenizerKind.phone:
        lexicon = None if config.lexicon is None else lexicon_checksum(config.lexicon)
        identity |= {"lexicon": lexicon, "g2p": config.g2p}
    return identity
