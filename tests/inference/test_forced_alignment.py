"""Forced alignment: where CTC writes each token, when words are said, and how well they fit."""

from itertools import groupby, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.decoder import greedy
from asr.inference import forced_alignment
from asr.inference.forced_alignment import FrameTimes, WordSpan, align, frame_times, needed_frames, word_spans
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.bpe import BpeTokenizer
from asr.text.char import CharTokenizer
from asr.text.protocol import Tokenizer


def random_log_probs(frames: int, tokens: int, seed: int) -> torch.Tensor:
    return (3 * torch.randn(frames, 1, tokens, generator=torch.Generator().manual_seed(seed))).log_softmax(dim=2)


def writes(path: tuple[int, ...]) -> list[int]:
    return [token for token, _ in groupby(path) if token]


@given(st.lists(st.integers(1, 2), max_size=3), st.integers(0, 5), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_path_is_the_most_probable_of_all_that_write_the_tokens(tokens: list[int], frames: int, seed: int) -> None:
    log_probs = random_log_probs(frames, 3, seed)
    (found,) = align(log_probs, torch.tensor([frames]), [tokens])
    paths = [path for path in product(range(3), repeat=frames) if writes(path) == tokens]
    if not paths:
        assert found is None and needed_frames(tokens) > frames
        return
    best = max(sum(float(log_probs[frame, 0, token]) for frame, token in enumerate(path)) for path in paths)
    assert found is not None
    assert [span.token for span in found.spans] == tokens
    assert found.score * max(1, len(tokens)) == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("block", [1, 7, 40, 1000])
def test_the_way_of_little_memory_finds_the_same_path(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forced_alignment, "BLOCK", block)
    random = np.random.default_rng(0)
    for seed, count in enumerate((1, 2, 30, 60)):
        log_probs, tokens = random_log_probs(150, 5, seed), random.integers(1, 5, count).tolist()
        (expected,) = align(log_probs, torch.tensor([150]), [tokens])
        with monkeypatch.context() as patched:
            patched.setattr(forced_alignment, "LARGE", 0)
            (found,) = align(log_probs, torch.tensor([150]), [tokens])
        assert expected is not None and found is not None
        assert found.spans == expected.spans


def test_an_utterance_is_aligned_the_same_in_any_batch() -> None:
    one, other = random_log_probs(30, 5, 1), random_log_probs(20, 5, 2)
    padded = torch.cat([torch.cat([one, one[:5]]), torch.cat([other, torch.full((15, 1, 5), torch.nan)])], dim=1)
    both = align(padded, torch.tensor([30, 20]), [[1, 2, 3], [4, 4]])
    alone = align(one, torch.tensor([30]), [[1, 2, 3]]) + align(other, torch.tensor([20]), [[4, 4]])
    assert [found.spans for found in both if found] == [found.spans for found in alone if found]


def test_the_greedy_hypothesis_is_aligned_by_the_best_path_itself() -> None:
    log_probs = random_log_probs(50, 4, 3)
    best = log_probs[:, 0].max(dim=1).values
    (found,) = align(log_probs, torch.tensor([50]), greedy(log_probs, torch.tensor([50])))
    assert found is not None and np.array_equal(found.frame_scores, best.numpy())


def spelled(tokenizer: Tokenizer, tokens: list[int]) -> torch.Tensor:
    """Certain log-probabilities: a blank, the token twice, a blank for each."""
    path = [frame for token in tokens for frame in (0, token, token, 0)]
    return torch.full((len(path), 1, tokenizer.size), -20.0).scatter_(2, torch.tensor(path)[:, None, None], -0.5)


def test_words_are_found_in_characters_and_in_pieces() -> None:
    texts = ["RUBOUT G M", "GO MOUNT", "A B"] * 3
    config = TokenizerConfig(kind=TokenizerKind.bpe, alphabet=None, pieces=20, lexicon=None, g2p=None)
    for tokenizer in (CharTokenizer(" ABGMNORTU"), BpeTokenizer.build(config, texts)):
        for text in texts[:3]:
            tokens = tokenizer.encode(text)
            (found,) = align(spelled(tokenizer, tokens), torch.tensor([4 * len(tokens)]), [tokens])
            assert found is not None
            words = word_spans(found, tokenizer)
            assert [word.text for word in words] == text.split()
            for word in words:
                assert (word.start, word.end) == (4 * word.first + 1, 4 * word.last - 1)
                assert word.score == pytest.approx(-0.5 * (word.end - word.start) / (word.last - word.first))


def test_spaces_around_and_between_belong_to_no_word() -> None:
    tokenizer = CharTokenizer(" AB")
    tokens = tokenizer.encode("  A  B ")
    (found,) = align(spelled(tokenizer, tokens), torch.tensor([4 * len(tokens)]), [tokens])
    assert found is not None
    assert [(word.text, word.first) for word in word_spans(found, tokenizer)] == [("A", 2), ("B", 5)]
    (nothing,) = align(spelled(tokenizer, [1]), torch.tensor([4]), [[1]])
    assert nothing is not None and word_spans(nothing, tokenizer) == []


def test_frames_are_where_the_samples_they_read_are() -> None:
    times = frame_times(compose(find_recipe("digits"), ["model.subsampling=2"]))
    # Output frame 10 is centred on feature frame 20, whose window of 25 ms begins at 200 ms.
    assert times.frame_seconds == pytest.approx(0.02)
    assert (times.begin(10) + times.begin(11)) / 2 == pytest.approx(0.2125, abs=1e-3)
    assert frame_times(compose(find_recipe("digits"), ["model.subsampling=4"])).begin(0) == 0
    mirrored = frame_times(compose(find_recipe("digits"), ["model.subsampling=2", "features=kaldi"]))
    assert mirrored.offset == pytest.approx(-0.005)  # the first frame is centred on 5 ms


def test_words_reach_half_a_sound_beyond_their_tokens_and_never_into_each_other() -> None:
    times = FrameTimes(frame_seconds=0.02, offset=0.0)
    spans = [WordSpan("NO", 1, 5, 0, 2, -1.0), WordSpan("AN", 7, 10, 3, 5, -2.0), WordSpan("ON", 20, 22, 6, 8, -3.0)]
    found = times.words(spans)
    assert [(word.text, word.start, word.end, word.score) for word in found] == [
        ("NO", 0.0, 0.12, -1.0),
        ("AN", 0.12, 0.24, -2.0),
        ("ON", 0.36, 0.48, -3.0),
    ]
    assert times.words([]) == []
