"""Forced alignment: in which frames CTC emits each token of a text, when each word is spoken, and how well it fits.

The hypothesis of a greedy decoder is aligned in the same way: the best path of all is the best path of its own text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchaudio.functional import TokenSpan, forced_align, merge_tokens

from asr.features.extractor import hop_samples, lead_samples, window_samples
from asr.settings.root import Config
from asr.text.protocol import BLANK, SPACE_SYMBOL, Tokenizer

BLOCK = 500
"""Frames that are computed together. Scores take frames / BLOCK * tokens * 16 bytes, backpointers 2 * BLOCK * BLOCK."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def best_path(log_probs: npt.NDArray[np.float32], tokens: Integers) -> Integers:
    """The token of the best path in each frame, int64 (frames,), as `torchaudio.functional.forced_align` finds it.

    State 2i is the blank before token i, state 2i + 1 token i itself.

    Args:
        log_probs: (frames, tokens of the model).
        tokens: The tokens of the text, int64 (tokens,), at least one; they must fit into the frames.
    """
    starts = range(0, len(log_probs), BLOCK)
    scores = np.full(2 * len(tokens) + 1, -np.inf)
    scores[0] = 0.0  # before the first frame there is no token
    kept = []
    for start in starts:
        kept.append(scores)
        scores = _forward(log_probs[start : start + BLOCK], tokens, scores)
    state = 2 * len(tokens) - int(scores[-2] > scores[-1])
    states = np.empty(len(log_probs), dtype=np.int64)
    for start, before in zip(reversed(starts), reversed(kept), strict=True):
        states[start : start + BLOCK], state = _backward(log_probs[start : start + BLOCK], tokens, before, state)
    return np.where(states % 2 == 1, tokens[np.minimum(states // 2, len(tokens) - 1)], BLANK)


def _forward(log_probs: npt.NDArray[np.float32], tokens: Integers, scores: Floats) -> Floats:
    """The scores of all states after some frames."""
    # A blank may be left out between tokens that differ.
    skipping = np.where(tokens[1:] != tokens[:-1], 0.0, -np.inf)
    blanks, labels, entered = scores[0::2].copy(), scores[1::2].copy(), np.empty(len(tokens))
    for frame in log_probs.astype(np.float64):
        entered[:] = blanks[:-1]
        np.maximum(entered[1:], labels[:-1] + skipping, out=entered[1:])
        np.maximum(blanks[1:], labels, out=blanks[1:])
        blanks += frame[BLANK]
        np.maximum(labels, entered, out=labels)
        labels += frame[tokens]
    after = np.empty_like(scores)
    after[0::2], after[1::2] = blanks, labels
    return after


def _backward(log_probs: npt.NDArray[np.float32], tokens: Integers, scores: Floats, state: int) -> tuple[Integers, int]:
    """The states of the best path through some frames, (frames,), and the one before them, from the scores of all
    states before the frames and the state after them."""
    low = max(0, state - 2 * len(log_probs))
    states = np.arange(low, state + 1)
    token = np.where(states % 2 == 1, tokens[np.minimum(states // 2, len(tokens) - 1)], BLANK)
    skipping = np.where((states[2:] % 2 == 1) & (token[2:] != token[:-2]), 0.0, -np.inf)
    ways = np.full((3, len(states)), -np.inf)
    ways[0] = scores[low : state + 1]
    steps = np.empty((len(log_probs), len(states)), dtype=np.int8)
    for number, frame in enumerate(log_probs.astype(np.float64)):
        ways[1, 1:] = ways[0, :-1]
        ways[2, 2:] = ways[0, :-2] + skipping
        steps[number] = ways.argmax(axis=0)
        ways[0] = ways.max(axis=0) + frame[token]
    path = np.empty(len(log_probs), dtype=np.int64)
    for number in range(len(log_probs) - 1, -1, -1):
        path[number] = state
        state -= int(steps[number, state - low])
    return path, state


HALF_SOUND = 0.04
"""CTC emits a token in the middle of its sound, and speech has about twelve sounds a second: the first sound of a word
begins this long before its token, and the last one ends this long after (s). Measured in
docs/explanation/measurements.md."""
LARGE = 1 << 28
"""Frames times tokens from which on `best_path` is used, which needs little memory; torchaudio needs a byte for two."""


@dataclass(frozen=True)
class Alignment:
    """Where the tokens of an utterance are on the best path through them."""

    spans: Sequence[TokenSpan]
    """Of each token: `token`, `start` (its first frame), `end` (the frame after its last), and `score`, the mean
    log-probability over them."""
    frame_scores: npt.NDArray[np.float32]
    """Log-probability of the path in each frame, blanks included, (frames,)."""

    @property
    def score(self) -> float:
        """Log-probability of the path per token (natural logarithm); 0 without tokens and frames."""
        return float(self.frame_scores.sum(dtype=np.float64)) / max(1, len(self.spans))


@dataclass(frozen=True, slots=True)
class WordSpan:
    """A word on an alignment's path."""

    text: str
    start: int
    """The first frame of its first token."""
    end: int
    """The frame after the last of its last token."""
    first: int
    """Its tokens are alignment.spans[first:last]; a token that is only a space belongs to no word."""
    last: int
    score: float
    """Log-probability of the path from start to end per token (natural logarithm)."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and when it is spoken."""

    text: str
    start: float
    """Seconds from the first sample."""
    end: float
    score: float
    """As of `WordSpan`."""


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """When the frames of a model's output are.

    Output frame k is centred on feature frame k * subsampling, whose window begins k * subsampling * hop after that of
    the first feature frame.
    """

    frame_seconds: float
    """From one frame to the next (s)."""
    offset: float
    """When frame 0 begins (s)."""

    def begin(self, frame: int) -> float:
        """When a frame begins, and so the one before it ends, in seconds after the first sample; never before it."""
        return round(max(0.0, frame * self.frame_seconds + self.offset), 3)

    def words(self, spans: Sequence[WordSpan]) -> list[TimedWord]:
        """When the words of an utterance are spoken: HALF_SOUND longer than their tokens on both sides, at most to the
        middle of the gap to the next word."""
        starts, ends = [self.begin(span.start) for span in spans], [self.begin(span.end) for span in spans]
        if not spans:
            return []
        middles = [(end + start) / 2 for end, start in zip(ends, starts[1:], strict=False)]
        return [
            TimedWord(
                span.text, round(max(start - HALF_SOUND, before), 3), round(min(end + HALF_SOUND, after), 3), span.score
            )
            for span, start, end, before, after in zip(
                spans, starts, ends, [0.0, *middles], [*middles, float("inf")], strict=True
            )
        ]


def frame_times(config: Config) -> FrameTimes:
    """The times of the output frames of a configuration's model."""
    rate = config.data.sampling_rate
    seconds = config.model.subsampling * hop_samples(config.features, rate) / rate
    centre = window_samples(config.features, rate) / 2 - lead_samples(config.features, rate)
    return FrameTimes(seconds, centre / rate - seconds / 2)


@torch.inference_mode()
def align(log_probs: Tensor, lengths: Tensor, tokens: Sequence[Sequence[int]]) -> list[Alignment | None]:
    """Finds the most probable path of CTC for the tokens of each utterance (Viterbi).

    Args:
        log_probs: Log-probabilities of the tokens, (frames, batch, tokens), on any device; computed on the CPU.
        lengths: Frames of each utterance, int64 (batch,).
        tokens: Of the text of each utterance, without blanks, as of `Tokenizer.encode`.

    Returns:
        The alignment of each utterance, None where its tokens do not fit into its frames.
    """
    frames = log_probs.float().cpu()
    return [_align_one(frames[:length, number], tokens[number]) for number, length in enumerate(lengths.tolist())]


def greedy_alignment(log_probs: Tensor) -> Alignment:
    """The tokens that greedy search finds, and where: the best path of all.

    Args:
        log_probs: Of one utterance, (frames, tokens).
    """
    scores, path = log_probs.float().cpu().max(dim=1)
    return Alignment(merge_tokens(path, scores, blank=BLANK), scores.numpy())


def needed_frames(tokens: Sequence[int]) -> int:
    """The fewest frames in which CTC can emit tokens: one for each, and a blank between two that are the same."""
    return len(tokens) + sum(one == other for one, other in pairwise(tokens))


def _align_one(log_probs: Tensor, tokens: Sequence[int]) -> Alignment | None:
    if needed_frames(tokens) > len(log_probs):
        return None
    if not tokens:
        return Alignment([], log_probs[:, BLANK].numpy().copy())
    if len(log_probs) * len(tokens) < LARGE:
        targets = torch.tensor([list(tokens)], dtype=torch.int32)
        path = forced_align(log_probs[None].contiguous(), targets, blank=BLANK)[0][0].long()
    else:
        path = torch.from_numpy(best_path(log_probs.numpy(), np.asarray(tokens)))
    scores = log_probs.gather(1, path[:, None])[:, 0]
    return Alignment(merge_tokens(path, scores, blank=BLANK), scores.numpy())


def word_spans(alignment: Alignment, tokenizer: Tokenizer) -> list[WordSpan]:
    """The words of an alignment, whatever the tokens are: characters or phones with a space between words, or pieces of
    words that begin with one."""
    symbols = tokenizer.symbols
    words: list[WordSpan] = []
    first, text = 0, ""

    def close(last: int) -> None:
        if text:
            start, end = alignment.spans[first].start, alignment.spans[last - 1].end
            score = float(alignment.frame_scores[start:end].sum(dtype=np.float64)) / (last - first)
            word = tokenizer.decode([span.token for span in alignment.spans[first:last]]).strip()
            words.append(WordSpan(word, start, end, first, last, score))

    for number, span in enumerate(alignment.spans):
        symbol = symbols[span.token]
        if symbol.startswith(SPACE_SYMBOL):
            close(number)
            text = symbol.removeprefix(SPACE_SYMBOL)
            first = number if text else number + 1
        else:
            first = first if text else number
            text += symbol
    close(len(alignment.spans))
    return words
