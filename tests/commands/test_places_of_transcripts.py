"""Where transcripts go: below the folder that is given, one for each recording, and never over a reference."""

from pathlib import Path

import pytest

from asr.commands.cli import main
from asr.inference import finished_run
from asr.inference.transcription_jobs import find_recordings, output_places
from asr.model.folder import save_model
from tests.helpers.corpora import write_utterance
from tests.helpers.refusals import Capture, refused, threads  # noqa: F401  a fixture
from tests.helpers.tone_recognizer import tone_recognizer


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with model/, here/a.wav, its reference, and there/b.wav."""
    recognizer = tone_recognizer()
    save_model(tmp_path / "model", recognizer.model, recognizer.config, recognizer.tokenizer)
    monkeypatch.setattr(finished_run, "load", lambda folder, device: recognizer)
    write_utterance(tmp_path / "here/a.wav", "ONE")
    write_utterance(tmp_path / "there/b.wav", "TWO")
    (tmp_path / "here/a.txt").write_text("OF AN ANNOTATOR\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["here/a.wav", "here/../there/b.wav"], {"here/a", "there/b"}),
        (["here/a.wav", "./there/../there/b.wav"], {"here/a", "there/b"}),
        (["here/../here/a.wav", "here/a.wav"], {"a"}),
        (["here/a.wav", "here"], {"a"}),
    ],
)
def test_transcripts_stay_below_the_folder_of_the_output(files: list[str], expected: set[str], place: Path) -> None:
    places = output_places(find_recordings(files, None), place / "out", ["txt"])
    assert {str(path.relative_to(place / "out")) for path in places.values()} == expected


def test_a_recording_in_a_folder_beside_the_current_one_stays_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "here")
    assert main(["transcribe", "../model", "a.wav", "../there/b.wav", "-o", "out"]) == 0
    assert sorted(path.name for path in (place / "here/out").rglob("*.txt")) == ["a.txt", "b.txt"]
    assert not list((place / "there").glob("*.txt"))


@pytest.mark.parametrize(
    "line", [["here", "-o", "here"], ["here/a.wav", "-o", "there/../here"], ["here/a.wav", "--output=./here"]]
)
def test_a_reference_is_not_written_over(line: list[str], place: Path, capsys: Capture) -> None:
    said = refused(capsys, "transcribe", "model", *line)
    assert "a.txt lies beside here/a.wav already and may be its reference: give another folder for -o" in said
    assert (place / "here/a.txt").read_text() == "OF AN ANNOTATOR\n"


def test_other_formats_are_written_beside_a_recording_and_elsewhere_again(place: Path) -> None:
    for _ in range(2):
        assert main(["transcribe", "model", "here", "-o", "out"]) == 0
    assert main(["transcribe", "model", "here", "-o", "here", "--format", "json"]) == 0
    assert (place / "here/a.json").is_file() and (place / "here/a.txt").read_text() == "OF AN ANNOTATOR\n"


def test_the_text_that_is_aligned_is_not_written_over(place: Path, capsys: Capture) -> None:
    (place / "here/a.txt").write_text("ONE")
    said = refused(capsys, "align", "model", "here/a.wav", "here/a.txt", "-o", "here", "--format", "txt")
    assert "may be its reference" in said and (place / "here/a.txt").read_text() == "ONE"


@pytest.mark.usefixtures("place")
def test_what_is_aligned_is_given_behind_its_recording(capsys: Capture) -> None:
    assert "a.wav is a recording, which comes first: AUDIO TEXT" in refused(
        capsys, "align", "model", "here/a.txt", "here/a.wav"
    )
    Path("odd.txt").write_text("ONE 7")
    assert "--normalize" in refused(capsys, "align", "model", "here/a.wav", "odd.txt")
    said = refused(capsys, "align", "model", "here/a.wav", "odd.txt", "--normalize")
    assert "'7'" in said and "--normalize" not in said, "what was given already is not advised"
