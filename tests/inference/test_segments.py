"""Long recordings are cut into segments, and these are joined, without a loss."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.data.recording import BLOCK_SECONDS, open_recording
from asr.inference import transcription
from asr.inference.segments import LONGEST, MARGIN, PAUSE_EDGE, cut, stitch
from asr.inference.transcription import Transcriber, Transcript
from tests.helpers.corpora import tones
from tests.helpers.tone_recognizer import tone_recognizer, words


def test_segments_begin_and_end_in_pauses_and_hold_every_sample_once() -> None:
    random = np.random.default_rng(0)
    parts = [tones(words(6, seed)) for seed in range(20)]
    samples = np.concatenate([np.concatenate([part, 0.001 * random.standard_normal(16000)]) for part in parts])
    samples = samples.astype(np.float32)
    found = list(cut(iter(np.array_split(samples, 17)), 16000, 640))
    assert len(found) > 10 and not any(segment.joined for segment in found)
    assert np.array_equal(np.concatenate([segment.samples for segment in found]), samples)
    for segment in found[1:]:
        assert segment.start % 640 == 0
        assert np.abs(samples[segment.start - 1600 : segment.start + 1600]).max() < 0.05


def test_the_rest_of_a_long_pause_is_a_segment_of_its_own() -> None:
    random = np.random.default_rng(0)
    lengths = [0.5, 0.6, 1.0, 2.0, 1.5, 0.5]
    pauses = [0.001 * random.standard_normal(round(seconds * 16000)) for seconds in lengths]
    parts = [part for seed, pause in enumerate(pauses) for part in (tones(words(9, seed)), pause)]
    samples = np.concatenate([*parts, *(tones(words(25, seed)) for seed in range(3))]).astype(np.float32)
    found = list(cut([samples], 16000, 640))[: len(lengths) + 3]
    loud = [np.flatnonzero(np.abs(segment.samples) > 0.05) for segment in found]
    assert [len(places) > 0 for places in loud] == [True, True, True, False, True, False, True, False, True]
    for segment, places in zip(found[1:], loud[1:], strict=True):
        if len(places):
            # The tones have 0.1 s of silence themselves.
            assert max(places[0], len(segment.samples) - places[-1]) < (0.1 + PAUSE_EDGE + 0.1) * 16000


@pytest.mark.parametrize("seconds", [22, 25, 30, 35])
def test_speech_after_a_long_silence_is_recognized(seconds: float, tmp_path: Path) -> None:
    # The silence has no pause, so it is cut with margins; the segment joined to it ends in a pause soon after.
    random = np.random.default_rng(0)
    silence, pause = (0.001 * random.standard_normal(round(length * 16000)) for length in (seconds, 2))
    sound = np.concatenate([silence, tones(words(25, 1)), pause, tones(words(25, 2))])
    soundfile.write(tmp_path / "late.wav", sound, 16000)
    (found,) = Transcriber(tone_recognizer())([tmp_path / "late.wav"])
    assert isinstance(found, Transcript) and found.text == f"{words(25, 1)} {words(25, 2)}"


@pytest.mark.parametrize("minutes", [2, 4])
def test_a_recording_is_read_in_blocks_and_little_ahead_of_its_recognition(
    minutes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "WINDOW_SECONDS", 20.0)
    sound = np.concatenate([tones(words(10, 1)), np.zeros(8000)])
    path, asked, ahead, seconds = tmp_path / "long.wav", [], [], [0.0, 0.0]
    soundfile.write(path, np.resize(sound, minutes * 60 * 16000), 16000)

    class Watched(soundfile.SoundFile):  # type: ignore[misc]
        def read(self, frames: int = -1, **options: Any) -> Any:
            asked.append(frames)
            samples = super().read(frames, **options)
            seconds[0] += len(samples) / 16000
            ahead.append(seconds[0] - seconds[1])
            return samples

    def recognized(duration: float) -> None:
        seconds[1] += duration

    monkeypatch.setattr(soundfile, "SoundFile", Watched)
    (found,) = Transcriber(tone_recognizer(), each=recognized)([path])
    assert isinstance(found, Transcript) and found.seconds == 60 * minutes
    assert 0 < min(asked) <= max(asked) <= BLOCK_SECONDS * 16000
    assert max(ahead) <= 20 + 2 * LONGEST + 2 * MARGIN + BLOCK_SECONDS


@pytest.mark.parametrize("gap", ["pauses", "none"])
def test_no_word_is_lost_or_doubled_at_the_seams(gap: str, tmp_path: Path) -> None:
    sentences = [words(25, seed) for seed in range(12)]
    sound = [tones(sentence, seed=seed) for seed, sentence in enumerate(sentences)]
    if gap == "none":
        # Letters without a pause, each beginning before the one before it ends: nowhere is it quiet.
        text = words(300, 1).replace(" ", "")
        text = "".join(one for one, other in pairwise(text) if one != other)
        sentences, sound = [text], [tones(text)]
    soundfile.write(tmp_path / "long.wav", np.concatenate(sound), 16000)
    found = list(Transcriber(tone_recognizer())([tmp_path / "long.wav"]))
    assert [one.text for one in found if isinstance(one, Transcript)] == [" ".join(sentences)]
    with open_recording(tmp_path / "long.wav", 16000) as recording:
        parts = list(cut(recording.blocks, 16000, 640))
    assert len(parts) >= 4 and any(part.joined for part in parts) == (gap == "none")


def test_words_of_long_recordings_have_the_times_of_their_tones(tmp_path: Path) -> None:
    sentences = [words(25, seed) for seed in range(6)]
    sound = np.concatenate([tones(sentence, seed=seed) for seed, sentence in enumerate(sentences)])
    soundfile.write(tmp_path / "long.wav", sound, 16000)
    (found,) = Transcriber(tone_recognizer())([tmp_path / "long.wav"])
    assert isinstance(found, Transcript) and found.seconds == pytest.approx(len(sound) / 16000)
    place, expected = 0.0, []
    for sentence in sentences:
        place += 0.1
        for word in sentence.split():
            expected.append((place, place + 0.1 * len(word)))
            place += 0.1 * (len(word) + 1)
    for word, (start, end) in zip(found.words, expected, strict=True):
        assert word.start == pytest.approx(start, abs=0.07) and word.end == pytest.approx(end, abs=0.07)


def test_overlapping_segments_are_joined_where_both_write_nothing() -> None:
    frames, tokens = 40, 3
    left, right = np.full((frames, tokens), -5.0), np.full((frames, tokens), -5.0)
    # The same token in both, a frame later on the right, and blanks around the middle of the overlap.
    left[25, 1] = right[6, 1] = left[32, 2] = right[12, 2] = 0.0
    for emission in (left, right):
        written_in = emission[:, 1:].max(axis=1) > -1
        emission[~written_in, 0] = -0.1
    joined = stitch(left.astype(np.float32), 0, right.astype(np.float32), 20)
    assert len(joined) == 60
    assert [int(token) for token in joined.argmax(axis=1) if token] == [1, 2]


def test_segments_are_never_longer_than_they_may() -> None:
    noise = np.random.default_rng(0).standard_normal(16000 * 70).astype(np.float32)
    longest = max(len(segment.samples) for segment in cut(iter(np.array_split(noise, 9)), 16000, 640))
    assert longest <= (LONGEST + 2 * MARGIN) * 16000
