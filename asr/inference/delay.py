"""How long after the end of each word a stream has written it."""

from collections.abc import Iterable, Sequence

import numpy as np

from asr.batching.loader import Batch
from asr.common.errors import ConfigError
from asr.data.utterance import Utterance
from asr.inference.finished_run import FinishedRun
from asr.inference.forced_alignment import align, frame_times, greedy_alignment, word_spans
from asr.inference.recognition import BatchRecognizer
from asr.inference.recognizer import Recognizer
from asr.inference.streaming import seconds_until
from asr.scoring.error_rates import right_pairs
from asr.scoring.results import Delay
from asr.settings.decoder import DecoderKind
from asr.settings.features import Normalization
from asr.settings.root import Config
from asr.text.protocol import labels_of

KEY = "evaluation.alignment_model"


def aligner_of(config: Config) -> FinishedRun | None:
    """The run of `evaluation.alignment_model`; None where it is null.

    Args:
        config: Of the evaluation, with the settings of the model that is evaluated.

    Raises:
        ConfigError: There is no delay to measure with these settings, or the model cannot align.
        RunError: There is no model.
    """
    given = config.evaluation.alignment_model
    if given is None:
        return None
    if config.tokenizer.kind.labels_frames:
        raise ConfigError(f"{KEY} measures the delay of words, and tokenizer=speech has none: leave it out.")
    if config.model.bidirectional:
        raise ConfigError(
            f"{KEY} measures the delay of streams, and this model has model.bidirectional=true and reads whole "
            "utterances: leave it out, or evaluate a model of one direction, as model=lstm_streaming."
        )
    if config.features.normalization is Normalization.utterance:
        raise ConfigError(
            f"{KEY} measures the delay of streams, and this model has features.normalization=utterance, which is known "
            "at the end of the utterance only: leave it out."
        )
    if config.decoder.kind is not DecoderKind.greedy or config.evaluation.models:
        raise ConfigError(
            f"{KEY} measures when one model's greedy search writes a word: leave out decoder=beam and "
            "evaluation.models, or leave it out."
        )
    run = FinishedRun.of_model(given, KEY)
    if not run.config.model.bidirectional:
        raise ConfigError(
            f"{KEY}={given} is of one direction too, and its words lag behind the audio: give a bidirectional model, "
            "as that of model=lstm."
        )
    if run.config.data.sampling_rate != config.data.sampling_rate:
        raise ConfigError(
            f"{KEY}={given} is for audio at {run.config.data.sampling_rate} Hz, and the run for "
            f"{config.data.sampling_rate} Hz: give a model of the same data.sampling_rate."
        )
    return run


def measure_delay(
    utterances: Sequence[Utterance], batches: Iterable[Batch], recognizer: BatchRecognizer, aligner: FinishedRun
) -> Delay | None:
    """The delay of the correct words of a split; None where there are none.

    Args:
        utterances: Of the split.
        batches: All of them, as waveforms.
        recognizer: A model of one direction.
        aligner: Its model says when words end.
    """
    full = aligner.recognizer(str(getattr(recognizer, "device", "cpu")))
    delays = [delay for batch in batches for delay in word_delays(utterances, batch, recognizer, full)]
    if not delays:
        return None
    median, percentile_90 = (round(float(one), 3) for one in np.quantile(delays, (0.5, 0.9)))
    return Delay(median, percentile_90, len(delays), aligner.path.name)


def word_delays(
    utterances: Sequence[Utterance], batch: Batch, recognizer: BatchRecognizer, aligner: Recognizer
) -> list[float]:
    """The delay (s) of each correct word of a batch.

    A word ends where the forced alignment of the reference ends it. It is written when the audio has arrived that the
    stream needs for the first frame of the word's last token, at the latest at the end of the utterance.
    """
    config, times = recognizer.config, frame_times(aligner.config)
    members = [utterances[number] for number in batch.utterances.tolist()]
    tokens = [labels_of(aligner.tokenizer, utterance.text) or [] for utterance in members]
    log_probs, frames = recognizer.log_probs(batch.inputs, batch.lengths)
    delays = []
    references = align(*aligner.log_probs(batch.inputs, batch.lengths), tokens)
    for place, (utterance, reference) in enumerate(zip(members, references, strict=True)):
        spoken = [] if reference is None else times.words(word_spans(reference, aligner.tokenizer))
        if len(spoken) != len(utterance.text.split()):
            continue  # the aligning model cannot write it, or has too few frames for it
        found = greedy_alignment(log_probs[: int(frames[place]), place])
        words = word_spans(found, recognizer.tokenizer)
        for number, written in right_pairs(utterance.text, [word.text for word in words]):
            frame = found.spans[words[written].last - 1].start
            delays.append(min(seconds_until(config, frame), utterance.duration) - spoken[number].end)
    return delays
