"""Forced alignment: in which frames CTC writes each token of a text, when each word is said, and how well it fits.

The hypothesis of a greedy decoder is aligned by the same way: the best path of all is the best path of its own text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchaudio.functional import TokenSpan, forced_align, merge_tokens

from asr.config import Config
from asr.decoding.long_alignment import best_path
from asr.features.extractor import hop_samples, window_samples
from asr.text.protocol import BLANK, SPACE_SYMBOL, Tokenizer

HALF_SOUND = 0.04
"""CTC writes a token in the midst of its sound, and speech has some twelve sounds a second: the first of a word begins
so long before its token, and the last one ends so long after (s). docs/transcribing.md has it measured."""
LARGE = 1 << 28
"""Frames times tokens from which on the way that needs little memory is taken; the other takes a byte for two."""


@dataclass(frozen=True)
class Alignment:
    """Where the tokens of an utterance stand on the best path that writes them."""

    spans: Sequence[TokenSpan]
    """Of each token: `token`, `start` (its first frame), `end` (the frame after its last), and `score`, the mean
    log-probability over them."""
    frame_scores: npt.NDArray[np.float32]
    """Log-probability of the path in each frame, blanks included, (frames,)."""

    @property
    def score(self) -> float:
        """Log-probability of the path per token (natural logarithm); 0 where nothing is to be written in no frame."""
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
    """Its tokens are alignment.spans[first:last]; a token that is the space alone belongs to no word."""
    last: int
    score: float
    """Log-probability of the path from start to end per token (natural logarithm)."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and when it is said."""

    text: str
    start: float
    """Seconds from the first sample."""
    end: float
    score: float
    """As of `WordSpan`."""


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """When the frames of a model's output are.

    Output frame k is centred on feature frame k * subsampling, whose window begins k * subsampling * hop after the
    first sample.
    """

    frame_seconds: float
    """From one frame to the next (s)."""
    offset: float
    """Where the stretch of time begins for which frame 0 stands (s)."""

    def begin(self, frame: int) -> float:
        """When a frame begins, and so the one before it ends, in seconds after the first sample; never before it."""
        return round(max(0.0, frame * self.frame_seconds + self.offset), 3)

    def words(self, spans: Sequence[WordSpan]) -> list[TimedWord]:
        """When the words of an utterance are said: HALF_SOUND longer than their tokens on both sides, up to the middle
        of the gap to the next word."""
        starts, ends = [self.begin(span.start) for span in spans], [self.begin(span.end) for span in spans]
        if not spans:
            return []
        middles = [(end + start) / 2 for end, start in zip(ends, starts[1:], strict=False)]
        return [
            TimedWord(
                span.text,
                round(max(start - HALF_SOUND, before), 3),
                round(min(end + HALF_SOUND, after), 3),
                span.score,
            )
            for span, start, end, before, after in zip(
                spans, starts, ends, [0.0, *middles], [*middles, float("inf")], strict=True
            )
        ]


def frame_times(config: Config) -> FrameTimes:
    """The times of the frames that a configuration's model puts out."""
    rate = config.data.sampling_rate
    seconds = config.model.subsampling * hop_samples(config.features, rate) / rate
    return FrameTimes(seconds, window_samples(config.features, rate) / rate / 2 - seconds / 2)


@torch.inference_mode()
def align(log_probs: Tensor, lengths: Tensor, tokens: Sequence[Sequence[int]]) -> list[Alignment | None]:
    """Finds the most probable path of CTC for the tokens of each utterance (Viterbi).

    Args:
        log_probs: Log-probabilities of the tokens, (frames, batch, tokens), on any device; computed on the CPU.
        lengths: Frames of each utterance, int64 (batch,).
        tokens: What each utterance says, never the blank, as of `Tokenizer.encode`.

    Returns:
        The alignment of each utterance, None where its tokens do not fit into its frames.
    """
    frames = log_probs.float().cpu()
    return [_align_one(frames[:length, number], tokens[number]) for number, length in enumerate(lengths.tolist())]


def needed_frames(tokens: Sequence[int]) -> int:
    """The fewest frames in which CTC can write tokens: one for each, and a blank between two that are the same."""
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
            written = tokenizer.decode([span.token for span in alignment.spans[first:last]]).strip()
            words.append(WordSpan(written, start, end, first, last, score))

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
