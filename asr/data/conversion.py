"""Conversion: audio of any rate and number of channels into FLAC of one rate and one channel."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torchaudio.functional import resample

from asr.common.errors import DataError, faults_among
from asr.common.files import atomic_write, shortened_name
from asr.common.processes import map_blocks
from asr.data.recording import ChannelMean
from asr.data.resampling import check_rate, has_few_phases, resampled
from asr.data.utterance import OneChannel, Utterance

LOWPASS_WIDTH = 64
"""Half-length of the anti-aliasing filter in zero crossings, instead of torchaudio's 6: like sox's rate effect."""


def convert(splits: Mapping[str, Sequence[Utterance]], folder: Path, sampling_rate: int) -> dict[str, list[Utterance]]:
    """Writes every utterance as a 16-bit FLAC file; existing ones are kept.

    Several channels are averaged, unless the source names one. Samples beyond full scale after resampling are clipped.

    Args:
        splits: Utterances by split; several may be in one file.
        folder: Gets SPLIT/ID-HASH.flac, with a hash of everything that determines the content.

    Returns:
        The converted utterances.

    Raises:
        DataError: Audio cannot be read.
    """
    converted = {}
    for split, utterances in splits.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        function = partial(_convert_block, folder=folder / split, sampling_rate=sampling_rate)
        outcomes = map_blocks(function, utterances, 32, f"Converting {split}", "utterances")
        if faults := [outcome for outcome in outcomes if isinstance(outcome, str)]:
            raise faults_among(faults, len(utterances), f"utterances of {split}", "replace the file or leave it out")
        converted[split] = [outcome for outcome in outcomes if isinstance(outcome, Utterance)]
    return converted


def _convert_block(utterances: Sequence[Utterance], folder: Path, sampling_rate: int) -> list[Utterance | str]:
    return [_convert(utterance, folder, sampling_rate) for utterance in utterances]


def _convert(utterance: Utterance, folder: Path, sampling_rate: int) -> Utterance | str:
    """The converted utterance, or what is wrong with it."""
    try:
        path = folder / f"{shortened_name(utterance.id)}-{_hash(utterance, sampling_rate)}.flac"
        if not path.is_file():
            with soundfile.SoundFile(utterance.audio_filepath) as file:
                file.seek(round(utterance.offset * file.samplerate))
                samples = file.read(round(utterance.duration * file.samplerate), dtype="float32", always_2d=True)
                channel = _channel(utterance)
                mean = ChannelMean(utterance.place)
                waveform = torch.from_numpy(mean(samples) if channel is None else samples[:, channel])
                mean.check()
                if file.samplerate != sampling_rate:
                    waveform = _resampled(waveform, file.samplerate, sampling_rate, utterance.place)
            with atomic_write(path, durable=False) as beside:
                soundfile.write(beside, np.clip(waveform.numpy(), -1, 1), sampling_rate, subtype="PCM_16")
        frames = soundfile.info(path).frames
    except DataError as error:
        return str(error).removesuffix(".")
    except (soundfile.LibsndfileError, OSError) as error:
        return f"{utterance.place}: it cannot be converted ({error})"
    if frames == 0:
        return f"{utterance.place}: it holds no audio"
    fields = utterance.id, path, 0.0, frames / sampling_rate, utterance.text, utterance.speaker, sampling_rate
    return Utterance(*fields, extra=utterance.extra)


def _resampled(waveform: Tensor, old: int, new: int, name: str) -> Tensor:
    check_rate(old, name)
    if not has_few_phases(old, new, LOWPASS_WIDTH):
        return resampled(waveform, old, new, LOWPASS_WIDTH)
    usual: Tensor = resample(waveform, old, new, lowpass_filter_width=LOWPASS_WIDTH)
    return usual


def _hash(utterance: Utterance, sampling_rate: int) -> str:
    path, status = utterance.audio_filepath.absolute(), utterance.audio_filepath.stat()
    source = [utterance.id, str(path), status.st_size, status.st_mtime_ns]
    parts = [*source, utterance.offset, utterance.duration, _channel(utterance), sampling_rate]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _channel(utterance: Utterance) -> int | None:
    return utterance.channel if isinstance(utterance, OneChannel) else None
