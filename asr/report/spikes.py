"""What CTC writes when: the spikes of an utterance and the times of its words, from the model's best path."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from asr.decoding.recognizer import Recognizer
from asr.features.extractor import hop_samples
from asr.text.protocol import BLANK, SPACE_SYMBOL, Tokenizer

SEEN = 0.05
"""A token is shown in a frame from this probability on."""


@dataclass(frozen=True)
class Spike:
    """A token in a frame."""

    frame: int
    text: str
    probability: float


@dataclass(frozen=True)
class TimedWord:
    """A word of the best path, from its first spike to the end of its last."""

    text: str
    start: float
    """Seconds from the beginning of the utterance."""
    end: float


@dataclass(frozen=True)
class Reading:
    """How a model reads an utterance."""

    frame_seconds: float
    """Time between frames of the model's output (s)."""
    frames: int
    spikes: list[Spike]
    words: list[TimedWord]
    blank_share: float
    """Share of frames in which the blank is the best token."""


@torch.inference_mode()
def read(recognizer: Recognizer, waveform: Tensor) -> Reading:
    """Reads one utterance.

    Args:
        waveform: float32 in [-1, 1] at the model's rate, shape (samples,).
    """
    log_probs, lengths = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
    frames = int(lengths[0])
    path = log_probs[:frames, 0].float().exp().cpu()
    config = recognizer.config
    hop = hop_samples(config.features, config.data.sampling_rate) / config.data.sampling_rate
    frame_seconds = hop * config.model.subsampling
    letters = [symbol.replace(SPACE_SYMBOL, " ").strip() or " " for symbol in recognizer.tokenizer.symbols]
    spikes = [
        Spike(int(frame), letters[int(token)], round(float(path[frame, token]), 3))
        for frame, token in (path > SEEN).nonzero().tolist()
        if token != BLANK
    ]
    return Reading(
        frame_seconds=frame_seconds,
        frames=frames,
        spikes=spikes,
        words=timed_words(path, recognizer.tokenizer, frame_seconds),
        blank_share=float((path.argmax(dim=1) == BLANK).float().mean()) if frames else 0.0,
    )


def timed_words(path: Tensor, tokenizer: Tokenizer, frame_seconds: float) -> list[TimedWord]:
    """The words of the best path. CTC writes a token somewhere within its sound, so times are good to some frames.

    Args:
        path: Scores of the tokens, (frames, tokens).
        frame_seconds: Time between frames (s).
    """
    best = path.argmax(dim=1).tolist()
    written = [frame for frame, token in enumerate(best) if token != BLANK and (not frame or token != best[frame - 1])]
    tokens = [best[frame] for frame in written]
    words = []
    for word, inside in _words(tokens, written, tokenizer):
        last = _last_frame(best, inside[-1])
        words.append(TimedWord(word, round(inside[0] * frame_seconds, 3), round((last + 1) * frame_seconds, 3)))
    return words


def _words(tokens: Sequence[int], written: Sequence[int], tokenizer: Tokenizer) -> Iterator[tuple[str, list[int]]]:
    """The words of tokens, each with the frames in which its tokens are written."""
    if tokenizer.separator is not None:
        for separates, group in groupby(zip(tokens, written, strict=True), lambda one: one[0] == tokenizer.separator):
            members = [*group]
            if not separates:
                yield tokenizer.decode([token for token, _ in members]), [frame for _, frame in members]
        return
    # A token's text may depend on those before it, as with pieces of words.
    ends = [len(tokenizer.decode(tokens[: count + 1])) for count in range(len(tokens))]
    place = 0
    for word in tokenizer.decode(tokens).split(" "):
        inside = [
            frame
            for frame, end, start in zip(written, ends, [0, *ends], strict=False)
            if start < place + len(word) and end > place
        ]
        if word and inside:
            yield word, inside
        place += len(word) + 1


def _last_frame(best: Sequence[int], frame: int) -> int:
    """The last frame of the repeated token that begins in a frame."""
    while frame + 1 < len(best) and best[frame + 1] == best[frame]:
        frame += 1
    return frame
