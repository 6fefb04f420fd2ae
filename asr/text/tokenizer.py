"""The tokenizers: building, loading, and what identifies one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr.common.documents import read_json
from asr.common.errors import ConfigError, RunError
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.bpe import BpeTokenizer
from asr.text.char import CharTokenizer
from asr.text.phone import PhoneTokenizer
from asr.text.pronunciation import lexicon_checksum
from asr.text.protocol import FILE, Tokenizer
from asr.text.speech import SpeechTokenizer

TOKENIZERS: dict[TokenizerKind, type[CharTokenizer | BpeTokenizer | PhoneTokenizer | SpeechTokenizer]] = {
    TokenizerKind.char: CharTokenizer,
    TokenizerKind.bpe: BpeTokenizer,
    TokenizerKind.phone: PhoneTokenizer,
    TokenizerKind.speech: SpeechTokenizer,
}


def build_tokenizer(config: TokenizerConfig, texts: Sequence[str]) -> Tokenizer:
    """Builds the tokenizer of a configuration; subwords are learned from the texts, the training transcripts.

    Raises:
        ConfigError: The alphabet is empty or has a character twice, the subwords cannot be learned, or there is no such
            lexicon.
        DataError: The lexicon is damaged.
    """
    return TOKENIZERS[config.kind].build(config, texts)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Reads the tokenizer that `save` wrote into a folder.

    Raises:
        RunError: There is none, or the file is damaged.
    """
    path = folder / FILE
    try:
        saved = read_json(path)
        return TOKENIZERS[TokenizerKind(saved["kind"])].load(saved)
    except OSError as error:
        raise RunError(
            f"No tokenizer can be read at {path} ({error.strerror}): give a complete model folder."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ConfigError) as error:
        raise RunError(f"{path} is not a tokenizer ({error}): copy the model folder again.") from None


OF_PHONES = ("lexicon", "g2p")
"""Settings that other tokenizers do not read; added later, so that identities of earlier runs lack them."""


def tokenizer_identity(config: TokenizerConfig) -> dict[str, Any]:
    """The settings that the kind of tokenizer uses, with the checksum of the lexicon in place of its path.

    Raises:
        ConfigError: There is no such lexicon.
    """
    identity: dict[str, Any] = {"kind": config.kind.name, "alphabet": config.alphabet, "pieces": config.pieces}
    if config.kind is TokenizerKind.phone:
        lexicon = None if config.lexicon is None else lexicon_checksum(config.lexicon)
        identity |= {"lexicon": lexicon, "g2p": config.g2p}
    return identity
