"""Tokenizers write a text and read it back, and refuse what they cannot write."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.common.errors import ConfigError, DataError, RunError
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.bpe import BpeTokenizer
from asr.text.char import CharTokenizer
from asr.text.protocol import BLANK
from asr.text.tokenizer import build_tokenizer, load_tokenizer

ALPHABETS = st.text(min_size=1, max_size=40).map(lambda text: "".join(dict.fromkeys(text)))


@settings(deadline=None)
@given(st.data())
def test_decoding_gives_the_encoded_text_back(data: st.DataObject) -> None:
    alphabet = data.draw(ALPHABETS)
    text = data.draw(st.text(alphabet=alphabet))
    tokenizer = CharTokenizer(alphabet)
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert all(BLANK < token < tokenizer.size for token in tokens)


def test_tokens_follow_the_alphabet_behind_the_blank() -> None:
    tokenizer = build_tokenizer(TokenizerConfig(TokenizerKind.char, " AB", pieces=0, lexicon=None, g2p=None), [])
    assert tokenizer.size == 4
    assert tokenizer.encode("BA B") == [3, 2, 1, 3]
    assert tokenizer.encode("") == []


def test_the_blank_writes_nothing() -> None:
    assert CharTokenizer("AB").decode([BLANK, 1, BLANK, 2]) == "AB"


def test_an_unknown_character_is_named_with_its_code_point_and_the_key() -> None:
    with pytest.raises(DataError, match=r"'É' \(U\+00C9, .*tokenizer\.alphabet"):
        CharTokenizer(" ABC").encode("CAFÉ"[:2] + "É")


def test_a_combining_mark_is_a_character_of_its_own() -> None:
    composed, decomposed = "\u00c9", "E\u0301"
    assert len(CharTokenizer(decomposed).encode(decomposed)) == 2
    with pytest.raises(DataError, match=r"U\+0301, COMBINING ACUTE ACCENT"):
        CharTokenizer("E" + composed).encode(decomposed)


def test_an_alphabet_without_or_with_doubled_characters_is_refused() -> None:
    with pytest.raises(ConfigError, match="empty"):
        CharTokenizer("")
    with pytest.raises(ConfigError, match=r"'A' \(U\+0041.* twice"):
        CharTokenizer("ABCA")


@pytest.mark.parametrize("alphabet", [" 'ABC", "äöüß", "かな\u3099", '"\\\n\t', "\U0001f600"])
def test_a_saved_tokenizer_is_loaded_alike(tmp_path: Path, alphabet: str) -> None:
    tokenizer = CharTokenizer(alphabet)
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.size == tokenizer.size
    assert loaded.encode(alphabet) == tokenizer.encode(alphabet)


def test_a_missing_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "5",
        '{"kind": "char"}',
        '{"kind": "pickle", "alphabet": "AB"}',
        '{"kind": "char", "alphabet": 5}',
        '{"kind": "char", "alphabet": ["A", "B"]}',
        '{"kind": "char", "alphabet": "AA"}',
        '{"kind": ["char"], "alphabet": "AB"}',
        '{"kind": "bpe", "alphabet": "AB"}',
        '{"kind": "bpe", "alphabet": "AB", "model": "!"}',
        '{"kind": "bpe", "alphabet": "AB", "model": "AAAA"}',
    ],
)
def test_a_damaged_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"tokenizer\.json is not a tokenizer"):
        load_tokenizer(tmp_path)


TEXTS = ["RUBOUT G M E F THREE NINE", "ERASE C Q Q F SEVEN", "ONE TWO THREE", "B A O Z FIVE THREE"] * 5
ALPHABET = " 'ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def bpe(pieces: int, texts: list[str] = TEXTS, alphabet: str = ALPHABET) -> BpeTokenizer:
    return BpeTokenizer.build(TokenizerConfig(TokenizerKind.bpe, alphabet, pieces, lexicon=None, g2p=None), texts)


WORDS = st.lists(st.text(alphabet=ALPHABET[1:], min_size=1), min_size=1).map(" ".join)


@settings(deadline=None)
@given(WORDS)
def test_word_pieces_write_any_text_of_the_alphabet_and_read_it_back(text: str) -> None:
    tokenizer = bpe(60)
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert all(BLANK < token < tokenizer.size for token in tokens)


@settings(deadline=None)
@given(st.text(alphabet="אבגדשׁלוםक्षि", min_size=1))
def test_word_pieces_keep_combining_marks_and_right_to_left_letters(word: str) -> None:
    alphabet = "".join(dict.fromkeys(" " + "אבגדשׁלוםक्षि"))
    tokenizer = bpe(24, ["שׁלום אבגד", "क्षि क्ष"] * 5, alphabet)
    assert tokenizer.decode(tokenizer.encode(word)) == word


def test_a_frequent_word_becomes_one_piece_and_a_spelled_letter_another_than_one_within_a_word() -> None:
    tokenizer = bpe(60)
    assert len(tokenizer.encode("THREE")) == 1
    assert tokenizer.size == 60
    (spelled,) = tokenizer.encode("Q")
    assert spelled not in tokenizer.encode("AQ")


def test_word_pieces_follow_from_the_transcripts_alone() -> None:
    assert bpe(50).model == bpe(50).model


def test_a_word_piece_model_is_saved_and_loaded_alike(tmp_path: Path) -> None:
    tokenizer = bpe(50)
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.size == tokenizer.size
    assert loaded.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])


@pytest.mark.parametrize(("pieces", "allowed"), [(0, "at least 29"), (28, "at least 29"), (100_000, "at most 101")])
def test_a_number_of_pieces_that_cannot_be_learned_is_refused_with_what_can(pieces: int, allowed: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        bpe(pieces)
    assert str(refusal.value) == (
        f"tokenizer.pieces={pieces} cannot be learned from 20 training transcripts, which allow {allowed}: change the "
        "number, or choose tokenizer=char."
    )
    assert bpe(int(allowed.split()[-1])).size == int(allowed.split()[-1])


def test_word_pieces_refuse_a_character_outside_the_alphabet() -> None:
    with pytest.raises(DataError, match=r"U\+00C9.*tokenizer\.alphabet"):
        bpe(50).encode("CAFÉ")
