"""The subword tokenizer: byte-pair encoding, learned from the training transcripts by SentencePiece.

A subword at the start of a word is a different token from the same letters within a word, so that a spelled B and the b
of "about" need not share one.
"""

import base64
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from asr.common.errors import ConfigError
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.char import alphabet_of, check_alphabet, check_text
from asr.text.protocol import BLANK, BLANK_SYMBOL, FILE


class BpeTokenizer:
    """Subwords (Sennrich et al., "Neural machine translation of rare words with subword units", 2016).

    Words are separated by single spaces, in decoded text too.

    Args:
        alphabet: The characters that transcripts may contain, the space included.
        model: The SentencePiece model, in its own format, which is data.

    Raises:
        ConfigError: The alphabet is empty or has a character twice.
    """

    def __init__(self, alphabet: str, model: bytes) -> None:
        check_alphabet(alphabet)
        self.alphabet, self.model = alphabet, model
        self._processor = SentencePieceProcessor(model_proto=model)

    @classmethod
    def build(cls, config: TokenizerConfig, texts: Sequence[str]) -> Self:
        """Learns the subwords from training transcripts; the same transcripts give the same subwords.

        Raises:
            ConfigError: `tokenizer.pieces` subwords cannot be learned from these transcripts.
        """
        alphabet = alphabet_of(config.alphabet, texts)
        model = io.BytesIO()
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                model_type="bpe",
                vocab_size=config.pieces,
                required_chars=alphabet.replace(" ", ""),
                character_coverage=1.0,
                normalization_rule_name="identity",
                max_sentence_length=1 << 24,
                # SentencePiece's token 0 is the blank here: with the alphabet covered, no text has unknown tokens.
                unk_id=BLANK,
                bos_id=-1,
                eos_id=-1,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            # Its message names its own source files and options.
            most = re.search(r"<= (\d+)", str(error)[str(error).find("too high") :])
            range_ = f"at most {most[1]}" if most else f"at least {len(set(alphabet) - {' '}) + 2}"
            raise ConfigError(
                f"tokenizer.pieces={config.pieces} cannot be learned from {len(texts)} training transcripts, which "
                f"allow {range_}: change the number, or choose tokenizer=char."
            ) from None
        return cls(alphabet, model.getvalue())

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """Restores a tokenizer from the content of the file that `save` wrote."""
        if not isinstance(saved["alphabet"], str) or not saved["model"]:
            raise ValueError("it has no alphabet or no subwords")
        return cls(saved["alphabet"], base64.b64decode(saved["model"], validate=True))

    @property
    def size(self) -> int:
        return int(self._processor.get_piece_size())

    @property
    def symbols(self) -> Sequence[str]:
        return [BLANK_SYMBOL, *(self._processor.id_to_piece(token) for token in range(1, self.size))]

    @property
    def separator(self) -> int | None:
        return None

    def encode(self, text: str) -> list[int]:
        check_text(text, self.alphabet)
        tokens: list[int] = self._processor.encode(text)
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._processor.decode([token for token in tokens if token != BLANK])
        return text

    def save(self, folder: Path) -> None:
        model = base64.b64encode(self.model).decode()
        saved = {"kind": TokenizerKind.bpe.value, "alphabet": self.alphabet, "model": model}
        (folder / FILE).write_text(json.dumps(saved) + "\n", encoding="utf-8")
