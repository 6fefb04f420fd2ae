"""Voice activity detection by a model that labels frames: where recordings are cut, and what is not recognized."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from asr.common.errors import ConfigError
from asr.data.resampling import resampled
from asr.inference.forced_alignment import frame_times
from asr.inference.recognition import BatchRecognizer
from asr.inference.segments import Levels, Marked, Samples
from asr.inference.speech import frame_labels, output_frames, speech_spans
from asr.text.protocol import BLANK
from asr.text.speech import SPEECH

WINDOW = 24.0
"""What the model labels at once (s), by itself: what it finds depends on the recording only."""
CONTEXT = 3.0
"""What it reads beside that on both sides, and labels with more of the recording around it (s)."""
SPEECH_EDGE = 0.2
"""This much around the speech is recognized with it (s)."""


class ModelDetector:
    """Speech is where a model finds it, and is marked with its log-odds. Memory does not grow with the recording.

    Args:
        recognizer: The model.
        sampling_rate: Of the recordings; a model of a lower one gets them resampled.

    Raises:
        ConfigError: The model recognizes words, or needs a higher sampling rate.
    """

    drops_pauses = True
    edge = SPEECH_EDGE

    def __init__(self, recognizer: BatchRecognizer, sampling_rate: int) -> None:
        config = recognizer.config
        if not config.tokenizer.kind.labels_frames:
            raise ConfigError(
                "The model that is to find speech recognizes words: give one that was trained with tokenizer=speech."
            )
        if config.data.sampling_rate > sampling_rate:
            raise ConfigError(
                f"The model that is to find speech needs {config.data.sampling_rate} Hz, and that which recognizes it "
                f"is given {sampling_rate} Hz: give one of at most that sampling rate."
            )
        self.recognizer, self.rate = recognizer, sampling_rate
        self._times = frame_times(config)

    def mark(self, blocks: Iterable[Samples]) -> Iterator[Marked]:
        """The samples with log-odds of speech, which are below 0 outside the stretches that `speech_spans` finds."""
        window, context = (round(seconds * self.rate) for seconds in (WINDOW, CONTEXT))
        waiting, done = np.zeros(0, dtype=np.float32), 0
        for block in blocks:
            waiting = np.concatenate([waiting, block])
            while len(waiting) >= done + window + context:
                end = done + window
                yield self._marked(waiting[: end + context], done, end)
                waiting, done = waiting[end - context :], context
        if len(waiting) > done:
            yield self._marked(waiting, done, len(waiting))

    def levels(self, marks: Samples, size: int) -> tuple[Levels, float | None]:
        return marks[size // 2 :: size], 0.0

    def _marked(self, samples: Samples, begin: int, end: int) -> Marked:
        rate = self.recognizer.config.data.sampling_rate
        waveform = resampled(torch.from_numpy(samples), self.rate, rate)
        if output_frames(self.recognizer.config, len(waveform)) == 0:
            return np.stack([samples[begin:end], np.full(end - begin, -np.inf, dtype=np.float32)])
        log_probs, (frames,) = self.recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
        found = log_probs[: int(frames), 0].float().cpu().numpy()
        speech = frame_labels(speech_spans(np.exp(found[:, SPEECH]), self._times), len(found), self._times)
        odds = found[:, SPEECH] - found[:, BLANK]
        odds[~speech] = np.minimum(odds[~speech], -1e-3)
        seconds = np.arange(begin, end) / self.rate
        places = ((seconds - self._times.offset) / self._times.frame_seconds).astype(int).clip(0, len(odds) - 1)
        return np.stack([samples[begin:end], odds[places]])
