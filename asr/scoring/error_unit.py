"""The unit that errors are counted in: words, or characters where a script has no spaces between words."""

import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum

import numpy as np

from asr.common.errors import ConfigError, DataError
from asr.data.manifest import read_manifest
from asr.data.utterance import Utterance
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.settings.scoring import ScoringUnit

UNSPACED = (
    "CJK UNIFIED", "CJK COMPATIBILITY", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "BOPOMOFO", "THAI", "LAO",
    "IDEOGRAPHIC", "MYANMAR", "KHMER", "TIBETAN", "JAVANESE", "BALINESE", "TAI ", "NEW TAI ", "YI ",
)  # fmt: skip
"""What the Unicode names of letters begin with in scripts that are written without spaces between words."""
SPACED_LETTERS = 8
"""Letters for each space, from which on spaces stand between sentences or phrases. Between words, even those of Thai
and Khmer, which are long, there are 5 at most."""
LOOKED_AT = 2000
"""References that decide, at most: more do not change it."""


class ErrorUnit(StrEnum):
    """What errors are counted in. The rates have names: `label` on screens, `rate` in files."""

    word = "word"
    character = "character"
    frame = "frame"
    """Of models that label frames, as is the next."""
    segment = "segment"

    @property
    def of_text(self) -> bool:
        """Whether it is a part of a text."""
        return self in (ErrorUnit.word, ErrorUnit.character)

    @property
    def rate(self) -> str:
        """The error rate, as a key of files and metrics."""
        return {"word": "wer", "character": "cer"}.get(self.value, f"{self.value}_error")

    @property
    def label(self) -> str:
        """The error rate, as on screens."""
        return self.rate.upper() if self.of_text else f"{self.value} error"

    @property
    def other(self) -> "ErrorUnit":
        """The unit that does not head the tables."""
        pairs = {"word": "character", "character": "word", "frame": "segment", "segment": "frame"}
        return ErrorUnit(pairs[self.value])

    def items(self, text: str) -> list[str]:
        """The words or the characters of a text, as jiwer splits it."""
        return text.split() if self is ErrorUnit.word else list(text.strip())


def unit_of_setting(unit: object) -> ErrorUnit:
    """The unit of a run whose `scoring.unit` is written so; words in runs of an earlier version, or before it is
    known."""
    return ErrorUnit(unit) if unit in (ErrorUnit.character.value, ErrorUnit.frame.value) else ErrorUnit.word


def unit_of_texts(texts: Iterable[str]) -> ErrorUnit:
    """Characters where most letters are of scripts without spaces between words and there are none, else words."""
    letters = unspaced = spaces = 0
    for text in texts:
        words = text.split()
        spaces += max(0, len(words) - 1)
        if text.isascii():
            letters += sum(map(len, words))
            continue
        for character in "".join(words):
            if unicodedata.category(character)[0] in "LM":
                letters += 1
                unspaced += unicodedata.name(character, "").startswith(UNSPACED)
    return ErrorUnit.character if 2 * unspaced > letters > SPACED_LETTERS * spaces else ErrorUnit.word


def error_unit(config: Config, dev: Sequence[Utterance]) -> ErrorUnit:
    """The unit of `scoring.unit`; with auto that of the references of dev, by which models are chosen.

    Raises:
        ConfigError: It is not one of the model's.
    """
    labels_frames = config.tokenizer.kind.labels_frames
    if config.scoring.unit in ((ScoringUnit.word, ScoringUnit.character) if labels_frames else (ScoringUnit.frame,)):
        raise ConfigError(
            f"scoring.unit={config.scoring.unit.name} does not fit tokenizer={config.tokenizer.kind.name}, whose "
            f"errors are in {'frames' if labels_frames else 'words or characters'}: set scoring.unit=auto."
        )
    if labels_frames:
        return ErrorUnit.frame
    if config.scoring.unit is not ScoringUnit.auto:
        return ErrorUnit[config.scoring.unit.name]
    count = len(dev)
    numbers = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(np.int64)).tolist()
    return unit_of_texts(dev[number].text for number in numbers)


def recipe_unit(recipe: Recipe, config: Config) -> ErrorUnit:
    """As `error_unit`, where dev is not read yet; words where it cannot be, of which those that score it complain."""
    dev: Sequence[Utterance] = ()
    if config.scoring.unit is ScoringUnit.auto and not config.tokenizer.kind.labels_frames:
        with suppress(DataError):
            dev = read_manifest(recipe.manifest(config, "dev"))
    return error_unit(config, dev)


def with_unit(config: Config, unit: ErrorUnit) -> Config:
    """A configuration whose `scoring.unit` is no longer auto."""
    return replace(config, scoring=replace(config.scoring, unit=ScoringUnit[unit.name]))
