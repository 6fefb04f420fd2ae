"""A sentence can be read, whatever it quotes."""

import pytest

from asr.common.errors import LONGEST, ConfigError, DataError, RunError


@pytest.mark.parametrize("kind", [ConfigError, DataError, RunError])
@pytest.mark.parametrize("length", [10_000, 10_000_000])
def test_a_sentence_that_quotes_a_long_value_keeps_its_begin_and_its_remedy(kind: type[Exception], length: int) -> None:
    sentence = str(kind(f"train.jsonl, line 3: 'id' must be a string, not {'x' * length}: correct it."))
    assert len(sentence) < LONGEST
    assert sentence.startswith("train.jsonl, line 3: 'id' must be a string") and sentence.endswith("x: correct it.")


def test_a_sentence_of_ordinary_length_is_whole() -> None:
    assert str(DataError("x" * LONGEST)) == "x" * LONGEST


@pytest.mark.parametrize("quoted", ["a\nb", "\na", "a\n\nb\n"])
def test_what_a_sentence_quotes_does_not_break_it_into_lines(quoted: str) -> None:
    assert "\n" not in str(DataError(f"Utterance {quoted}: the file is missing."))
