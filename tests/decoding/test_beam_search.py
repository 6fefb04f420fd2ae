"""Beam search: what a plain one finds, what a lexicon and language models change, in one process and in several."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.common.errors import ConfigError, RunError
from asr.decoding.beam import BeamDecoder, merge_repeats
from asr.decoding.decoder import single_spaces
from asr.decoding.search import lexicon_of
from asr.settings.lm import LmUnits
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.bpe import BpeTokenizer
from asr.text.char import CharTokenizer
from tests.helpers.emissions import CHARACTERS, decode, emission_of, language_model, padded, search_of
from tests.helpers.prefix_beam_search import prefix_beam_search

TEXTS = ["GO ON", "GO BACK", "GO ON ON", "O B", "B O B"] * 4


def word_pieces() -> BpeTokenizer:
    config = TokenizerConfig(TokenizerKind.bpe, " ABCGKNO", pieces=16, lexicon=None, g2p=None)
    return BpeTokenizer.build(config, TEXTS)


def test_it_agrees_with_a_plain_prefix_beam_search() -> None:
    generator = torch.Generator().manual_seed(1)
    emissions = [(2 * torch.randn(frames, 5, generator=generator)).log_softmax(-1) for frames in [4, 6, 8, 10] * 15]
    # flashlight begins as if a space had been written already.
    space = emission_of(CHARACTERS, {"▁": 1.0})
    sums = [prefix_beam_search(torch.cat([space, emission]).tolist(), 400) for emission in emissions]
    expected = [single_spaces(CHARACTERS.decode(max(each, key=each.__getitem__))) for each in sums]
    search = replace(search_of(CHARACTERS), beam=400)
    found = decode(search, CHARACTERS, emissions)
    assert found == expected
    greedy_texts = [
        single_spaces(CHARACTERS.decode(torch.unique_consecutive(emission.argmax(-1)).tolist()))
        for emission in emissions
    ]
    assert found != greedy_texts, "the inputs are too easy"


def test_ways_of_writing_are_added_up_where_that_is_wanted() -> None:
    """A has the best path, A alone and B; B is more probable than A when its two ways count together."""
    emission = emission_of(CHARACTERS, {"A": 0.40, "B": 0.31, "": 0.29}, {"A": 0.20, "B": 0.39, "": 0.41})
    sums = prefix_beam_search(emission.tolist(), 50)
    assert max(sums, key=sums.__getitem__) == (CHARACTERS.encode("B")[0],)
    assert decode(search_of(CHARACTERS), CHARACTERS, [emission]) == ["B"]
    assert decode(replace(search_of(CHARACTERS), log_add=False), CHARACTERS, [emission]) == ["A"]


def test_only_words_of_the_lexicon_are_written_and_the_last_is_not_lost() -> None:
    lexicon = lexicon_of(["CAB", "AB"], CHARACTERS)
    emission = emission_of(
        CHARACTERS, {"C": 0.9}, {"C": 0.5, "": 0.5}, {"A": 0.9}, {"A": 0.6, "B": 0.3}, {"C": 0.6, "B": 0.4}
    )
    assert decode(search_of(CHARACTERS), CHARACTERS, [emission]) == ["CAC"]
    assert decode(search_of(CHARACTERS, lexicon), CHARACTERS, [emission]) == ["CAB"]
    twice = torch.cat([emission, emission_of(CHARACTERS, {"▁": 0.9}), emission[2:]])
    assert decode(search_of(CHARACTERS, lexicon), CHARACTERS, [twice]) == ["CAB AB"]


def test_a_language_model_of_words_chooses_between_what_sounds_alike(tmp_path: Path) -> None:
    lexicon = lexicon_of(["A", "B", "C"], CHARACTERS)
    unsure = emission_of(CHARACTERS, {"A": 1}, {"▁": 1}, {"B": 0.55, "C": 0.45})
    lm = language_model(tmp_path, ["A C", "A C", "B B"], LmUnits.words, CHARACTERS)
    assert decode(search_of(CHARACTERS, lexicon), CHARACTERS, [unsure]) == ["A B"]
    assert decode(search_of(CHARACTERS, lexicon, lm), CHARACTERS, [unsure]) == ["A C"]


def test_a_language_model_of_tokens_is_asked_for_the_tokens_that_are_meant(tmp_path: Path) -> None:
    """Of every two letters, each time one follows: torchaudio alone would ask KenLM for other symbols."""
    tokenizer = CharTokenizer(" ABCDEFGH")
    search = search_of(tokenizer)
    for first in "ABCDEFGH":
        for second in set("ABCDEFGH") - {first}:
            other = "A" if "A" not in (first, second) else "H" if "H" not in (first, second) else "B"
            lm = language_model(tmp_path, [first + second] * 3 + [other], LmUnits.tokens, tokenizer)
            unsure = emission_of(tokenizer, {first: 1}, {second: 0.4, other: 0.6})
            assert decode(search, tokenizer, [unsure]) == [first + other]
            assert decode(replace(search, lm=str(lm), lm_weight=1.0), tokenizer, [unsure]) == [first + second]


def test_the_score_is_that_of_sound_and_words_in_natural_logarithms(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")

    lexicon = lexicon_of(["A", "B", "C"], CHARACTERS)
    lm = language_model(tmp_path, ["A C", "A C", "B B"], LmUnits.words, CHARACTERS)
    sound = emission_of(CHARACTERS, {"A": 0.8}, {"▁": 0.7}, {"C": 0.9})
    search = replace(search_of(CHARACTERS, lexicon, lm), lm_weight=0.7, word_score=0.3, log_add=False)
    with BeamDecoder(search, CHARACTERS, processes=1) as decoder:
        ((best,),) = decoder.nbest(*padded([sound]))
    words = kenlm.Model(str(lm)).score("A C") * math.log(10)
    assert best.score == pytest.approx(math.log(0.8 * 0.7 * 0.9) + 0.7 * words + 2 * 0.3, abs=1e-4)


def test_word_pieces_may_last_and_words_may_come_twice() -> None:
    tokenizer = word_pieces()
    assert "▁O" in tokenizer.symbols and "▁B" in tokenizer.symbols
    lexicon = lexicon_of(["O", "B", "GO"], tokenizer)
    assert lexicon.separator is None
    search = search_of(tokenizer, lexicon)
    long = [{"▁O": 1.0}] * 3
    blank = [{"": 1.0}]
    for frames, text in ((long, "O"), (long + blank + long, "O O"), ([*long, {"▁B": 1.0}, *long], "O B O")):
        assert decode(search, tokenizer, [emission_of(tokenizer, *frames)]) == [text]
    free = search_of(tokenizer)
    assert decode(free, tokenizer, [emission_of(tokenizer, *long, *blank, *long)]) == ["O O"]


def test_frames_of_the_same_piece_are_taken_as_one() -> None:
    probabilities = np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], dtype=np.float32)
    merged = np.exp(merge_repeats(np.log(probabilities)))
    assert merged == pytest.approx(np.array([[0.02, 0.72], [0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]))
    assert merge_repeats(np.zeros((0, 2), dtype=np.float32)).shape == (0, 2)


@pytest.mark.parametrize("nbest", [1, 4])
def test_processes_find_what_one_process_finds(nbest: int) -> None:
    generator = torch.Generator().manual_seed(2)
    emissions = [torch.randn(frames, 5, generator=generator).log_softmax(-1) for frames in (7, 0, 1, 12, 3, 9)]
    search = replace(search_of(CHARACTERS, lexicon_of(["A", "AB", "CAB"], CHARACTERS)), nbest=nbest)
    found = []
    for processes in (1, 2):
        with BeamDecoder(search, CHARACTERS, processes) as decoder:
            found.append(decoder.nbest(*padded(emissions)))
    assert found[0] == found[1]
    for hypotheses in found[0]:
        texts, scores = [item.text for item in hypotheses], [item.score for item in hypotheses]
        assert 1 <= len(texts) <= nbest and len(set(texts)) == len(texts)
        assert scores == sorted(scores, reverse=True)
    assert found[0][1][0].text == ""
    if nbest > 1:
        assert len(found[0][3]) == nbest


def test_words_that_cannot_be_written_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    lexicon = lexicon_of(["CAB", "CAFÉ", "BÉ"], CHARACTERS)
    assert [word for word, _ in lexicon.spellings] == ["CAB"]
    assert "cannot write 2 words, as CAFÉ" in caplog.text
    with pytest.raises(ConfigError, match="no word of the language model"):
        lexicon_of(["É"], CHARACTERS)


def test_a_file_that_is_no_language_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("nothing")
    for processes in (1, 2):
        with pytest.raises(RunError, match=r"lm\.arpa is no language model that KenLM can load \(first non-empty"):
            decode(search_of(CHARACTERS, None, tmp_path / "lm.arpa"), CHARACTERS, [torch.zeros(1, 5)] * 5, processes)


def test_a_language_model_of_weight_0_changes_nothing(tmp_path: Path) -> None:
    """https://github.com/parlance/ctcdecode/issues/173"""
    lexicon = lexicon_of(["CAB", "AB", "B", "BA"], CHARACTERS)
    lm = language_model(tmp_path, ["CAB AB", "B BA"], LmUnits.words, CHARACTERS)
    generator = torch.Generator().manual_seed(2)
    tokens = CHARACTERS.size
    emissions = [(3 * torch.randn(12, tokens, generator=generator)).log_softmax(-1) for _ in range(20)]
    plain = search_of(CHARACTERS, lexicon)
    weighed = replace(search_of(CHARACTERS, lexicon, lm), lm_weight=0.0, word_score=plain.word_score)
    assert decode(weighed, CHARACTERS, emissions) == decode(plain, CHARACTERS, emissions)
    assert decode(replace(weighed, lm_weight=3.0), CHARACTERS, emissions) != decode(plain, CHARACTERS, emissions)
