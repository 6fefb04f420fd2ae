"""The tokenizer of word pieces: byte-pair encoding, learned from the training transcripts by SentencePiece.

A piece that begins a word is another token than the same letters within a word, so that a spelled B and the b of
"about" need not share one.
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
    """Word pieces (Sennrich et al., "Neural machine translation of rare words with subword units", 2016).

    Words are separated by single spaces; what is decoded is so too.

    Args:
        alphabet: The characters that may stand in transcripts, the space included.
        model: What SentencePiece learned, in its own format, which is data.

    Raises:
        ConfigError: The alphabet is empty or holds a character twice.
    """

    def __init__(self, alphabet: str, model: bytes) -> None:
        check_alphabet(alphabet)
        self.alphabet, self.model = alphabet, model
        self._processor = SentencePieceProcessor(model_proto=model)

    @classmethod
    def build(cls, config: TokenizerConfig, texts: Sequence[str]) -> Self:
        """Learns the pieces from training transcripts; the same transcripts give the same pieces.

        Raises:
            ConfigError: So many pieces cannot be learned from these transcripts.
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
                # SentencePiece's token 0 is the blank here: no text that passes the alphabet is unknown to it.
                unk_id=BLANK,
                bos_id=-1,
                eos_id=-1,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            # Its own sentence names its source files and options of its own.
            most = re.search(r"<= (\d+)", str(error)[str(error).find("too high") :])
            range_ = f"at most {most[1]}" if most else f"at least {len(set(alphabet) - {' '}) + 2}"
            raise ConfigError(
                f"tokenizer.pieces={config.pieces} cannot be learned from {len(texts)} training transcripts, which "
                f"allow {range_}: change the number, or take tokenizer=char."
            ) from None
        return cls(alphabet, model.getvalue())

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """The tokenizer that `save` wrote, from the content of its file."""
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
        saved = {
            "kind": TokenizerKind.bpe.value,
            "alphabet": self.alphabet,
            "model": base64.b64encode(self.model).decode(),
        }
        (folder / FILE).write_text(json.dumps(saved) + "\n", encoding="utf-8")
