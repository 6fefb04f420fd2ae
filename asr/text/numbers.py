"""Numbers in digits, as they are written in many languages, and their words by num2words.

What can be read in several ways (dates, versions, times, codes with leading zeros, separators that mean something else
in the language) stays in digits, so that the corpus check names it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import Any

from asr.common.errors import ConfigError, DataError

DECIMAL_POINT = ("am", "ar", "bn", "cy", "en", "es_GT", "es_NI", "fa", "he", "ja", "kn", "ko", "te", "th", "zh")
"""Languages that write 1,234.5 where others write 1.234,5 (Unicode CLDR)."""
LAKHS = ("bn", "en_IN", "kn", "te")
"""Languages that also write 12,34,567."""
ORDINAL_DOT = ("cs", "da", "de", "fi", "hu", "is", "lt", "lv", "no", "pl", "sk", "sl", "sr", "tr")
"""Languages in which a dot makes an ordinal."""
ORDINALS = {
    "en": "st|nd|rd|th", "es": r"\.?[ºª]", "fr": "er|e|ème|ième|eme", "it": "[ºª]", "nl": "e|de|ste", "pt": r"\.?[ºª]",
    "sv": ":[ae]",
}  # fmt: skip
"""What follows an ordinal in digits."""
UNSAID_ORDINALS = {"fr": "re|ère|nde?|ers|res"}
"""Forms of it that num2words does not have."""
ALIASES = {"kk": "kz", "nb": "no", "nn": "no"}
"""Languages that num2words has under another code."""

LIMITS = {"am": 10**6, "fa": 10**18, "ro": 10**12, "tr": 10**16, "vi": 10**15}
"""From where on num2words leaves a part out, or does not return."""
THOUSANDS = {"am": ("ሺህ", 1100), "az": ("min", 2000)}
"""Languages in which it joins thousands wrongly: their word, and from where on."""
POINTS = {
    "ar": "فاصلة", "bn": "দশমিক", "ce": "а", "cy": "pwynt", "fa": "ممیز", "id": "koma", "it": "virgola", "ja": "点",
    "vi": "phẩy",
}  # fmt: skip
"""The decimal point, where num2words cannot be asked for it."""
MINUS = {"ar": "سالب", "cy": "meinws", "fa": "منفی", "id": "min", "it": "meno", "vi": "âm"}
"""The sign, likewise."""
READ_WHOLE = ("az", "be", "cs", "kz", "lt", "lv", "pl", "sk", "sr", "uk")
"""Languages that read what follows the decimal point as one number; others read its digits."""
WITH_FRACTIONS = ("hu", "ru")
"""Languages that read it in tenths, hundredths and so on."""
JOINED = ("ja", "th")
"""Languages without spaces between words."""

SPACES = " \u00a0\u2007\u2009\u202f"
"""Plain, no-break and thin ones."""
RUN = re.compile(rf"\d+(?:[-.,:/'\u066b\u066c{SPACES}]\d+)*")
"""Digits, with what may stand within a number or between several."""


@dataclass(frozen=True)
class Piece:
    """A part of a text."""

    text: str
    stays: bool = False
    """Whether it is a number that stays in digits."""


@dataclass(frozen=True)
class Number:
    """A number without a sign, in the digits 0 to 9."""

    raw: str
    """As it is written."""
    whole: str
    """Empty where the decimal point comes first."""
    fraction: str = ""


def pieces(text: str, language: str | None) -> Iterator[Piece]:
    """A text with its numbers in words, except those that can be read in several ways.

    Raises:
        ConfigError: There is no library or language for numbers.
        DataError: The language cannot say a number.
    """
    speaker, end = None, 0
    for match in RUN.finditer(text):
        speaker = speaker or Speaker.of(language)
        begin, negative, point = _before(text, end, match, speaker.point)
        yield Piece(text[end:begin])
        end = match.end()
        ordinal = None if point else speaker.ordinal(match, text)
        if ordinal is not None:
            piece, end = ordinal
            yield piece
            continue
        decimals = Number(match[0], "", _ascii(match[0]))
        for one in [decimals] if point else speaker.read(match[0]):
            if isinstance(one, Number):
                yield Piece(f" {speaker.words(one, negative, text)} ")
            else:
                yield Piece(f"-{one.text}", stays=True) if negative else one
            negative = False
    yield Piece(text[end:])


def _before(text: str, least: int, match: re.Match[str], point: str) -> tuple[int, bool, bool]:
    """Where a run of digits begins with its sign and a decimal point, and whether it has these."""

    def opens(place: int) -> bool:
        return place <= least or text[place - 1].isspace() or text[place - 1] in "([{"

    def has(characters: str, place: int) -> bool:
        return place > least and text[place - 1] in characters

    begin = match.start()
    has_point = has(point, begin) and match[0].isdecimal() and (opens(begin - 1) or has("-\u2212", begin - 1))
    begin -= has_point
    negative = has("-\u2212", begin) and opens(begin - 1)
    return begin - negative, negative, has_point


class Speaker:
    """Reads and says the numbers of a language.

    Args:
        language: As in `text.language`.
        key: Its code in num2words.
        converter: Of num2words.
    """

    def __init__(self, language: str, key: str, converter: Any) -> None:
        self.language, self.key, self.converter = language, key, converter
        self.base = key.split("_")[0]
        self.point = "." if {self.key, self.base} & {*DECIMAL_POINT} else ","
        self.thousands = "," if self.point == "." else "."

    @staticmethod
    @cache
    def of(language: str | None) -> "Speaker":
        """That of a language.

        Raises:
            ConfigError: There is no library or language for numbers.
        """
        if language is None:
            raise ConfigError("text.numbers=true writes numbers as words and needs text.language, such as en.")
        try:
            converters = import_module("num2words").CONVERTER_CLASSES
        except ImportError:
            raise ConfigError("text.numbers needs num2words: pip install 'asr[text]' brings it.") from None
        base, *region = language.replace("-", "_").split("_")
        base = ALIASES.get(base.lower(), base.lower())
        # Not by the first two letters, as num2words does, to which est (Estonian) is es (Spanish).
        for key in (f"{base}_{''.join(region[:1]).upper()}", base):
            if key in converters:
                return Speaker(language, key, converters[key])
        known = ", ".join(sorted(converters))
        raise ConfigError(f"text.language={language} has no words for numbers; choose one of {known}.")

    def read(self, run: str) -> Iterator[Number | Piece]:
        """The numbers of a run of digits, and what stands between them or stays as it is."""
        words = re.split(f"([{SPACES}])", run)
        units: list[list[str]] = []
        while words:
            count = self._grouped(words)
            units.append(words[:count])
            units += [[space] for space in words[count : count + 1]]
            del words[: count + 1]
        if any(re.match(r"0\d", _ascii(unit[0])) for unit in units):
            yield Piece(run, stays=True)  # such as the number of a telephone
            return
        for unit in units:
            raw = "".join(unit)
            if raw in SPACES:
                yield Piece(raw)
            elif len(unit) == 1:
                yield from self._parts(raw)
            elif unit[1] == " " and self.point == ".":
                yield Piece(raw, stays=True)  # one number or several
            else:
                yield self._number("".join(unit[::2]), raw) or Piece(raw, stays=True)

    def _grouped(self, words: list[str]) -> int:
        """How many of these words and the spaces between them are the groups of one number, as in 12 345 678,9."""
        count = 1
        if re.fullmatch(r"[1-9]\d{0,2}", _ascii(words[0])):
            while words[count - 1].isdecimal() and count < len(words) and words[count] == words[1]:
                if not re.fullmatch(r"\d{3}([.,]\d+)?", words[count + 1]):
                    break
                count += 2
        return count

    def _parts(self, run: str) -> Iterator[Number | Piece]:
        """A number, or two with a hyphen between them; times, scores, fractions, dates and codes stay as they are."""
        raws = re.split("([-:/])", run)
        numbers = [self._number(raw, raw) for raw in raws[::2]]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers) or len(known) > 2 or {":", "/"} & {*raws}:
            yield Piece(run, stays=True)
            return
        yield known[0]
        if len(known) > 1:
            yield Piece(raws[1])
            yield known[1]

    def _number(self, digits: str, raw: str) -> Number | None:
        """A number without spaces, None where it is not one for certain in this language."""
        point, thousands = re.escape(self.point), re.escape(self.thousands)
        digits = _ascii(digits).replace("\u066b", self.point).replace("\u066c", self.thousands)
        shapes = [
            rf"(0|[1-9]\d*)(?:{point}(\d+))?",
            rf"([1-9]\d{{0,2}}(?:{thousands}\d{{3}})+)(?:{point}(\d+))?",
            r"([1-9]\d{0,2}(?:'\d{3})+)(?:[.,](\d+))?",
            rf"(0){thousands}(\d+)",
            *([rf"([1-9]\d?(?:,\d\d)*,\d{{3}})(?:{point}(\d+))?"] if {self.key, self.base} & {*LAKHS} else []),
        ]
        for shape in shapes:
            if match := re.fullmatch(shape, digits):
                return Number(raw, re.sub(r"\D", "", match[1]), match[2] or "")
        return None

    def ordinal(self, match: re.Match[str], text: str) -> tuple[Piece, int] | None:
        """The ordinal that begins with a run of digits, and where it ends; None where it is none."""
        raw, end = match[0], match.end()
        if not raw.isdecimal():
            return None
        dot = re.compile(r"\.\s+(?=[^\W\d_])").match(text, end) if self.base in ORDINAL_DOT and len(raw) < 4 else None
        if dot and (text[dot.end()].islower() or self.base == "de"):
            return Piece(f"{raw}.", stays=True), end + 1  # its case is not known
        said, unsaid = (suffixes.get(self.base, "(?!)") for suffixes in (ORDINALS, UNSAID_ORDINALS))
        suffix = re.compile(rf"(?:({unsaid})|{said})(?!\w)", re.IGNORECASE).match(text, end)
        if suffix is None:
            return None
        if suffix[1]:
            return Piece(f"{raw}{suffix[0]}", stays=True), suffix.end()
        words = self._said(raw, text, lambda: self.converter.to_ordinal(int(raw)))
        if suffix[0].endswith("ª"):
            words = re.sub(r"o\b", "a", words)
        return Piece(f" {words} "), suffix.end()

    def words(self, number: Number, negative: bool, text: str) -> str:
        """The words of a number.

        Raises:
            DataError: The language has none.
        """
        sign = "-" if negative else ""
        return self._said(sign + number.raw, text, lambda: self._cardinal(number, negative))

    def _said(self, raw: str, text: str, words: Callable[[], str]) -> str:
        try:
            said = unicodedata.normalize("NFC", " ".join(words().split()))
            if not said or not all(c.isalpha() or unicodedata.category(c)[0] == "M" or c in " -',\u2019" for c in said):
                raise ValueError(f"num2words says {said!r}")
            return said
        except Exception as error:  # the library raises anything
            reason = str(error) if isinstance(error, (ValueError, OverflowError)) else "num2words cannot say it"
            raise DataError(
                f"The number {raw} in {text!r} cannot be written as words in text.language={self.language} ({reason}): "
                "write it as it is said, or leave the utterance out."
            ) from None

    def _cardinal(self, number: Number, negative: bool) -> str:
        parts = [self._minus] if negative else []
        if number.fraction and self.base in WITH_FRACTIONS:
            parts.append(self.converter.to_cardinal(Decimal(f"{number.whole or 0}.{number.fraction}")))
        else:
            parts += [self._integer(int(number.whole))] if number.whole else []
            parts += [self._point, *self._decimals(number.fraction)] if number.fraction else []
        return ("" if self.base in JOINED else " ").join(parts)

    def _decimals(self, fraction: str) -> Iterator[str]:
        kept = fraction.lstrip("0")
        whole = self.base in READ_WHOLE and kept
        for digit in fraction[: -len(kept)] if whole else fraction:
            yield self._integer(int(digit))
        if whole:
            yield self._integer(int(kept))

    def _integer(self, value: int) -> str:
        if value >= LIMITS.get(self.key, value + 1):
            raise OverflowError("it is too large")
        thousand, least = THOUSANDS.get(self.key, ("", value + 1))
        low = value % 10**6
        if low < least:
            words: str = self.converter.to_cardinal(value)
            return words
        parts = [self._integer(value - low)] if value > low else []
        parts += [self._integer(low // 1000), thousand]
        return " ".join([*parts, *([self._integer(low % 1000)] if low % 1000 else [])])

    @property
    def _minus(self) -> str:
        return self._word(MINUS, "negword", "sign")

    @property
    def _point(self) -> str:
        return self._word(POINTS, "pointword", "decimal point")

    def _word(self, own: Mapping[str, str], attribute: str, named: str) -> str:
        word = own.get(self.key) or getattr(self.converter, attribute, "")
        if not isinstance(word, str) or not any(character.isalpha() for character in word):
            raise ValueError(f"it has no word for the {named}")
        return word.strip()


def _ascii(number: str) -> str:
    """Digits of any script as 0 to 9."""
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in number)
