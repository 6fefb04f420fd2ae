"""Recordings of several channels, and those that FFmpeg decodes: nothing of them is lost without a word."""

import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.common.errors import DataError
from asr.data.conversion import convert
from asr.data.recording import open_recording
from asr.data.splits import whole_file
from asr.inference.transcription import Transcriber, Transcript
from tests.helpers.corpora import tones
from tests.helpers.tone_recognizer import tone_recognizer

RATE = 16000
TEXT = "ONE TWO FOUR"
LEFT, OTHER = tones(TEXT), tones("SIX TEN NINE")


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """FFmpeg's program, on PATH under its name."""
    if shutil.which("ffmpeg") is None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "ffmpeg").symlink_to(pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe())
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return str(shutil.which("ffmpeg"))


def write(path: Path, *channels: np.ndarray) -> Path:  # type: ignore[type-arg]
    length = min(map(len, channels))
    soundfile.write(path, np.stack([channel[:length] for channel in channels], axis=1), RATE)
    return path


OPPOSITE = {
    "inverted": (LEFT, -LEFT),
    "inverted and softer": (LEFT, -0.9 * LEFT),
    "four": (LEFT, -LEFT, OTHER, -OTHER),
}
AUDIBLE = {
    "the same twice": (LEFT, LEFT),
    "one is silent": (LEFT, 0 * LEFT),
    "two speakers": (LEFT, OTHER),
    "all are silent": (0 * LEFT, 0 * LEFT),
    "eight independent ones": tuple(np.random.default_rng(0).normal(0, 0.1, (8, RATE))),
}


@pytest.mark.parametrize(
    ("kind", "ending"),
    [*product(OPPOSITE, ["wav", "flac"]), *product(["inverted", "inverted and softer"], ["mp3", "m4a"])],
)
def test_channels_that_cancel_each_other_out_are_named(kind: str, ending: str, ffmpeg: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "m4a":
        write(tmp_path / "b.wav", *OPPOSITE[kind])
        subprocess.run([ffmpeg, "-v", "error", "-i", tmp_path / "b.wav", path], check=True, timeout=60)
    else:
        write(path, *OPPOSITE[kind])
    (transcribed,) = Transcriber(tone_recognizer())([path])
    assert isinstance(transcribed, DataError) and f"{path}: its channels are of opposite phase" in str(transcribed)
    with pytest.raises(DataError, match="of opposite phase"):
        tone_recognizer().transcribe([path])
    if ending != "m4a":
        with pytest.raises(DataError, match="of opposite phase"):
            convert({"train": [whole_file(path, TEXT, "")]}, tmp_path / "out", RATE)


@pytest.mark.parametrize("kind", AUDIBLE)
def test_other_channels_are_averaged(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", *AUDIBLE[kind])
    (transcribed,) = Transcriber(tone_recognizer())([path])
    assert isinstance(transcribed, Transcript) and "the mean of" in str(transcribed.note)
    (converted,) = convert({"train": [whole_file(path, TEXT, "")]}, tmp_path / "out", RATE)["train"]
    with open_recording(path, RATE) as recording:
        mean = np.concatenate([*recording.blocks])
    assert np.abs(soundfile.read(converted.audio_filepath)[0] - mean).max() < 1e-4


def test_the_remedy_for_opposite_phase_works(ffmpeg: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", LEFT, -LEFT)
    (refused,) = Transcriber(tone_recognizer())([path])
    remedy = str(refused).split("`")[1].replace("FILE", str(path)).replace("FIXED", str(tmp_path / "fixed"))
    subprocess.run(remedy, shell=True, check=True, timeout=60)
    (transcribed,) = Transcriber(tone_recognizer())([tmp_path / "fixed.wav"])
    assert isinstance(transcribed, Transcript) and transcribed.text == TEXT


@pytest.mark.parametrize(("name", "options"), [("a.m4a", ["-movflags", "+faststart"]), ("a.webm", ["-c:a", "libopus"])])
def test_a_file_that_ffmpeg_finds_truncated_is_named(
    name: str, options: list[str], ffmpeg: str, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "b.wav", np.tile(LEFT, 4), RATE)
    path = tmp_path / name
    subprocess.run([ffmpeg, "-v", "error", "-i", tmp_path / "b.wav", *options, path], check=True, timeout=60)
    with open_recording(path, RATE) as recording:
        assert sum(map(len, recording.blocks)) == pytest.approx(4 * len(LEFT), rel=0.05)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    (transcribed,) = Transcriber(tone_recognizer())([path])
    assert isinstance(transcribed, DataError) and f"{path}: it is truncated, as FFmpeg says (" in str(transcribed)
