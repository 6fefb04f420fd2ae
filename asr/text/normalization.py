"""Normalization: transcripts as they are spoken, in one spelling, by the rules of their language."""

import re
import unicodedata
from importlib import import_module

from asr.common.errors import ConfigError, DataError
from asr.settings.text import Case, TextConfig

APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u02bc\u2018\u00b4`\uff07\u02b9"), "'")
JOINERS = "\u200c\u200d"
"""Invisible, but part of the spelling in Persian and in Indic scripts."""

SPOKEN = frozenset("%&@#\u00a7\u2030*/\\")
"""Punctuation in Unicode, but spoken: it stays, so that the corpus check reports it."""

FORMS = ("<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>")
"""Unicode's marks of letters that differ from others in width or position only, as half-width kana do."""
LIGATURES = "\u0587" + "".join(map(chr, (*range(0xFB00, 0xFB07), *range(0xFB13, 0xFB18))))
"""Ligatures of Armenian and Latin letters: whether a text has them depends on who typed it."""

TURKIC = ("tr", "az")
"""Languages with a dotted and a dotless i."""

DECIMAL_POINT = ("en", "ja", "ko", "zh", "th", "he", "fa")
"""Languages that write 1,234.5 where others write 1.234,5."""

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
ENGLISH_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)


def normalize(text: str, config: TextConfig) -> str:
    """A transcript in Unicode's composed form (NFC), without punctuation, its numbers as words, in one case.

    Letters that differ in width or position only, and ligatures, become the usual ones.

    Apostrophes stay within words, all as U+0027; dashes and hyphens become spaces. What is neither letter, mark, digit
    nor punctuation, as in "5 $", stays, because its pronunciation is unknown: the corpus check reports it.

    Raises:
        ConfigError: There is no library or language for `text.numbers`.
        DataError: A number cannot be written as words.
    """
    text = unicodedata.normalize("NFC", "".join(map(_one_form, text))).translate(APOSTROPHES)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf" or c in JOINERS)
    if config.numbers:
        text = _numbers_as_words(text, config.language)
    text = "".join(_spoken(text, place) for place in range(len(text)))
    return " ".join(change_case(text, config.case, config.language).split())


def change_case(text: str, case: Case, language: str | None) -> str:
    """Upper or lower case by the rules of a language: in Turkish and Azeri, i is the small letter of İ, and ı of I."""
    turkic = _base(language) in TURKIC
    match case:
        case Case.upper:
            return (text.replace("i", "\u0130") if turkic else text).upper()
        case Case.lower:
            text = text.replace("\u0130", "i").replace("I", "\u0131") if turkic else text
            return unicodedata.normalize("NFC", text.lower())
        case _:
            return text


def _one_form(character: str) -> str:
    """Letters and digits that Unicode has in several widths, positions or as ligatures in their usual form."""
    tag = unicodedata.decomposition(character).split(" ")[0]
    several = tag in FORMS or (tag == "<compat>" and character in LIGATURES)
    if several and unicodedata.category(character)[0] in "LN":
        return unicodedata.normalize("NFKC", character)
    return character


def _spoken(text: str, place: int) -> str:
    character = text[place]
    kind = unicodedata.category(character)
    if character == "'":
        within = 0 < place < len(text) - 1 and text[place - 1].isalpha() and text[place + 1].isalpha()
        return "'" if within else " "
    # Marks of the Hebrew and Arabic scripts are of category M, which stays; their punctuation is of category P.
    return " " if kind[0] == "P" and character not in SPOKEN else character


def _numbers_as_words(text: str, language: str | None) -> str:
    if not any(character.isdecimal() for character in text):
        return text
    if language is None:
        raise ConfigError("text.numbers=true writes numbers as words and needs text.language, such as en.")
    try:
        library = import_module("num2words")
    except ImportError:
        raise ConfigError("text.numbers needs num2words: pip install 'asr[text]' brings it.") from None

    def words(number: str, **options: str) -> str:
        try:
            return f" {library.num2words(number, lang=language, **options)} "
        except NotImplementedError:
            known = ", ".join(sorted(library.CONVERTER_CLASSES))
            raise ConfigError(f"text.language={language} has no words for numbers; choose one of {known}.") from None
        except (ValueError, OverflowError, ArithmeticError, KeyError, IndexError) as error:
            raise DataError(f"The number {number} in {text!r} cannot be written as words ({error}).") from None

    if _base(language) == "en":
        text = ENGLISH_ORDINAL.sub(lambda match: words(_ascii(match[1]), to="ordinal"), text)
    return NUMBER.sub(lambda match: words(_plain(_ascii(match[0]), language)), text)


def _plain(number: str, language: str) -> str:
    """A number without thousands separators, with a decimal point."""
    point = "." if _base(language) in DECIMAL_POINT else ","
    thousands = "," if point == "." else "."
    groups = number.split(thousands)
    if len(groups) > 1 and all(len(group.split(point)[0]) == 3 for group in groups[1:]):
        number = "".join(groups)
    return number.replace(",", ".") if number.count(".") + number.count(",") <= 1 else re.sub(r"[.,]", "", number)


def _ascii(number: str) -> str:
    """Digits of any script as 0 to 9."""
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in number)


def _base(language: str | None) -> str:
    return (language or "").replace("-", "_").split("_")[0].lower()
