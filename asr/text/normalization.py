"""Normalization: transcripts as they are spoken, in one spelling, by the rules of their language."""

import re
import unicodedata

from asr.settings.text import Case, TextConfig
from asr.text.numbers import Piece, pieces

APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u02bc\u2018\u00b4`\uff07\u02b9"), "'")
JOINERS = "\u200c\u200d"
"""Invisible, but part of the spelling in Persian and in Indic scripts."""

SPOKEN = frozenset("%&@#\u00a7\u2030*/\\")
"""Punctuation in Unicode, but spoken: it stays, so that the corpus check reports it."""

FORMS = ("<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>")
"""Unicode's marks of letters that differ from others in width or position only, as half-width kana do."""
LIGATURES = "\u0587" + "".join(map(chr, (*range(0xFB00, 0xFB07), *range(0xFB13, 0xFB18))))
"""Ligatures of Armenian and Latin letters: whether a text has them depends on who typed it."""

DOTLESS = {"i": "\u0130"}, {"\u0130": "i", "I": "\u0131"}
"""Of languages with a dotted and a dotless i: letters with their capitals, and capitals with their letters."""
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "tr": DOTLESS,
    "az": DOTLESS,
    "de": ({"\u00df": "\u1e9e"}, {}),
    "el": ({"\u0390": "\u03aa", "\u03b0": "\u03ab"}, {}),
}
"""By language, where Unicode's change of case, which knows no language, leaves two letters for one or the wrong one: İ
becomes i with a dot, ß becomes SS, and ΐ becomes Ϊ with an accent apart."""
SPELLINGS = {
    "tr": (("i\u0307", "i"),),
    "az": (("i\u0307", "i"),),
    "nl": (("\u0133", "ij"), ("\u0132", "IJ")),
    "el": ((r"(?<=\w)\u03c3\b", "\u03c2"), (r"\u03c2(?=\w)", "\u03c3")),
}
"""By language, patterns of what is spelled in two ways, and the usual one: the dot that a change of case has left, the
Dutch ligature, and the Greek sigma, which has another form at the end of a word."""
MARKERS = {"\u0130": "tr", "\u0131": "tr", "\u00df": "de", "\u0390": "el", "\u03b0": "el"}
"""Letters whose case depends on the language, each with one that has it."""


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
    for pattern, spelling in SPELLINGS.get(_base(config.language), ()):
        text = re.sub(pattern, spelling, text)
    parts = pieces(text, config.language) if config.numbers else [Piece(text)]
    text = "".join(part.text if part.stays else _without_punctuation(part.text) for part in parts)
    return " ".join(change_case(text, config.case, config.language).split())


def change_case(text: str, case: Case, language: str | None) -> str:
    """Upper or lower case by the rules of a language: in Turkish and Azeri, i is the small letter of İ, and ı of I."""
    if case is Case.keep:
        return text
    for letter, other in CASES.get(_base(language), ({}, {}))[case is Case.lower].items():
        text = text.replace(letter, other)
    # Unicode's small letter of İ is i with a second dot, which no language writes.
    changed = text.upper() if case is Case.upper else text.replace("\u0130", "i").lower()
    return unicodedata.normalize("NFC", changed)


def doubtful_letters(text: str, config: TextConfig) -> list[str]:
    """The `MARKERS` of a text in whose language case would be changed otherwise, where no language is known."""
    if config.language is not None or config.case is Case.keep or text.isascii():
        return []
    text += "iI"  # are elsewhere in the corpus
    changed = change_case(text, config.case, None)
    return [
        letter
        for letter, language in MARKERS.items()
        if letter in text and change_case(text, config.case, language) != changed
    ]


def _without_punctuation(text: str) -> str:
    return "".join(_spoken(text, place) for place in range(len(text)))


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


def _base(language: str | None) -> str:
    return (language or "").replace("-", "_").split("_")[0].lower()
