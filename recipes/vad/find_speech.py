"""Makes speech.txt, which says where speech is in AN4.

    python recipes/vad/find_speech.py RUN DATA > recipes/vad/speech.txt

RUN is a trained model of AN4, DATA the folder of AN4's manifests. Forced alignment finds the words; words that are less
than 0.3 s apart are one stretch of speech, whose edges move to where the level of the clean recording rises and falls.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.inference.finished_run import FinishedRun
from asr.inference.forced_alignment import align, frame_times, word_spans
from asr.inference.recognizer import Recognizer
from asr.inference.speech import SHORTEST_PAUSE
from asr.text.speech import Spans, written_spans

LONGEST_GAP = 0.3
BEFORE, WITHIN, AFTER = 0.2, 0.1, 0.25
"""How far the edges may move, out of a word and into it (s)."""
RISE = 0.3
"""Speech is louder than this share of the way from the level of the pauses to that of speech, in dB."""
STEP = 0.01


def main() -> None:
    """Prints a line for each utterance of all splits."""
    recognizer = FinishedRun.of_model(sys.argv[1], "RUN").recognizer()
    for split in SPLITS:
        for utterance in read_manifest(Path(sys.argv[2]) / f"{split}.jsonl"):
            print(utterance.id, written_spans([*speech_of(utterance, recognizer)]))


def speech_of(utterance: Utterance, recognizer: Recognizer) -> Iterator[tuple[float, float]]:
    """The stretches of speech of an utterance (s)."""
    waveform = read_waveform(utterance)
    tokens = recognizer.tokenizer.encode(utterance.text)
    log_probs, lengths = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
    (alignment,) = align(log_probs, lengths, [tokens])
    assert alignment is not None, utterance.id
    spans: list[tuple[float, float]] = []
    for word in frame_times(recognizer.config).words(word_spans(alignment, recognizer.tokenizer)):
        begin = spans.pop()[0] if spans and word.start - spans[-1][1] < LONGEST_GAP else word.start
        spans.append((begin, word.end))
    yield from without_short_pauses(moved(spans, waveform.numpy(), utterance.sampling_rate))


def without_short_pauses(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Stretches between which there is more than SHORTEST_PAUSE."""
    begin = end = None
    for start, stop in spans:
        if begin is None or end is None:
            begin = start
        elif start - end >= SHORTEST_PAUSE:
            yield begin, end
            begin = start
        end = stop
    if begin is not None and end is not None:
        yield begin, end


def moved(spans: Spans, sound: np.ndarray, rate: int) -> Iterator[tuple[float, float]]:
    """Stretches whose edges are where the level rises and falls."""
    size = round(STEP * rate)
    power = np.square(sound[: len(sound) // size * size].reshape(-1, size)).mean(axis=1)
    level = 10 * np.log10(np.convolve(power, np.full(3, 1 / 3), mode="same") + 1e-10)
    low, high = np.quantile(level, (0.1, 0.95))
    loud = level > low + RISE * (high - low)
    before = 0.0
    for begin, end in spans:
        first, last = (max(0, round(edge / STEP)) for edge in (max(before, begin - BEFORE), begin + WITHIN))
        rising = np.flatnonzero(loud[first:last])
        begin = (first + rising[0]) * STEP if len(rising) else begin
        first, last = (max(0, round(edge / STEP)) for edge in (end - WITHIN, end + AFTER))
        falling = np.flatnonzero(loud[first:last])
        end = (first + falling[-1] + 1) * STEP if len(falling) else end
        if end > max(begin, before):
            yield max(begin, before), end
            before = end


if __name__ == "__main__":
    main()
