"""Recordings are cut by the speech that a model finds in them, and what it does not find is not recognized."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from torch import Tensor

from asr.common.errors import ConfigError
from asr.inference import speech_detector
from asr.inference.segments import Segment, cut
from asr.inference.speech_detector import CONTEXT, SPEECH_EDGE, WINDOW, ModelDetector
from asr.inference.transcription import Transcriber, Transcript
from tests.helpers.corpora import tones
from tests.helpers.tone_detector import random_detector, tone_detector
from tests.helpers.tone_recognizer import tone_recognizer, words

RATE = 16000
QUIET = np.zeros(round(0.4 * RATE), dtype=np.float32)
Samples = npt.NDArray[np.float32]


def noise(seconds: float, level: float = 0.2, seed: int = 0) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def with_noise_between(sentences: list[str], seconds: float = 3.0) -> Samples:
    """Sentences, each after a loud noise that ends just before it."""
    parts = [
        part
        for number, sentence in enumerate(sentences)
        for part in (noise(seconds, seed=number), QUIET, tones(sentence), QUIET)
    ]
    return np.concatenate([*parts, noise(seconds)])


def found_segments(sound: Samples, step: int = 640) -> list[Segment]:
    return list(cut(iter(np.array_split(sound, 7)), RATE, step, ModelDetector(tone_detector(), RATE)))


def test_noise_between_sentences_is_not_recognized(tmp_path: Path) -> None:
    sentences = [words(10, seed) for seed in range(6)]
    path, sound = tmp_path / "noisy.wav", with_noise_between(sentences)
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    (by_energy,) = tone_recognizer().transcribe([path])
    assert len(by_energy.split()) > 60, "else the noise is no trial"
    recognizer, detector = tone_recognizer(), tone_detector()
    assert recognizer.transcribe([path], vad=detector) == [" ".join(sentences)]
    (transcript,) = Transcriber(recognizer, detector=ModelDetector(detector, RATE))([path])
    assert isinstance(transcript, Transcript) and transcript.seconds == pytest.approx(len(sound) / RATE)
    before = " ".join(sentences[0].split()[:5]) + " "
    assert transcript.words[5].start == pytest.approx(3 + 0.4 + 0.1 * (1 + len(before)), abs=0.07)


def test_segments_hold_the_speech_and_little_around_it() -> None:
    sentences = [words(6, seed) for seed in range(5)]
    sound = with_noise_between(sentences)
    found = found_segments(sound)
    assert len(found) == len(sentences) and not any(segment.joined for segment in found)
    for number, (segment, sentence) in enumerate(zip(found, sentences, strict=True)):
        begin = sum(3 + 0.8 + len(tones(one)) / RATE for one in sentences[:number]) + 3 + 0.4
        assert segment.start % 640 == 0
        assert begin - SPEECH_EDGE < segment.start / RATE < begin + 0.1, "the tones begin with 0.1 s of silence"
        end = begin + len(tones(sentence)) / RATE
        assert end - 0.1 < (segment.start + len(segment.samples)) / RATE < end + SPEECH_EDGE
        assert np.array_equal(segment.samples, sound[segment.start :][: len(segment.samples)])


@pytest.mark.parametrize("seconds", [1, 30, 70])
def test_without_speech_nothing_is_recognized(seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(seconds), RATE)
    recognizer, advanced = tone_recognizer(), []
    monkeypatch.setattr(recognizer, "log_probs", None)
    (found,) = Transcriber(recognizer, each=advanced.append, detector=ModelDetector(tone_detector(), RATE))([path])
    assert isinstance(found, Transcript) and (found.text, found.seconds) == ("", seconds)
    assert sum(advanced) == seconds, "the progress counts what was left out"


def test_speech_without_a_pause_is_cut_with_overlaps(tmp_path: Path) -> None:
    text = words(300, 1).replace(" ", "")
    text = "".join(one for one, other in pairwise(text) if one != other)
    soundfile.write(tmp_path / "long.wav", np.concatenate([noise(3), QUIET, tones(text), QUIET, noise(30)]), RATE)
    assert tone_recognizer().transcribe([tmp_path / "long.wav"], vad=tone_detector()) == [text]
    (joined, *_) = [segment for segment in found_segments(tones(text)) if segment.joined]
    assert joined.start > 0


def test_what_is_found_depends_on_the_recording_only() -> None:
    sound = np.concatenate([with_noise_between([words(20, 1), words(20, 2)]), noise(20), tones(words(30, 3))])
    asked = []
    model = random_detector()
    computed = model.log_probs

    def log_probs(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(tuple(waveforms.shape))
        return computed(waveforms, lengths)

    model.log_probs = log_probs  # type: ignore[method-assign]
    detector = ModelDetector(model, RATE)
    whole, *others = (np.concatenate(list(detector.mark(np.array_split(sound, parts))), axis=1) for parts in (1, 3, 50))
    assert np.array_equal(whole[0], sound) and len(np.unique(whole[1])) > 100
    assert all(np.array_equal(other, whole) for other in others)
    assert max(samples for _, samples in asked) <= (WINDOW + 2 * CONTEXT) * RATE and {batch for batch, _ in asked} == {
        1
    }


def test_windows_find_what_one_of_the_whole_recording_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = with_noise_between([words(12, seed) for seed in range(8)])
    windows = found_segments(sound)
    monkeypatch.setattr(speech_detector, "WINDOW", 1000.0)
    whole = found_segments(sound)
    assert [(one.start, len(one.samples)) for one in windows] == [(one.start, len(one.samples)) for one in whole]


def test_a_detector_of_a_lower_sampling_rate_gets_it_and_one_of_a_higher_is_refused() -> None:
    sound = with_noise_between([words(6, 1), words(6, 2)])
    at_8_khz = tone_detector("data=8khz")
    (first, second) = cut([sound], RATE, 640, ModelDetector(at_8_khz, RATE))
    for found, expected in zip((first, second), found_segments(sound), strict=True):
        assert found.start == pytest.approx(expected.start, abs=0.05 * RATE)
    with pytest.raises(ConfigError, match=r"needs 16000 Hz, .* 8000 Hz: give one of at most that sampling rate"):
        ModelDetector(tone_detector(), 8000)


@pytest.mark.parametrize("overrides", [["model=gru_streaming"], ["features.normalization=utterance"]])
def test_models_of_one_direction_and_those_that_normalize_utterances_find_speech_too(overrides: list[str]) -> None:
    detector = ModelDetector(random_detector(*overrides), RATE)
    (marked,) = detector.mark([tones(words(6, 1))])
    assert marked.shape == (2, len(tones(words(6, 1)))) and np.isfinite(marked).all()


def test_a_recording_without_a_frame_has_no_speech() -> None:
    (marked,) = ModelDetector(random_detector(), RATE).mark([np.zeros(100, dtype=np.float32)])
    assert (marked[1] < 0).all()


def test_models_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"recognizes words: give one that was trained with tokenizer=speech"):
        tone_recognizer().transcribe(["a.wav"], vad=tone_recognizer())
    with pytest.raises(ConfigError, match=r"labels frames as speech or not .* recognizes no words"):
        tone_detector().transcribe(["a.wav"])


def test_marks_are_log_odds_at_the_time_of_their_frames() -> None:
    model = tone_detector()
    sound = np.concatenate([np.zeros(RATE, np.float32) + noise(1), tones("ABCDEFGHIJ"), noise(1)])
    (marked,) = ModelDetector(model, RATE).mark([sound])
    edges = np.flatnonzero(np.diff(marked[1] >= 0))
    assert [edges[0] / RATE, edges[-1] / RATE] == pytest.approx([1.1, 2.1], abs=0.03)
    assert torch.tensor(marked[1]).isfinite().all()
