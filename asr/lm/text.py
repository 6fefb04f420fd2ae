"""The text of a language model: transcripts and text files, split into units and numbered."""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from asr.common.errors import DataError
from asr.common.files import lines_of
from asr.data.manifest import read_manifest
from asr.settings.lm import LmUnits
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import BLANK, BLANK_SYMBOL, FILE, Tokenizer

Integers = npt.NDArray[np.int64]

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL = (UNKNOWN, BEGIN, END)
UNKNOWN_ID, BEGIN_ID, END_ID = range(3)
"""The first units of every vocabulary, as KenLM has them."""


@dataclass(frozen=True)
class Text:
    """Sentences as numbers of units, one after the other: <s> a b </s> <s> c </s>."""

    vocabulary: Sequence[str]
    """Unit of each number, <unk>, <s> and </s> first."""
    units: Integers
    """(positions,)."""
    places: Integers
    """Place of each position in its sentence, 0 at <s>, (positions,)."""


Split = Callable[[str], Sequence[str]]
"""A sentence to its units."""


def split_into(units: LmUnits, tokenizer: Tokenizer | None) -> Split:
    """How sentences become units: at white space, or as a tokenizer does, by the symbols of its tokens."""
    if units is LmUnits.words:
        return str.split
    assert tokenizer is not None
    symbols = tokenizer.symbols
    return lambda sentence: [symbols[token] for token in tokenizer.encode(sentence)]


def training_sentences(recipe: Recipe, config: Config) -> Iterator[str]:
    """The sentences that a language model is estimated from: the training transcripts and the files of lm.texts.

    Raises:
        DataError: A file cannot be read.
    """
    if config.lm.transcripts:
        for utterance in read_manifest(recipe.manifest(config, "train")):
            yield utterance.text
    for path in config.lm.texts:
        yield from read_sentences(Path(path))


def held_out_sentences(recipe: Recipe, config: Config) -> Iterable[str]:
    """The sentences whose perplexity is reported.

    Raises:
        DataError: A file cannot be read.
    """
    if config.lm.held_out is not None:
        return read_sentences(Path(config.lm.held_out))
    return [utterance.text for utterance in read_manifest(recipe.manifest(config, "dev"))]


def held_out_checksum(recipe: Recipe, config: Config) -> str:
    """SHA-256 of the sentences whose perplexity is reported.

    Raises:
        DataError: A file cannot be read.
    """
    return hashlib.sha256("\n".join(held_out_sentences(recipe, config)).encode()).hexdigest()


def read_sentences(path: Path) -> Iterator[str]:
    """The lines of a text file that hold a word.

    Raises:
        DataError: It cannot be read, or is not in UTF-8.
    """
    return (line.strip() for _, line in lines_of(path))


def number_units(sentences: Iterable[str], split: Split) -> Text:
    """Numbers the units of sentences, by their first occurrence.

    Raises:
        DataError: A sentence has <unk>, <s> or </s>.
    """
    numbers = {unit: number for number, unit in enumerate(SPECIAL)}
    text = _numbered(sentences, split, lambda unit: numbers.setdefault(unit, len(numbers)))
    return Text(list(numbers), text.units, text.places)


def number_known(sentences: Iterable[str], split: Split, vocabulary: Sequence[str]) -> Text:
    """Numbers the units of sentences by a vocabulary; others are <unk>.

    Raises:
        DataError: A sentence has <unk>, <s> or </s>.
    """
    numbers = {unit: number for number, unit in enumerate(vocabulary)}
    text = _numbered(sentences, split, lambda unit: numbers.get(unit, UNKNOWN_ID))
    return Text(vocabulary, text.units, text.places)


def _numbered(sentences: Iterable[str], split: Split, number: Callable[[str], int]) -> Text:
    units, lengths = array("q"), array("q")
    for sentence in sentences:
        words = split(sentence)
        if not words:
            continue
        for special in SPECIAL:
            if special in words:
                raise DataError(
                    f"A sentence of the language model's text has {special}, which is reserved; remove it: {sentence}"
                )
        units.append(BEGIN_ID)
        units.extend(map(number, words))
        units.append(END_ID)
        lengths.append(len(words) + 2)
    numbers = np.frombuffer(units, dtype=np.int64) if units else np.zeros(0, dtype=np.int64)
    sizes = np.frombuffer(lengths, dtype=np.int64) if lengths else np.zeros(0, dtype=np.int64)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return Text((), numbers, np.arange(len(numbers)) - starts)


KIND = "words"
UNKNOWN_TOKEN = BLANK + 1


class WordTokenizer:
    """A token for each word of a vocabulary, and one for all others; see `asr.text.protocol.Tokenizer`."""

    def __init__(self, words: Sequence[str]) -> None:
        self.symbols = [BLANK_SYMBOL, UNKNOWN, *words]
        self._tokens = {word: token for token, word in enumerate(words, start=UNKNOWN_TOKEN + 1)}

    @classmethod
    def build(cls, sentences: Iterable[str], min_count: int) -> Self:
        """The words that occur `min_count` times or more, the most frequent first.

        Raises:
            DataError: There is none.
        """
        counts = Counter(word for sentence in sentences for word in sentence.split())
        words = sorted((word for word in counts if counts[word] >= min_count), key=lambda word: (-counts[word], word))
        if not words:
            raise DataError(f"No word of the text occurs lm.min_count={min_count} times: lower it, or give more text.")
        return cls(words)

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """The vocabulary that `save` wrote, from the content of its file."""
        return cls([str(word) for word in saved["words"]])

    @property
    def size(self) -> int:
        return len(self.symbols)

    @property
    def separator(self) -> None:
        """None: words need no token between them."""
        return None

    def encode(self, text: str) -> list[int]:
        return [self._tokens.get(word, UNKNOWN_TOKEN) for word in text.split()]

    def decode(self, tokens: Sequence[int]) -> str:
        return " ".join(self.symbols[token] for token in tokens if token != BLANK)

    def save(self, folder: Path) -> None:
        content = {"kind": KIND, "words": self.symbols[UNKNOWN_TOKEN + 1 :]}
        (folder / FILE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
