"""The audio and the picture of an utterance in a report.

The audio comes with an estimate of its signal-to-noise ratio; the picture is a log-mel spectrogram with token
probabilities and word times.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torch import Tensor

from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.processes import map_blocks
from asr.data.audio import read_waveform
from asr.data.utterance import Utterance
from asr.decoding.decoder import greedy
from asr.features.extractor import FeatureExtractor
from asr.inference.forced_alignment import TimedWord, align, frame_times, word_spans
from asr.inference.recognizer import Recognizer
from asr.settings.features import FeatureKind, FeaturesConfig, FeatureSource, Normalization
from asr.text.protocol import BLANK, SPACE_SYMBOL, labels_of

LEVEL_SECONDS = 0.025
LOUD, QUIET = 0.95, 0.10
"""Quantiles of the frame power that stand for speech and for background noise."""
POWER_FLOOR = 1e-10
PLAYABLE = (".wav", ".flac", ".mp3", ".ogg", ".opus")
"""What browsers play."""
MELS_AT_8_KHZ, MELS = 40, 80
COLUMNS = 1200
"""The most columns of a spectrogram."""
LOWEST_PROBABILITY = 0.05
"""A token is shown in a frame from this probability on."""


class AudioChoice(Enum):
    embed = "embed"
    link = "link"
    none = "none"


@dataclass(frozen=True)
class Clip:
    """The audio of an utterance."""

    level: float | None
    """Estimated SNR (dB); None where the audio could not be read."""
    source: str | None
    """For the player of the page: a file of the report, or an address; None for no audio."""


def make_clips(utterances: Sequence[Utterance], choice: AudioChoice, report: Path, folder: str) -> dict[str, Clip]:
    """Reads the audio of every utterance, and puts it into the report if that is wanted.

    Args:
        choice: embed copies the audio, link refers to the original file, none leaves it out.
        report: The folder of the report.
        folder: The folder of the copies in it, such as `audio/test`.

    Returns:
        By id.
    """
    copies = choice is AudioChoice.embed
    files = [f"{folder}/{number}.flac" if copies else None for number in range(len(utterances))]
    tasks = [(utterance, report / file if file else None) for utterance, file in zip(utterances, files, strict=True)]
    levels = map_blocks(_levels, tasks, 128, "Reading audio", "utterances")
    if choice is AudioChoice.link:
        files = [_link(utterance, report) for utterance in utterances]
    return {
        utterance.id: Clip(level, file if level is not None else None)
        for utterance, level, file in zip(utterances, levels, files, strict=True)
    }


def _levels(tasks: Sequence[tuple[Utterance, Path | None]]) -> list[float | None]:
    return [_level(*task) for task in tasks]


def _level(utterance: Utterance, copy: Path | None) -> float | None:
    """The estimated SNR of an utterance, of which a copy may be wanted; None where it cannot be read."""
    try:
        waveform = read_waveform(utterance).numpy()
    except DataError:
        return None
    if copy is not None and not copy.exists():
        with atomic_write(copy, durable=False) as file:
            soundfile.write(file, waveform, utterance.sampling_rate, format="FLAC", subtype="PCM_16")
    return estimated_snr(waveform, utterance.sampling_rate)


def estimated_snr(waveform: npt.NDArray[np.float32], sampling_rate: int) -> float:
    """The estimated signal-to-noise ratio (dB): the power of loud frames over that of quiet ones.

    A rough measure that needs no reference; an utterance without pauses has no quiet frames, so its SNR is too low.

    Args:
        waveform: Shape (samples,).
        sampling_rate: Hz.
    """
    size = max(1, round(LEVEL_SECONDS * sampling_rate))
    count = max(1, len(waveform) // size)
    frames = waveform[: count * size].reshape(count, -1).astype(np.float64)
    loud, quiet = np.quantile(np.square(frames).mean(axis=1) + POWER_FLOOR, [LOUD, QUIET])
    return round(float(10 * np.log10(loud / quiet)), 1)


def _link(utterance: Utterance, report: Path) -> str | None:
    """The address of an utterance within its file, relative to the report; None for a format that browsers lack."""
    path = utterance.audio_filepath
    if path.suffix.lower() not in PLAYABLE:
        return None
    address = quote(os.fsencode(os.path.relpath(path, report.absolute())))
    whole = utterance.offset == 0 and abs(soundfile.info(path).duration - utterance.duration) < 0.01
    return address if whole else f"{address}#t={utterance.offset:.3f},{utterance.offset + utterance.duration:.3f}"


@dataclass(frozen=True)
class TokenProbability:
    """A token in a frame."""

    frame: int
    text: str
    probability: float


@dataclass(frozen=True)
class ModelOutput:
    """The output of a model for an utterance."""

    frame_seconds: float
    """Time between frames of the model's output (s)."""
    offset: float
    """When frame 0 begins (s)."""
    frames: int
    tokens: list[TokenProbability]
    """Without blanks."""
    words: list[TimedWord]
    """Of the hypothesis; of the greedy path where that is another and the hypothesis cannot be aligned."""
    of_hypothesis: bool
    """Whether they are those of the hypothesis."""
    reference: list[TimedWord]
    """The words of the reference; none where the tokenizer cannot write them, or they do not fit into the frames."""
    blank_share: float
    """Share of frames in which the blank is the best token."""


@torch.inference_mode()
def model_output(recognizer: Recognizer, waveform: Tensor, reference: str, hypothesis: str) -> ModelOutput:
    """Runs a model on the waveform of one utterance, (samples,), and aligns reference and hypothesis to its output; the
    hypothesis may be that of any decoder."""
    log_probs, lengths = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
    frames = int(lengths[0])
    path = log_probs[:frames, 0].float().exp().cpu()
    times, tokenizer = frame_times(recognizer.config), recognizer.tokenizer

    def timed(labels: Sequence[int] | None) -> list[TimedWord] | None:
        (alignment,) = (None,) if labels is None else align(log_probs, lengths, [labels])
        return None if alignment is None else times.words(word_spans(alignment, tokenizer))

    (path_labels,) = greedy(log_probs, lengths)
    is_greedy = tokenizer.decode(path_labels) == hypothesis
    found = None if is_greedy else timed(labels_of(tokenizer, hypothesis))
    letters = [symbol.replace(SPACE_SYMBOL, " ").strip() or " " for symbol in tokenizer.symbols]
    tokens = [
        TokenProbability(int(frame), letters[int(token)], round(float(path[frame, token]), 3))
        for frame, token in (path > LOWEST_PROBABILITY).nonzero().tolist()
        if token != BLANK
    ]
    return ModelOutput(
        frame_seconds=times.frame_seconds,
        offset=times.offset,
        frames=frames,
        tokens=tokens,
        words=(timed(path_labels) or []) if found is None else found,
        of_hypothesis=is_greedy or found is not None,
        reference=timed(labels_of(tokenizer, reference)) or [],
        blank_share=float((path.argmax(dim=1) == BLANK).float().mean()) if frames else 0.0,
    )


def log_mel_picture(waveform: Tensor, sampling_rate: int) -> Mapping[str, str | int]:
    """The log-mel spectrogram as bytes: 80 bands (40 at 8 kHz), every 10 ms, coarser in a long utterance.

    Args:
        waveform: Shape (samples,).
        sampling_rate: Hz.

    Returns:
        Its width and height in pixels, `bytes` in base64 (column by column, the lowest band first, 0 the quietest), and
        `highest`, the frequency at its upper edge (Hz); the lower edge is at 0.
    """
    mels = MELS if sampling_rate >= 16000 else MELS_AT_8_KHZ
    settings = FeaturesConfig(
        kind=FeatureKind.logmel, source=FeatureSource.online, normalization=Normalization.none, window_ms=25, hop_ms=10,
        mels=mels, coefficients=None, deltas=False,
    )  # fmt: skip
    features, _ = FeatureExtractor(settings, sampling_rate)(waveform[None], torch.tensor([len(waveform)]))
    picture = features[0]
    if len(picture) > COLUMNS:
        picture = torch.nn.functional.adaptive_avg_pool1d(picture.T[None], COLUMNS)[0].T
    # From the quietest hundredth to the loudest point.
    low, high = float(picture.quantile(0.01)), float(picture.max())
    levels = ((picture - low) / max(high - low, 1e-6)).clamp(0, 1).mul(255).round().to(torch.uint8)
    return {
        "width": len(picture),
        "height": mels,
        "highest": sampling_rate // 2,
        "bytes": base64.b64encode(levels.contiguous().numpy().tobytes()).decode("ascii"),
    }
