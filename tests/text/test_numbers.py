"""Numbers in words in every language of num2words: what can be read in several ways stays, what it lacks is named."""
# ruff: noqa: RUF001  letters and digits of many scripts

import pytest
from num2words import CONVERTER_CLASSES

from asr.common.errors import ConfigError, DataError
from asr.settings.text import Case, TextConfig
from asr.text.normalization import normalize
from asr.text.numbers import Speaker


def spoken(text: str, language: str | None) -> str:
    return normalize(text, TextConfig(True, language, Case.keep, numbers=True))


NUMBERS = [
    "0",
    "7",
    "12",
    "21",
    "100",
    "1999",
    "10_000",
    "11000",
    "123456",
    "1234567",
    "1.5",
    "1.05",
    "1.50",
    ".5",
    "-5",
]
CANNOT = {"am": {"1234567"}, "bn": {"-5"}, "kn": {"-5"}, "te": {"-5"}}
"""What num2words has no words for, by language."""
ARABIC, DEVANAGARI = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"), str.maketrans("0123456789", "०१२३४५६७८९")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("language", sorted(CONVERTER_CLASSES))
def test_every_language_says_each_kind_of_number_or_is_named(language: str) -> None:
    point = Speaker.of(language).point
    said = {}
    for number in NUMBERS:
        written = number.replace(".", point).replace("_", "\u202f")
        if number in CANNOT.get(language, ()):
            with pytest.raises(DataError, match=f"{written} .* in text.language={language} "):
                spoken(written, language)
            continue
        said[number] = spoken(f"( {written} )", language)
        assert said[number] and all(c.isalpha() or not c.isascii() or c in " '" for c in said[number]), number
        assert spoken(said[number], language) == said[number]
        assert all(spoken(written.translate(digits), language) == said[number] for digits in (ARABIC, DEVANAGARI))
    assert len(set(said.values())) == len(said), "two numbers have the same words"


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("fa", "سلام ۱۲ نفر", "سلام دوازده نفر"),
        ("fa", "۱٬۲۳۴٫۵", "هزار و دویست و سی و چهار ممیز پنج"),
        ("id", "12 orang", "dua belas orang"),
        ("vi", "1,5", "một phẩy năm"),
        ("am", "1234", "አንድ ሺህ ሁለት መቶ ሠላሳ አራት"),
        ("az", "11 000", "on bir min"),
        ("fr", "IL Y A 10 000 EUROS", "IL Y A dix mille EUROS"),
        ("fr", "10\u00a0000", "dix mille"),
        ("fr", "1\u202f234\u202f007,89", "un million deux cent trente quatre mille sept virgule huit neuf"),
        ("fr", "en 2019 10 000 personnes", "en deux mille dix neuf dix mille personnes"),
        ("fr_CH", "1'234.5", "mille deux cents trente quatre virgule cinq"),
        ("pt-br", "1.234,5", "mil duzentos e trinta e quatro vírgula cinco"),
        ("bn", "১২,৩৪,৫৬৭", "বারো লাখ চৌত্রিশ হাজার পাঁচশত সাতষট্টি"),
        ("en", "-5 AND \u22125", "minus five AND minus five"),
        ("en", "1,234.50", "one thousand two hundred and thirty four point five zero"),
        ("en", ".5 or -.5", "point five or minus point five"),
        ("en", "COVID-19, 10-15, 2 3 10", "COVID nineteen ten fifteen two three ten"),
        ("de", "0.5 und 1.234", "null Komma fünf und eintausendzweihundertvierunddreißig"),
        ("it", "1,5", "uno virgola cinque"),
        ("tr", "1,05", "bir virgül sıfır beş"),
        ("cs", "-1,05", "mínus jedna celá nula pět"),
        ("ru", "1,50", "одна целая пятьдесят сотых"),
        ("ja", "-3.14", "マイナス三点一四"),
        ("th", "๑๒", "สิบสอง"),
        ("kk", "5", "бес"),
        ("fr", "1er, 2e, 3ème", "premier deuxième troisième"),
        ("es", "1º y 2ª", "primero y segunda"),
        ("sv", "1:a 3:e", "första tredje"),
        ("nl", "8ste", "achtste"),
    ],
)
def test_a_number_is_said_as_it_is_written_in_its_language(language: str, text: str, words: str) -> None:
    assert spoken(text, language) == words


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "am 1.5.2024"),
        ("de", "um 10:05 Uhr"),
        ("de", "um 10:15 Uhr"),
        ("en", "at 10:15"),
        ("en", "1/2 a mile"),
        ("en", "won 3:2"),
        ("en", "in 2024/25"),
        ("de", "rund 3.14"),
        ("de", "am 3. Mai"),
        ("cs", "3. května"),
        ("en", "version 2.4.1"),
        ("en", "agent 007"),
        ("en", "5 100 200"),
        ("en", "1,2,3"),
        ("en", "on 2024-05-01"),
        ("en", "on 1/5/2024"),
        ("fr", "le 06 12 34 56 78"),
        ("fr", "la 1re"),
    ],
)
def test_what_can_be_read_in_several_ways_stays_whole(language: str, text: str) -> None:
    assert spoken(text, language) == text
    assert spoken(f"({text}),", language).strip(".") == text


@pytest.mark.parametrize("language", ["est", "ben", "slk", "ces", "fil", "zh", "xx"])
def test_no_language_is_taken_for_another(language: str) -> None:
    with pytest.raises(ConfigError, match=rf"text\.language={language} has no words for numbers; choose one of am, ar"):
        spoken("5", language)


@pytest.mark.parametrize(("language", "number"), [("fa", 10**18), ("ro", 10**12), ("tr", 10**16), ("hu", "3,14159")])
def test_what_a_language_cannot_say_is_refused_by_name(language: str, number: object) -> None:
    with pytest.raises(DataError, match=rf"{number} .* in text\.language={language} .*write it as it is said"):
        spoken(f"so {number}", language)
