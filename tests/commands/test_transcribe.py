"""`asr transcribe` and `asr align`: any format, any length, and files that cannot be transcribed."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from asr.commands import transcribe
from asr.commands.cli import main
from asr.common.errors import DataError
from asr.data.recording import open_recording
from asr.decoding.search import tuning_folder
from asr.inference import finished_run, transcription_jobs
from asr.inference.transcript_formats import ENDINGS, formatted
from asr.inference.transcription import Transcriber, Transcript, Word
from asr.lm.ngram import saved_language_model
from asr.model.folder import save_model
from asr.settings.lm import LmUnits
from asr.text.char import CharTokenizer
from tests.helpers.corpora import tones
from tests.helpers.emissions import CHARACTERS, language_model
from tests.helpers.models import random_recognizer
from tests.helpers.tone_recognizer import tone_recognizer, words

TEXT = "ONE TWO FOUR"


@pytest.fixture
def tone_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    recognizer = tone_recognizer()
    save_model(tmp_path / "model", recognizer.model, recognizer.config, recognizer.tokenizer)
    monkeypatch.setattr(finished_run, "load", lambda folder, device: recognizer)
    return str(tmp_path / "model")


def ffmpeg(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """FFmpeg's program, on PATH under its name."""
    if shutil.which("ffmpeg") is None:
        folder.mkdir()
        (folder / "ffmpeg").symlink_to(pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe())
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return str(shutil.which("ffmpeg"))


def write_formats(folder: Path) -> dict[str, Path]:
    """The same words in formats that libsndfile reads."""
    folder.mkdir(parents=True, exist_ok=True)
    at = {rate: resample(torch.from_numpy(tones(TEXT)), 16000, rate).numpy() for rate in (8000, 44100, 48000)}
    stereo = np.stack([at[44100], at[44100]], axis=1)
    soundfile.write(folder / "a.mp3", at[44100], 44100)
    soundfile.write(folder / "b.flac", stereo, 44100)
    soundfile.write(folder / "c.opus", at[48000], 48000, format="OGG", subtype="OPUS")
    soundfile.write(folder / "d.wav", at[8000], 8000, subtype="ULAW")
    return {path.name: path for path in sorted(folder.iterdir())}


def test_every_format_is_transcribed_and_bad_files_do_not_stop_the_others(
    tone_model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = write_formats(tmp_path / "in")
    (tmp_path / "in/e.wav").touch()
    (tmp_path / "in/f.wav").write_text("not audio")
    soundfile.write(tmp_path / "in/g.wav", np.zeros(160), 16000)
    soundfile.write(tmp_path / "in/h.wav", np.zeros(32000), 16000)
    with pytest.raises(SystemExit) as stop:
        main(["transcribe", tone_model, str(tmp_path / "in"), "--format", "txt", "json", "-o", str(tmp_path / "out")])
    assert stop.value.code == 2
    said = capfd.readouterr().err
    for name in files:
        assert (tmp_path / "out" / name).with_suffix(".txt").read_text() == TEXT + "\n", name
    assert (tmp_path / "out/h.txt").read_text() == "\n"
    assert json.loads((tmp_path / "out/h.json").read_text())["words"] == []
    assert "44100 Hz resampled to 16000 Hz" in said and "the mean of 2 channels" in said
    assert "e.wav: the file is empty" in said
    assert "f.wav" in said and "Traceback" not in said
    assert "g.wav: its 10 ms of sound are shorter than the window of features.window_ms=25" in said
    assert "3 of 8 files could not be transcribed" in said
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.txt")) == ["a", "b", "c", "d", "h"]


def test_ffmpeg_reads_what_libsndfile_cannot(
    tone_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = ffmpeg(monkeypatch, tmp_path / "bin")
    soundfile.write(tmp_path / "a.wav", tones(TEXT), 16000)
    command = [program, "-v", "error", "-i", tmp_path / "a.wav", "-c:a", "aac", "-ar", "44100", tmp_path / "-a.m4a"]
    subprocess.run(command, check=True, timeout=60)
    monkeypatch.chdir(tmp_path)
    assert main(["transcribe", tone_model, "./-a.m4a"]) == 0
    printed = capfd.readouterr()
    assert printed.out == TEXT + "\n" and "decoded by FFmpeg" in printed.err
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(SystemExit):
        main(["transcribe", tone_model, "text.wav"])
    assert "neither libsndfile nor FFmpeg can decode it" in capfd.readouterr().err
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit):
        main(["transcribe", tone_model, "./-a.m4a"])
    assert "FFmpeg, which reads more formats, is not installed" in capfd.readouterr().err


def test_standard_input_and_lists_are_transcribed(
    tone_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Input:
        buffer = io.BytesIO()

    soundfile.write(tmp_path / "a.wav", tones(TEXT), 16000)
    Input.buffer = io.BytesIO((tmp_path / "a.wav").read_bytes())
    monkeypatch.setattr(sys, "stdin", Input)
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'a.wav'}\n\n")
    assert main(["transcribe", tone_model, "-", f"@{tmp_path / 'list.txt'}", f"--list={tmp_path / 'list.txt'}"]) == 0
    assert capfd.readouterr().out == f"-\t{TEXT}\n{tmp_path / 'a.wav'}\t{TEXT}\n"


def test_a_pipe_is_transcribed_as_its_file_is(tone_model: str, tmp_path: Path) -> None:
    audio = tmp_path / "a.wav"
    soundfile.write(audio, tones(TEXT), 16000)
    command = [sys.executable, "-m", "asr", "transcribe", tone_model]
    piped = subprocess.run([*command, "-"], input=audio.read_bytes(), stdout=subprocess.PIPE, check=True, timeout=300)
    of_file = subprocess.run([*command, str(audio)], stdout=subprocess.PIPE, check=True, timeout=300)
    assert piped.stdout == of_file.stdout != b""


def test_several_processes_write_what_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transcription_jobs, "GROUP_SECONDS", 20.0)  # each file is a group of its own
    waveforms = [torch.from_numpy(tones(words(30, seed), seed=seed)) for seed in range(3)]
    random = random_recognizer([], waveforms)
    save_model(tmp_path / "model", random.model, random.config, random.tokenizer)
    files = []
    for number, waveform in enumerate(waveforms):
        files.append(str(tmp_path / f"{number}.wav"))
        soundfile.write(files[-1], waveform.numpy(), 16000)
    outputs = []
    for jobs in ("1", "2"):
        assert main(["transcribe", str(tmp_path / "model"), *files, "--jobs", jobs]) == 0
        outputs.append(capfd.readouterr().out)
    assert outputs[0] == outputs[1] and outputs[0].count("\n") == 3 and len(outputs[0]) > 250


def test_two_files_that_would_become_one_are_refused(
    tone_model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_formats(tmp_path / "in")
    shutil.copy(tmp_path / "in/a.mp3", tmp_path / "in/a.wav")
    for arguments, sentence in (
        ([str(tmp_path / "in"), "-o", str(tmp_path / "out")], "would both become"),
        ([str(tmp_path / "model")], "holds no audio file"),
        ([], "nothing to transcribe"),
        ([str(tmp_path / "in"), "--format", "srt", "vtt"], "name a folder with -o"),
        ([str(tmp_path / "in"), "--beam", "5"], "--lm asks for"),
        ([str(tmp_path / "in"), "--hot-words", "ONE"], "--lm asks for"),
        ([str(tmp_path / "in"), "--lm", str(tmp_path)], "No n-gram model at"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["transcribe", tone_model, *arguments])
        assert stop.value.code == 2 and sentence in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_search_uses_the_weights_tuned_for_the_run_unless_a_flag_sets_them(
    tone_model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lm = language_model(tmp_path, ["ONE TWO", "TWO ONE"], LmUnits.words, CHARACTERS)
    soundfile.write(tmp_path / "a.wav", tones(TEXT), 16000)
    said = []
    tuned = tuning_folder(tmp_path, saved_language_model(lm).key)
    for place, flags in ((tone_model, []), (tone_model, []), (str(tmp_path), ["--lm-weight", "0.25"])):
        assert main(["transcribe", place, str(tmp_path / "a.wav"), "--lm", str(lm), *flags]) == 0
        said.append(capfd.readouterr().err)
        tuned.mkdir(parents=True, exist_ok=True)
        (tuned / "weights.json").write_text('{"beam": 20, "lm_weight": 1.25, "word_score": 2}')
    assert "beam 50" in said[0] and "at 0.5, word score 0; `asr tune RUN` finds better" in said[0]
    assert "beam 20" in said[1] and "at 1.25, word score 2." in said[1]
    assert "beam 20" in said[2] and "at 0.25, word score 2." in said[2]


def test_hot_words_are_recognized_that_the_language_model_does_not_know(
    tone_model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lm = language_model(tmp_path, ["ONE TWO", "TWO ONE"], LmUnits.words, CHARACTERS)
    soundfile.write(tmp_path / "a.wav", tones(TEXT), 16000)
    command = ["transcribe", tone_model, str(tmp_path / "a.wav"), "--lm", str(lm)]
    assert main(command) == 0
    assert "FOUR" not in capfd.readouterr().out
    assert main([*command, "--hot-words", "FOUR", "--hot-word-boost", "20"]) == 0
    assert capfd.readouterr().out == TEXT + "\n"


def test_a_language_model_of_other_tokens_is_refused(
    tone_model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", tones(TEXT), 16000)
    folder = tmp_path / "ngram3-tokens"
    folder.mkdir()
    language_model(folder, ["ONE TWO"], LmUnits.tokens, CharTokenizer("ENOTW \u00e9"))
    arpa = (folder / "lm.arpa").read_text()
    (folder / "report.json").write_text('{"settings": {"units": "tokens"}}')
    command = ["transcribe", tone_model, str(tmp_path / "a.wav"), "--lm", str(folder)]
    assert main(command) == 0
    (folder / "lm.arpa").write_text(arpa.replace("E", "\u00e9"))
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 2 and "is over other tokens than the model writes" in capfd.readouterr().err


@pytest.mark.parametrize("old", [8000, 11025, 44100, 48000])
def test_resampling_block_by_block_gives_what_the_whole_gives(old: int, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 12 * old + 123).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, old, subtype="FLOAT")
    with open_recording(tmp_path / "a.wav", 16000) as recording:
        found = np.concatenate(list(recording.blocks))
    expected = resample(torch.from_numpy(samples), old, 16000).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4


WORDS = [Word("A<B", 0.5, 1.25, 0.75), Word('SAY"', 1.3, 2.0, None), Word("LATE", 3661.5, 3662.0, 1.0)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("txt", 'A<B SAY" LATE\n'),
        ("ctm", 'my_talk 1 0.500 0.750 A<B 0.7500\nmy_talk 1 1.300 0.700 SAY"\nmy_talk 1 3661.500 0.500 LATE 1.0000\n'),
        ("srt", '1\n00:00:00,500 --> 00:00:02,000\nA<B SAY"\n\n2\n01:01:01,500 --> 01:01:02,000\nLATE\n'),
        ("vtt", 'WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nA&lt;B SAY"\n\n01:01:01.500 --> 01:01:02.000\nLATE\n'),
    ],
)
def test_formats_are_as_their_readers_expect(name: str, expected: str) -> None:
    assert formatted(Transcript(Path("my talk.wav"), 4000.0, WORDS), name) == expected


def test_every_format_of_the_command_line_can_be_formatted() -> None:
    assert set(transcribe.FORMATS) == set(ENDINGS)
    assert all(formatted(Transcript(Path("a.wav"), 1.0, []), name) is not None for name in transcribe.FORMATS)


def test_a_textgrid_covers_the_whole_time() -> None:
    lines = [line.strip() for line in formatted(Transcript(Path("a.wav"), 4000.0, WORDS), "textgrid").splitlines()]
    assert lines[:2] == ['File type = "ooTextFile"', 'Object class = "TextGrid"']
    edges = [float(line.split(" = ")[1]) for line in lines if line.startswith(("xmin", "xmax"))][4:]
    assert edges[0] == 0 and edges[-1] == 4000 and edges[1:-1:2] == edges[2::2]
    assert 'text = "SAY"""' in lines and f"intervals: size = {len(edges) // 2}" in lines
    assert 'text = ""' in formatted(Transcript(Path("a.wav"), 1.0, []), "textgrid")


def test_a_given_text_is_aligned_with_a_long_recording(
    tone_model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sentences = [words(25, seed) for seed in range(6)]
    sound = np.concatenate([tones(sentence, seed=seed) for seed, sentence in enumerate(sentences)])
    soundfile.write(tmp_path / "long.wav", sound, 16000)
    (tmp_path / "text.txt").write_text(", ".join(sentences).lower())
    with pytest.raises(SystemExit) as stop:
        main(["align", tone_model, str(tmp_path / "long.wav"), str(tmp_path / "text.txt")])
    assert stop.value.code == 2 and "--normalize" in capfd.readouterr().err
    assert main(["align", tone_model, str(tmp_path / "long.wav"), str(tmp_path / "text.txt"), "--normalize"]) == 0
    rows = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert [row[4] for row in rows] == " ".join(sentences).split()
    place = 0.1
    for row, word in zip(rows, sentences[0].split(), strict=False):
        assert float(row[2]) == pytest.approx(place, abs=0.07)
        place += 0.1 * (len(word) + 1)
    (tmp_path / "text.txt").write_text(" ".join(sentences * 9))
    with pytest.raises(SystemExit):
        main(["align", tone_model, str(tmp_path / "long.wav"), str(tmp_path / "text.txt")])
    assert "goes beyond it" in capfd.readouterr().err


def test_a_file_that_ends_within_its_header_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", tones(TEXT), 16000)
    (tmp_path / "half.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:40])
    (found,) = Transcriber(tone_recognizer())([tmp_path / "half.flac"])
    assert isinstance(found, DataError) and "half.flac" in str(found)
