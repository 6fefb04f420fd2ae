"""The phone tokenizer: a lexicon, and eSpeak NG's rules for words that are not in it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from asr.common.errors import ConfigError, DataError
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.pronunciation import ARPABET, Phones, as_arpabet, in_case_of, pronounce, read_lexicon
from asr.text.protocol import BLANK, BLANK_SYMBOL, FILE, SPACE_SYMBOL

SEPARATOR = BLANK + 1
JOINER = "\u00b7"


class PhoneTokenizer:
    """A token for each phone, and one between words.

    Tokens become words by the same lexicon: phones between two separators are the word with this pronunciation; of
    homophones, the most frequent one in the training transcripts, then the first of the lexicon. Phones that match no
    word are written as /HH·AH·L/, which `encode` also reads: for the WER this is a wrong word, for the phone error rate
    each phone counts. Beam search over words outputs words only.

    Args:
        phones: All of them, in the order of their tokens.
        words: The phones of each word; of homophones the first is written.
        g2p: eSpeak NG's language for words that are not among these; None refuses them.

    Raises:
        ConfigError: A phone has a name that this class uses itself.
    """

    def __init__(self, phones: Sequence[str], words: Mapping[str, Phones], g2p: str | None) -> None:
        odd = [phone for phone in phones if phone in (BLANK_SYMBOL, SPACE_SYMBOL) or {JOINER, "/"} & set(phone)]
        if odd:
            raise ConfigError(f"tokenizer.lexicon has the phone {odd[0]!r}, which is reserved: rename it.")
        self.phones, self.words, self.g2p = tuple(phones), dict(words), g2p
        self._tokens = {phone: token for token, phone in enumerate(phones, start=SEPARATOR + 1)}
        self._guessed: dict[str, Phones] = {}
        self._spelled: dict[Phones, str] = {}
        for word, sounds in self.words.items():
            self._spelled.setdefault(sounds, word)

    @classmethod
    def build(cls, config: TokenizerConfig, texts: Sequence[str]) -> Self:
        """The words of the lexicon, and those of the training transcripts with eSpeak NG's pronunciation.

        `encode` refuses words without pronunciation.

        Raises:
            ConfigError: There is neither a lexicon nor a language, or one of them is not available.
            DataError: The lexicon is damaged.
        """
        if config.lexicon is None and config.g2p is None:
            raise ConfigError("tokenizer=phone needs tokenizer.lexicon, tokenizer.g2p or both: neither is set.")
        read = {} if config.lexicon is None else read_lexicon(Path(config.lexicon).expanduser())
        write = in_case_of(texts)
        known: dict[str, Phones] = {}
        for word, sounds in read.items():
            known.setdefault(write(word), sounds)
        inventory = sorted({phone for sounds in known.values() for phone in sounds})
        counts = Counter(word for text in texts for word in text.split())
        found: dict[str, Phones] = {}
        for word, _ in counts.most_common():
            try:
                found[word] = known.get(word) or _pronounced(word, config.g2p, inventory)
            except DataError:
                continue
        phones = inventory or sorted({phone for sounds in found.values() for phone in sounds})
        return cls(phones, found | {word: sounds for word, sounds in known.items() if word not in found}, config.g2p)

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """Restores a tokenizer from the content of the file that `save` wrote."""
        words = {word: tuple(sounds.split(" ")) for word, sounds in saved["words"].items()}
        phones, g2p = saved["phones"], saved["g2p"]
        if (
            not isinstance(phones, list)
            or not isinstance(g2p, str | None)
            or not {phone for sounds in words.values() for phone in sounds} <= set(phones)
        ):
            raise ValueError("its words have phones that it does not list")
        return cls(phones, words, g2p)

    @property
    def size(self) -> int:
        return SEPARATOR + 1 + len(self.phones)

    @property
    def symbols(self) -> Sequence[str]:
        return [BLANK_SYMBOL, SPACE_SYMBOL, *self.phones]

    @property
    def separator(self) -> int | None:
        return SEPARATOR

    def encode(self, text: str) -> list[int]:
        tokens: list[int] = []
        for word in text.split():
            tokens += [SEPARATOR] if tokens else []
            tokens += [self._tokens[phone] for phone in self._sounds(word)]
        return tokens

    def pronunciation(self, text: str) -> str:
        """The phones of a text, separated by spaces, without word separators.

        Raises:
            DataError: A word has no pronunciation.
        """
        return " ".join(phone for word in text.split() for phone in self._sounds(word))

    def decode(self, tokens: Sequence[int]) -> str:
        words: list[list[str]] = [[]]
        for token in tokens:
            if token == SEPARATOR:
                words.append([])
            elif token != BLANK:
                words[-1].append(self.phones[token - SEPARATOR - 1])
        return " ".join(self._word(tuple(sounds)) for sounds in words if sounds)

    def save(self, folder: Path) -> None:
        words = {word: " ".join(sounds) for word, sounds in self.words.items()}
        saved = {"kind": TokenizerKind.phone.value, "g2p": self.g2p, "phones": self.phones, "words": words}
        (folder / FILE).write_text(json.dumps(saved, ensure_ascii=False) + "\n", encoding="utf-8")

    def _word(self, sounds: Phones) -> str:
        return self._spelled.get(sounds, f"/{JOINER.join(sounds)}/")

    def _sounds(self, word: str) -> Phones:
        if word in self.words:
            return self.words[word]
        if word not in self._guessed:
            written = tuple(word[1:-1].split(JOINER)) if word[0] == word[-1] == "/" else ()
            known = written and self._tokens.keys() >= set(written)
            self._guessed[word] = written if known else _pronounced(word, self.g2p, self.phones)
        return self._guessed[word]


def _pronounced(word: str, language: str | None, inventory: Sequence[str]) -> Phones:
    """The phones of a word that is not in the lexicon; an empty inventory allows all."""
    if language is None:
        raise DataError(f"The word {word!r} is not in the lexicon: add it to tokenizer.lexicon, or set tokenizer.g2p.")
    sounds = pronounce(word, language)
    if inventory and ARPABET.issuperset(inventory):
        sounds = as_arpabet(sounds, word)
    odd = next((sound for sound in sounds if inventory and sound not in inventory), None)
    if odd is not None:
        raise DataError(
            f"The word {word!r} is not in the lexicon and has the phone {odd!r} in eSpeak NG, which no known word has: "
            "add the word to tokenizer.lexicon."
        )
    return sounds
