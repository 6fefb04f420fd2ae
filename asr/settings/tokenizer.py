"""Settings of the group `tokenizer`."""

from dataclasses import dataclass
from enum import Enum


class TokenizerKind(Enum):
    char = "char"
    bpe = "bpe"
    phone = "phone"
    speech = "speech"

    @property
    def labels_frames(self) -> bool:
        """Whether each frame gets a label, by cross-entropy, in place of a text by CTC."""
        return self is TokenizerKind.speech


@dataclass
class TokenizerConfig:
    kind: TokenizerKind
    """The units that the model outputs: characters, subwords (byte-pair encoding) or phones. speech makes another task
    of the training: each frame is labelled as speech or not."""
    alphabet: str | None
    """The characters that transcripts may contain, the space included; null takes those of the training transcripts."""
    pieces: int
    """Size of the vocabulary that bpe learns from the training transcripts, single characters included."""
    lexicon: str | None
    """For phone: a file with a word and its phones on each line, like the CMU dictionary; of several pronunciations the
    first counts. null takes all from eSpeak NG."""
    g2p: str | None
    """For phone: eSpeak NG's language, as en-us, de or tr, for words that are not in the lexicon; null refuses them."""
