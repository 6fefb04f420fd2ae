"""Greedy decoding takes the best path, merges repeats, drops blanks and stays within an utterance."""

from itertools import groupby

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.decoding.decoder import GreedyDecoder, greedy
from asr.text.char import CharTokenizer
from asr.text.protocol import BLANK

TOKENS = 4


def log_probs_of(paths: list[list[int]]) -> Tensor:
    """Log-probabilities (frames, batch, tokens) whose best paths are these, equally long."""
    best = torch.tensor(paths, dtype=torch.int64).T
    return torch.nn.functional.one_hot(best, TOKENS).float().log_softmax(dim=-1)


@pytest.mark.parametrize(
    ("path", "tokens"),
    [
        ([1, 1, 2, 2, 2], [1, 2]),
        ([1, 0, 1], [1, 1]),
        ([0, 0, 3, 3, 0], [3]),
        ([0, 0, 0], []),
        ([2], [2]),
        ([1, 2, 1], [1, 2, 1]),
    ],
)
def test_repeats_are_merged_and_blanks_dropped(path: list[int], tokens: list[int]) -> None:
    assert greedy(log_probs_of([path]), torch.tensor([len(path)])) == [tokens]


@settings(deadline=None)
@given(st.data())
def test_a_batch_is_decoded_as_each_utterance_alone(data: st.DataObject) -> None:
    frames = data.draw(st.integers(1, 12))
    path = st.lists(st.integers(0, TOKENS - 1), min_size=frames, max_size=frames)
    paths = data.draw(st.lists(path, min_size=1, max_size=4))
    lengths = data.draw(st.lists(st.integers(0, frames), min_size=len(paths), max_size=len(paths)))
    expected = [
        [token for token, _ in groupby(path[:length]) if token != BLANK]
        for path, length in zip(paths, lengths, strict=True)
    ]
    assert greedy(log_probs_of(paths), torch.tensor(lengths)) == expected


def test_frames_past_the_end_are_never_read() -> None:
    log_probs = log_probs_of([[1, 2, 3, 1], [3, 0, 3, 2]])
    lengths = torch.tensor([2, 4])
    expected = greedy(log_probs, lengths)
    for rubbish in (float("nan"), float("inf"), 1e30):
        log_probs[2:, 0] = rubbish
        assert greedy(log_probs, lengths) == expected == [[1, 2], [3, 3, 2]]


def test_the_input_is_left_as_it_was() -> None:
    log_probs = log_probs_of([[1, 1, 0, 2]])
    before = log_probs.clone()
    greedy(log_probs, torch.tensor([3]))
    assert torch.equal(log_probs, before)


def test_hypotheses_have_single_spaces_and_none_around() -> None:
    decode = GreedyDecoder(CharTokenizer(" AB"))
    path = [1, 2, 1, 0, 1, 3, 0, 1]
    assert decode(log_probs_of([path, [0] * len(path)]), torch.tensor([8, 8])) == ["A B", ""]
