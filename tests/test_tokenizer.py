"""Tokenizers write a text and read it back, and refuse what they cannot write."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import ConfigError, DataError, RunError
from asr.text.config import TokenizerConfig, TokenizerKind
from asr.text.tokenizer import BLANK, CharTokenizer, build_tokenizer, load_tokenizer

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
    tokenizer = build_tokenizer(TokenizerConfig(kind=TokenizerKind.char, alphabet=" AB"))
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
    ],
)
def test_a_damaged_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"tokenizer\.json is not a tokenizer"):
        load_tokenizer(tmp_path)
