"""Arguments as bad luck makes them: empty variables, paths that no shell expanded, folders that are gone, and runs that
lost a part. Each is refused in one sentence that helps, or does what is meant."""

import shutil
from pathlib import Path

import pytest

from asr.commands.cli import main
from asr.commands.subjects import given_run
from asr.common.errors import RunError
from asr.inference.recognizer import load
from asr.model.folder import save_model
from tests.helpers.compared_runs import write_run
from tests.helpers.corpora import write_utterance
from tests.helpers.refusals import Capture, refused, threads, write_tiny  # noqa: F401  a fixture
from tests.helpers.tone_recognizer import tone_recognizer


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the recipe tiny, which is prepared, and two runs of AN4."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    for model, rate in (("gru", 0.2), ("lstm", 0.3)):
        write_run(tmp_path / "runs" / "an4", model, seed=1, wrong=[0], curve={10.0: rate})
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        ["report", "runs/an4", "-o", ""],
        ["transcribe", "model", ""],
        ["new", "mine", ""],
        ["runs", ""],
        ["export", "tiny", "--to", "nemo", "-o", ""],
        ["errors", "runs/an4", "--split", ""],
    ],
)
def test_an_empty_argument_is_no_current_folder(line: list[str], place: Path, capsys: Capture) -> None:
    before = sorted(place.rglob("*"))
    assert "an argument is empty, which would be the current folder" in refused(capsys, *line)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("given", ["--output=~/out", "-o~/out", "--output"])
def test_a_flag_may_begin_at_home(given: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell makes a path of ~ within a word."""
    monkeypatch.setenv("HOME", str(place / "home"))
    flags = [given] if "~" in given else [given, "~/out"]
    assert main(["export", "tiny", "--to", "nemo", *flags]) == 0
    assert (place / "home/out/train.json").is_file() and not (place / "~").exists()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (["export", "tiny", "--to", "nemo", "-o", "/proc/out"], "The folder /proc/out cannot be made"),
        (["report", "runs/an4", "-o", "/proc/deep/er"], "The folder /proc/deep/er cannot be made"),
        (["check", "tiny", "check.json=/proc/new/f.json"], "The folder /proc/new cannot be made"),
        (["check", "tiny", "check.json=tiny"], "tiny cannot be used (Is a directory): choose another path"),
        (["export", "tiny", "--to", "nemo", "-o", "tiny/recipe.yaml/x"], "(Not a directory): choose another path"),
        (["check", "tiny", f"check.json={'x' * 250}.json"], "x.json cannot be used (File name too long): choose"),
    ],
)
@pytest.mark.usefixtures("place")
def test_where_nothing_can_be_written_the_path_is_named(line: list[str], named: str, capsys: Capture) -> None:
    assert named in refused(capsys, *line)


@pytest.mark.parametrize("line", [["prepare", "tiny"], ["export", "tiny", "--to", "nemo", "-o", "x"], ["plan", "tiny"]])
def test_a_current_folder_that_is_gone_is_told(line: list[str], place: Path, capsys: Capture) -> None:
    (place / "gone").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place / "gone")
        (place / "gone").rmdir()
        line = [str(place / word) if word == "tiny" else word for word in line]
        assert "The current folder has been deleted: change to another" in refused(capsys, *line)


@pytest.mark.parametrize("given", ["gpu", "cuda:77", "meta", ""])
def test_a_device_that_is_none_is_refused(given: str, tmp_path: Path) -> None:
    recognizer = tone_recognizer()
    save_model(tmp_path, recognizer.model, recognizer.config, recognizer.tokenizer)
    with pytest.raises(Exception, match=f"The device '{given}' .*: use cpu, or cuda on a GPU") as caught:
        load(tmp_path, given)
    assert type(caught.value).__name__ == "ConfigError" and "\n" not in str(caught.value)


def without_settings(run: Path) -> None:
    (run / "model").mkdir(exist_ok=True)
    shutil.move(run / "config.yaml", run / "model" / "config.yaml")


@pytest.mark.parametrize(
    "line", [["evaluate"], ["train"], ["tune"], ["calibrate"], ["compare", "runs/an4/gru-10"], ["plan"]]
)
def test_a_run_that_lost_its_settings_is_told_from_a_recipe(line: list[str], place: Path, capsys: Capture) -> None:
    run = place / "runs/an4/lstm-10"
    without_settings(run)
    said = refused(capsys, line[0], str(run), *line[1:])
    assert f"{run} has no config.yaml, which every run has: put it back, as a copy of {run}/model/config.yaml" in said
    with pytest.raises(RunError, match=r"has no config\.yaml"):
        given_run(run)


@pytest.mark.usefixtures("place")
def test_a_run_that_lost_its_settings_is_not_left_out_silently(capsys: Capture) -> None:
    without_settings(Path("runs/an4/lstm-10"))
    for given in ([], ["an4"], ["runs/an4"]):
        assert main(["runs", *given]) == 0
        printed = capsys.readouterr()
        assert "gru-10" in printed.out and "lstm-10" not in printed.out
        assert "runs/an4/lstm-10 is left out: it has no config.yaml, which every run has" in printed.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("an4", "an4 has 2 runs: name one, as runs/an4/gru-10, or an4/best"),
        ("runs/an4", "runs/an4 has 2 runs: name one, as runs/an4/gru-10, or runs/an4/best"),
        ("nope", "No run at nope: give its folder, its hash, or RECIPE/best"),
    ],
)
@pytest.mark.parametrize("command", ["tune", "calibrate"])
@pytest.mark.usefixtures("place")
def test_what_is_no_run_but_has_some_names_them(command: str, given: str, said: str, capsys: Capture) -> None:
    assert said in refused(capsys, command, given)


@pytest.mark.usefixtures("place")
def test_a_run_that_is_named_twice_is_listed_once(capsys: Capture) -> None:
    for given in (["an4", "an4"], ["an4", "runs/an4"], ["an4", "runs/an4/gru-10"]):
        assert main(["runs", *given, "--csv"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("asked", [["--split", "train"], ["--decoder", "beam"], ["--split", "tset"]])
@pytest.mark.usefixtures("place")
def test_an_evaluation_that_no_run_has_is_told(asked: list[str], capsys: Capture) -> None:
    said = refused(capsys, "runs", "an4", *asked)
    assert "No run has such an evaluation, only of " in said and "test with greedy" in said


@pytest.mark.usefixtures("place")
def test_a_split_that_was_not_evaluated_is_evaluated_as_advised(capsys: Capture) -> None:
    said = refused(capsys, "errors", "runs/an4/gru-10", "--split", "train")
    assert f"run `asr evaluate {Path('runs/an4/gru-10').absolute()} 'evaluation.splits=[train]'`" in said


@pytest.mark.usefixtures("place")
def test_a_split_that_there_is_not_is_not_prepared_in_vain(capsys: Capture) -> None:
    said = refused(capsys, "pack", "tiny", "evaluation.splits=[dev,other]")
    assert "There is no split other in " in said and "only dev, test, train: name one of them" in said


@pytest.mark.usefixtures("place")
def test_missing_shards_are_made_as_advised(capsys: Capture) -> None:
    said = refused(capsys, "check", "tiny", "shards.source=packed")
    assert "make them with `asr pack tiny shards.source=packed shards.source=null`" in said
    assert main(["pack", "tiny", "shards.source=packed", "shards.source=null"]) == 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("clips", "clips is a folder, where a recording belongs: name a file in it"),
        ("/dev/null", "/dev/null is a pipe or a device: write the audio to a file, or to standard input"),
        ("nope.wav", "nope.wav: there is no such file; correct the path"),
    ],
)
def test_what_is_no_recording_is_told_as_what_it_is(path: str, said: str, place: Path, capsys: Capture) -> None:
    write_utterance(place / "clips/a.wav", "YES")
    (place / "list.txt").write_text(f"clips/a.wav\n{path}\n")
    recognizer = tone_recognizer()
    save_model(place / "model", recognizer.model, recognizer.config, recognizer.tokenizer)
    assert said in refused(capsys, "transcribe", "model", "@list.txt")


@pytest.mark.parametrize("output", ["runs/an4/gru-10", "tiny", "."])
def test_a_comparison_is_not_written_among_other_files(output: str, place: Path, capsys: Capture) -> None:
    """A run has files of the same names, which would be lost."""
    before = {path: path.stat().st_size for path in place.rglob("*")}
    said = refused(capsys, "compare", "runs/an4/gru-10", "runs/an4/lstm-10", "-o", output)
    assert f"{output} has other files: set -o to an empty folder, or to that of an earlier comparison" in said
    assert before == {path: path.stat().st_size for path in place.rglob("*")}


@pytest.mark.usefixtures("place")
def test_a_decoder_that_was_not_used_is_told_from_those_that_were(capsys: Capture) -> None:
    said = refused(capsys, "compare", "runs/an4/gru-10", "runs/an4/lstm-10", "--decoder", "beam")
    assert "gru-10 was evaluated with greedy and not with beam: give --decoder" in said
