"""Files whose header says something else than they hold: named wherever audio is read for the first time."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.checks.audio_quality import duration_problems, header_problems
from asr.common.errors import DataError
from asr.data.audio import FILES, read_waveform
from asr.data.formats.rows import Row, utterances_of
from asr.data.headers import header_fault, header_warning
from asr.data.splits import whole_file
from asr.inference.transcription import Transcriber, Transcript
from tests.helpers.corpora import tones
from tests.helpers.tone_recognizer import tone_recognizer, words

RATE = 16000
SOUND = tones(words(60, 1))
"""Some twenty seconds."""


def sound_file(path: Path, **options: str) -> bytes:
    """Writes a sound file in the format of its ending; gives its bytes."""
    kinds = {".sph": "NIST", ".opus": "OGG", ".rf64": "RF64", ".w64": "W64"}
    soundfile.write(path, SOUND, RATE, format=kinds.get(path.suffix), **options)
    return path.read_bytes()


def sized(content: bytes, riff: int, data: int) -> bytes:
    """A WAV file with other sizes in its header."""
    return content[:4] + struct.pack("<I", riff) + content[8:40] + struct.pack("<I", data) + content[44:]


def without_length(content: bytes) -> bytes:
    """An MP3 file without its first frame, in which its length is."""
    return content[content.index(b"\xff\xf3", content.index(b"\xff\xf3") + 4) :]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


FAULTS: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "WAV of an interrupted recorder": ("a.wav", lambda b: sized(b, 0, 0), "says that it is empty"),
    "WAV with only one size missing": ("a.wav", lambda b: sized(b, len(b) - 8, 0), "says that it is empty"),
    "WAV, half": ("a.wav", half, "bytes more than the file has; it is truncated"),
    "SPHERE, half": ("a.sph", half, "it is truncated"),
    "AIFF, half": ("a.aiff", half, "it is truncated"),
    "AU, half": ("a.au", half, "it is truncated"),
    "RF64, half": ("a.rf64", half, "it is truncated"),
    "W64, half": ("a.w64", half, "it is truncated"),
    "MP3, half": ("a.mp3", half, "it is truncated"),
    "FLAC from a pipe": (
        "a.flac", lambda b: b[:21] + bytes([b[21] & 0xF0, 0, 0, 0, 0]) + b[26:], "does not say how long it is, as if",
    ),
    "Ogg Vorbis, half": ("a.ogg", half, "it is truncated"),
    "Ogg Opus, half": ("a.opus", half, "it is truncated"),
}  # fmt: skip
COMPLETE = ("flac", "ogg", "opus", "mp3", "aiff", "au", "sph", "rf64", "w64", "caf")
SOUND_ONES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "WAV": ("a.wav", bytes),
    "WAV from a pipe": ("a.wav", lambda b: sized(b, 0xFFFFFFFF, 0xFFFFFFFF)),
    "WAV from a pipe of sox": ("a.wav", lambda b: sized(b, 0x7FFFF024, 0x7FFFF000)),
    "WAV with another size of the whole": ("a.wav", lambda b: sized(b, 100, len(b) - 44)),
    "WAV with a chunk of odd size": ("a.wav", lambda b: b[:36] + b"LIST\5\0\0\0INFOx\0" + b[36:]),
    "WAV with a chunk behind": ("a.wav", lambda b: b + b"LIST" + struct.pack("<I", 4000) + b"x" * 4000),
    "WAV with a tag behind": ("a.wav", lambda b: b + b"TAG" + b"x" * 125),
    "WAV with zeros behind": ("a.wav", lambda b: b + bytes(4096)),
    "AU from a pipe": ("a.au", lambda b: b[:8] + b"\xff" * 4 + b[12:]),
    **{kind: (f"a.{kind}", bytes) for kind in COMPLETE},
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_a_header_that_is_wrong_is_named_wherever_the_file_is_read(kind: str, tmp_path: Path) -> None:
    name, spoil, sentence = FAULTS[kind]
    path = tmp_path / name
    path.write_bytes(spoil(sound_file(path)))
    fault = header_fault(path)
    assert fault is not None and sentence in fault and f"`ffmpeg -i {path} fixed-{name}`" in fault
    prepared = []
    if "truncated" in sentence and path.suffix != ".mp3":
        # The corpus check names it, and can leave it out.
        (one,) = utterances_of({None: [Row(path, "A")]}, tmp_path)[None]
        assert one == whole_file(path, "A", "") and 0 < one.samples < len(SOUND)
        assert [fault in problem.message for problem in header_problems(one, FILES)] == [True]
    else:
        for prepare in (lambda: utterances_of({None: [Row(path, "A")]}, tmp_path), lambda: whole_file(path, "A", "")):
            with pytest.raises(DataError) as refused:
                prepare()
            prepared.append(refused.value)
    (transcribed,) = Transcriber(tone_recognizer())([path])
    with pytest.raises(DataError) as by_library:
        tone_recognizer().transcribe([path])
    for said in (*prepared, transcribed, by_library.value):
        assert isinstance(said, DataError) and str(path) in str(said) and fault in str(said)


@pytest.mark.parametrize("kind", SOUND_ONES)
def test_a_header_that_is_right_or_says_nothing_is_no_fault(kind: str, tmp_path: Path) -> None:
    name, change = SOUND_ONES[kind]
    path = tmp_path / name
    path.write_bytes(change(sound_file(path)))
    assert (header_fault(path), header_warning(path)) == (None, None)
    assert whole_file(path, "A", "").samples == pytest.approx(len(SOUND), rel=0.02)


def test_audio_that_the_header_does_not_count_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "a.wav", tmp_path / "a.mp3"):
        content = sound_file(path)
        counted = sized(content, 36 + 64000, 64000) if path.suffix == ".wav" else content + content
        path.write_bytes(counted)
        assert "more follow, which are not read; write it again with `ffmpeg " in str(header_warning(path))
        (transcript,) = Transcriber(tone_recognizer())([path])
        assert isinstance(transcript, Transcript) and "more follow" in str(transcript.note)


def mp3_without_length(path: Path, loudness: tuple[float, float]) -> int:
    """Writes five loud or soft seconds and ten others, which take more or fewer bits; gives the samples."""
    noise = np.random.default_rng(0).standard_normal(15 * RATE)
    soundfile.write(path, noise * np.repeat(loudness, (5 * RATE, 10 * RATE)), RATE)
    path.write_bytes(without_length(path.read_bytes()))
    return len(noise)


def test_an_mp3_file_that_would_be_read_in_part_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    samples = mp3_without_length(path, (0.3, 0.0))
    assert soundfile.info(path).frames < 0.3 * samples, "libsndfile takes its length from the first second"
    (transcribed,) = Transcriber(tone_recognizer())([path])
    assert "3.7 of its 15.1 s would be read; write it again with `ffmpeg" in str(transcribed)
    with pytest.raises(DataError, match=r"3\.7 of its 15\.1 s would be read"):
        whole_file(path, "A", "")


def test_the_length_of_an_mp3_file_that_does_not_say_it_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    samples = mp3_without_length(path, (0.0, 0.3))
    assert soundfile.info(path).frames > 1.5 * samples
    utterance = whole_file(path, "A", "")
    (of_folder,) = utterances_of({None: [Row(path, "A")]}, tmp_path)[None]
    assert utterance.samples == of_folder.samples == len(read_waveform(utterance))
    assert utterance.samples == pytest.approx(samples, abs=2500)
    assert [*duration_problems(utterance)] == [] == [*header_problems(utterance, FILES)]
    (transcript,) = Transcriber(tone_recognizer())([path])
    assert isinstance(transcript, Transcript) and transcript.seconds == pytest.approx(utterance.duration, abs=0.1)
