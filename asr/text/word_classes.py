"""Classes of words whose errors weigh differently: numbers, names, function words, and lists of the user's own."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from asr.common.documents import read_json
from asr.common.errors import DataError
from asr.common.files import atomic_write_text

WORD_CLASSES = "word_classes.json"
"""Beside the manifests: lists of words by class, which replace those of this module, as {"names": ["LEE", "IDA"]}."""
NAMES = "names"

NUMBERS = """
zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion first second
third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth
seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth
hundredth thousandth
"""
FUNCTION_WORDS = """
a an the this that these those i you he she it we they me him her us them my your his its our their mine yours hers ours
theirs myself yourself himself herself itself ourselves themselves who whom whose which what and or but nor so yet if
because although though while when where why how than as of in on at by for with about against between into through
during before after above below to from up down out off over under again further then once here there all any both each
few more most other some such no not only own same too very am is are was were be been being have has had having do does
did doing will would shall should can could may might must isn't aren't wasn't weren't don't doesn't didn't won't can't
i'm you're he's she's it's we're they're i've i'll
"""
ENGLISH = {"numbers": frozenset(NUMBERS.split()), "function words": frozenset(FUNCTION_WORDS.split())}


def word_classes(folder: Path | None, language: str | None) -> dict[str, frozenset[str]]:
    """The words of each class, in lower case: the user's lists, and English ones where the language is not another.

    Args:
        folder: Of the manifests.
        language: Of the transcripts, such as `en`; None where it is not known.

    Raises:
        DataError: The user's lists are damaged.
    """
    built_in = ENGLISH if language is None or language.lower().startswith("en") else {}
    return {**built_in, **(_own(folder / WORD_CLASSES) if folder is not None else {})}


def _own(path: Path) -> dict[str, frozenset[str]]:
    try:
        lists = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): correct or delete it.") from None
    if not isinstance(lists, dict) or not all(
        isinstance(words, list) and all(isinstance(word, str) for word in words) for words in lists.values()
    ):
        raise DataError(f'{path} has lists of words by class, as {{"names": ["LEE"]}}: correct or delete it.')
    return {name: frozenset(word.lower() for word in words) for name, words in lists.items()}


def is_number(word: str) -> bool:
    """Whether a word has digits."""
    return any(character.isdecimal() for character in word)


def write_names(folder: Path, texts: Iterable[str]) -> None:
    """Writes the names in transcripts with capitals as a class of words; nothing where there is none, or a list."""
    if not (folder / WORD_CLASSES).exists() and (names := names_in(texts)):
        atomic_write_text(folder / WORD_CLASSES, json.dumps({NAMES: names}, ensure_ascii=False, indent=1) + "\n")


def names_in(texts: Iterable[str]) -> list[str]:
    """The words that have a capital wherever they do not begin a sentence, and are there at least once."""
    capital: set[str] = set()
    small: set[str] = set()
    for text in texts:
        if text == text.upper():
            continue
        begins = True
        for token in text.split():
            word = token.strip("".join(character for character in set(token) if not character.isalnum()))
            if word and word[0].isalpha() and not begins and word not in ("I",) and not word.startswith("I'"):
                (small if word[0].islower() else capital).add(word.lower())
            begins = (begins and not word) or token[-1:] in '.!?:"”»'
    return sorted(capital - small)


def class_of(words: Mapping[str, frozenset[str]], word: str) -> list[str]:
    """The classes of a word of a transcript."""
    found = [name for name, members in words.items() if word.lower() in members]
    return [*found, *(["numbers"] if "numbers" not in found and is_number(word) else [])]
