"""What log-probabilities tell beside the hypothesis."""

import itertools
import math

import pytest
import torch

from asr.inference.evaluation import measure
from asr.text.protocol import BLANK


def log_probs(frames: int, batch: int, tokens: int = 4) -> torch.Tensor:
    return torch.randn(frames, batch, tokens, generator=torch.Generator().manual_seed(1)).log_softmax(dim=2)


def test_the_loss_is_that_of_all_paths_which_write_the_transcript() -> None:
    scores = log_probs(5, 1)
    (measured,) = measure(scores, torch.tensor([5]), [[1, 2]])
    probability = 0.0
    for path in itertools.product(range(4), repeat=5):
        written = [token for token, _ in itertools.groupby(path) if token != BLANK]
        if written == [1, 2]:
            probability += math.exp(sum(float(scores[frame, 0, token]) for frame, token in enumerate(path)))
    assert measured.ctc_loss == pytest.approx(-math.log(probability), rel=1e-6)
    assert (measured.labels, measured.frames) == (2, 5)


def test_neither_the_batch_nor_the_padding_changes_anything() -> None:
    scores, lengths, labels = log_probs(9, 3), torch.tensor([9, 4, 6]), [[1, 2, 3], [2], None]
    together = measure(scores, lengths, labels)
    for number, known in enumerate(labels):
        end = int(lengths[number])
        (alone,) = measure(scores[:end, number : number + 1], lengths[number : number + 1], [known])
        assert alone == together[number]
    assert together[2].ctc_loss is None and together[2].labels == 0


def test_blanks_are_counted_and_confidence_is_that_of_what_is_written() -> None:
    scores = torch.full((4, 2, 3), 0.05)
    for frame, (token, share) in enumerate([(BLANK, 0.9), (1, 0.8), (1, 0.6), (2, 0.7)]):
        scores[frame, 0, token] = share
        scores[frame, 1, BLANK] = share
    first, silent = measure(scores.log(), torch.tensor([4, 4]), [[1, 2], [1]])
    assert (first.blank_frames, silent.blank_frames) == (1, 4)
    assert first.confidence == pytest.approx((0.8 + 0.6 + 0.7) / 3)
    assert silent.confidence is None


def test_a_transcript_that_does_not_fit_has_an_infinite_loss() -> None:
    (measured,) = measure(log_probs(2, 1), torch.tensor([2]), [[1, 1]])
    assert measured.ctc_loss == math.inf
