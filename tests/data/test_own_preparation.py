"""Preparing a corpus of the user's own: no setting is ignored, no audio is that of before, no job meets another."""

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from asr.commands import prepare
from asr.commands.cli import main
from asr.common import files as folders
from asr.common.errors import DataError
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.own import RECORD
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.settings.compose import compose
from asr.settings.recipe import Recipe, find_recipe
from tests.helpers.corpora import write_utterance
from tests.helpers.refusals import Capture, refused

RATE = 16000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of three splits."""
    for split in SPLITS:
        one = write_utterance(tmp_path / "source" / split / f"{split}.wav", "YES NO")
        one.audio_filepath.with_suffix(".txt").write_text("Yes, no!")
    return tmp_path / "source"


def prepared(source: Path, data: Path, *overrides: str) -> dict[str, Utterance]:
    """What is prepared, by id."""
    recipe = find_recipe("own")
    config = compose(recipe, [f"paths.data={data}", "name=test", f"data.source={source}", *overrides])
    prepare.run(recipe, config)
    return {one.id: one for split in SPLITS for one in read_manifest(recipe.manifest(config, split))}


def afresh(data: Path) -> None:
    """Takes away the manifests, as somebody may who prepares again, and nothing else."""
    for path in [*data.glob("own/*.json*")]:
        path.unlink()


@pytest.mark.parametrize(
    ("override", "there"),
    [
        ("text.normalize=true", "text.normalize=false"),
        ("data.convert=true", "data.convert=false"),
        ("data.held_out=0.2", "data.held_out=0.1"),
        ("data.format=folder", "data.format=auto"),
        ("data.columns={text: words}", "data.columns={}"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(override: str, there: str, source: Path, tmp_path: Path) -> None:
    prepared(source, tmp_path / "data")
    with pytest.raises(DataError) as refused:
        prepared(source, tmp_path / "data", override)
    assert there in str(refused.value) and override.split("=")[0] in str(refused.value).split("not with")[1]
    prepared(source, tmp_path / "data", "text.case=upper", "data.sampling_rate=8000")  # which decide nothing here


def test_what_was_prepared_before_settings_were_recorded_is_taken(source: Path, tmp_path: Path) -> None:
    prepared(source, tmp_path / "data")
    (tmp_path / "data/own" / RECORD).write_text(f'{{"source": "{source}"}}\n')
    prepared(source, tmp_path / "data", "text.normalize=true")
    with pytest.raises(DataError, match=r"was prepared with data\.source="):
        prepared(tmp_path, tmp_path / "data")


def write_kaldi(folder: Path, entries: Mapping[str, str], segments: Mapping[str, str] | None = None) -> Path:
    """A data directory in which every utterance says YES."""
    folder.mkdir(exist_ok=True)
    names = [*(entries if segments is None else segments)]
    tables = {"wav.scp": entries, "text": dict.fromkeys(names, "YES"), "segments": segments or {}}
    for name, table in tables.items():
        (folder / name).write_text("".join(f"{key} {rest}\n" for key, rest in table.items()))
    if segments is None:
        (folder / "segments").unlink()
    return folder


def test_converted_audio_is_of_the_segments_and_the_rate_of_now(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "rec.wav", np.linspace(0, 0.9, 8 * RATE), RATE, subtype="FLOAT")
    places = {name: f"rec {place} {place + 1}" for place, name in enumerate("abc")}
    entries = {"rec": str(tmp_path / "rec.wav")}
    before = prepared(write_kaldi(tmp_path / "k", entries, places), tmp_path / "data", "data.convert=true")
    assert before["a"].duration == 1
    afresh(tmp_path / "data")
    write_kaldi(tmp_path / "k", entries, places | {"a": "rec 5 7"})
    after = prepared(tmp_path / "k", tmp_path / "data", "data.convert=true")
    assert after["a"].duration == 2 and float(read_waveform(after["a"])[0]) > 0.5
    assert after["b"].audio_filepath == before["b"].audio_filepath, "what is the same is not converted again"
    afresh(tmp_path / "data")
    slow = prepared(tmp_path / "k", tmp_path / "data", "data.convert=true", "data.sampling_rate=8000")
    assert {len(read_waveform(slow[name])) for name in "bc"} == {8000}


def test_ids_that_differ_in_a_slash_have_audio_of_their_own(tmp_path: Path) -> None:
    lines = ["path,text,id"]
    for place, name in enumerate(("a/b", "a-b", "c")):
        soundfile.write(tmp_path / f"{place}.wav", np.full(RATE, 0.1 * (place + 1)), RATE, subtype="FLOAT")
        lines.append(f"{place}.wav,YES,{name}")
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    found = prepared(tmp_path / "mine.csv", tmp_path / "data", "data.convert=true")
    levels = [float(read_waveform(found[name]).mean()) for name in ("a/b", "a-b", "c")]
    assert levels == pytest.approx([0.1, 0.2, 0.3], abs=1e-4)


def write_calls(folder: Path) -> list[Path]:
    """Two telephone calls, each with a speaker in each of its channels, who are told apart by their levels."""
    paths = [folder / f"call{number}.wav" for number in range(2)]
    for number, path in enumerate(paths):
        levels = 0.1 * np.array([2 * number + 1, 2 * number + 2])
        soundfile.write(path, np.tile(levels, (RATE, 1)), RATE, subtype="FLOAT")
    return paths


def kaldi_calls(folder: Path, calls: Sequence[Path]) -> Path:
    channels = {f"{path.stem}-{side}": (path, option) for path in calls for side, option in ((0, "-c 1"), (1, "-c2"))}
    return write_kaldi(folder / "k", {n: f"sph2pipe -f wav -p {o} {path} |" for n, (path, o) in channels.items()})


def lhotse_calls(folder: Path, calls: Sequence[Path]) -> Path:
    import lhotse

    cuts = []
    for path in calls:
        recording = lhotse.Recording.from_file(path)
        for channel in (0, 1):
            name = f"{path.stem}-{channel}"
            said = lhotse.SupervisionSegment(name, recording.id, 0, 1.0, channel, "YES")
            cuts.append(lhotse.MonoCut(f"cut-{name}", 0, 1.0, channel, [said], None, recording))
    lhotse.CutSet.from_cuts(cuts).to_file(folder / "calls_cuts.jsonl.gz")
    return folder / "calls_cuts.jsonl.gz"


@pytest.mark.parametrize("write", [kaldi_calls, lhotse_calls])
def test_of_a_telephone_call_the_channel_is_taken_that_is_meant(write: object, tmp_path: Path) -> None:
    source = write(tmp_path, write_calls(tmp_path))  # type: ignore[operator]
    with pytest.raises(DataError, match=r"it is channel [12] of a file with several.*set data.convert=true"):
        prepared(source, tmp_path / "data")
    found = prepared(source, tmp_path / "data", "data.convert=true")
    levels = {name: float(read_waveform(one).mean()) for name, one in found.items()}
    expected = {"call0-0": 0.1, "call0-1": 0.2, "call1-0": 0.3, "call1-1": 0.4}
    assert levels == pytest.approx(expected, abs=1e-4)


def test_asr_new_converts_channels_and_says_so(tmp_path: Path) -> None:
    main(["new", str(tmp_path / "mine"), str(kaldi_calls(tmp_path, write_calls(tmp_path)))])
    assert "4 are one channel of a file with several" in (tmp_path / "mine/recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ('sph2pipe -f wav "{} |', "cannot be read"),
        ("sph2pipe -f wav -c 3 {} |", "names the channel '3'"),
        ("sph2pipe -f wav {} -c |", "names the channel ''"),
        ("sph2pipe -f wav -t 0:1 {} |", "is the output of a program"),
        ("flac -c -d --skip=10 {} |", "is the output of a program"),
        ("|", "is the output of a program"),
    ],
)
def test_an_entry_that_cannot_be_read_as_it_is_meant(entry: str, sentence: str, tmp_path: Path) -> None:
    (call, _) = write_calls(tmp_path)
    source = write_kaldi(tmp_path / "k", dict.fromkeys("abc", entry.format(call)))
    with pytest.raises(DataError, match=sentence):
        prepared(source, tmp_path / "data", "data.convert=true")


def test_a_channel_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "mono.wav", np.zeros(RATE), RATE)
    source = write_kaldi(tmp_path / "k", dict.fromkeys("abc", f"sph2pipe -c 2 {tmp_path / 'mono.wav'} |"))
    with pytest.raises(DataError, match="has 1 channels, but utterance a is channel 2"):
        prepared(source, tmp_path / "data", "data.convert=true")


HOLDER = """
import sys
from pathlib import Path

from asr.common.files import file_lock
from tests.helpers.corpora import write_corpus

with file_lock(Path(sys.argv[1]).with_name(".own.lock")):
    print("held", flush=True)
    sys.stdin.readline()
    write_corpus(Path(sys.argv[1]), {split: ["YES NO"] for split in ("train", "dev", "test")})
"""


def test_of_two_jobs_the_second_waits_and_finds_it_done(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(*arguments: object) -> None:
        raise AssertionError("it is prepared already")

    monkeypatch.setattr(Recipe, "prepare", twice)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "data/own")]
    waited = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"

        def log(sentence: str, *arguments: object) -> None:
            waited.append(sentence % arguments)
            holder.communicate("\n", timeout=60)

        monkeypatch.setattr(folders.log, "info", log)
        assert set(prepared(source, tmp_path / "data")) == {"train-0", "dev-0", "test-0"}
    assert "waiting for it" in "".join(waited) and len(waited) == 1


@pytest.mark.parametrize(
    ("text", "lines", "alphabet"),
    [
        ("Well, yes.", {"normalize": True, "case": "lower"}, " elswy"),
        ("yes?", {"normalize": True}, " esy"),
        ("Yes No", {"normalize": True, "case": "lower"}, " enosy"),
        ("YES", None, " ESY"),
        ("don't", None, " 'dnot"),
        ("مرحبا", None, None),
    ],
)
def test_transcripts_written_for_readers_are_normalized_by_a_new_recipe(
    text: str, lines: dict[str, object] | None, alphabet: str | None, tmp_path: Path
) -> None:
    for name in "abc":
        write_utterance(tmp_path / "corpus" / f"{name}.wav", "YES")
        (tmp_path / "corpus" / f"{name}.txt").write_text(text, encoding="utf-8")
    main(["new", str(tmp_path / "mine"), str(tmp_path / "corpus")])
    settings = yaml.safe_load((tmp_path / "mine" / "recipe.yaml").read_text())
    assert settings.get("text") == lines
    assert alphabet is None or settings["tokenizer"]["alphabet"] == alphabet


@pytest.mark.parametrize(
    ("text", "case", "language", "letter"),
    [
        ("İZMİR IRMAK", "lower", "tr", "İ (U+0130)"),
        ("ışık", "upper", "tr", "ı (U+0131)"),
        ("Straße", "upper", "de", "ß (U+00DF)"),
        ("προΰπηρξε", "upper", "el", "ΰ (U+03B0)"),
    ],
)
def test_a_change_of_case_names_the_letters_that_need_a_language(
    text: str, case: str, language: str, letter: str, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (source / "dev" / "dev.txt").write_text(text, encoding="utf-8")
    settings = ["text.normalize=true", f"text.case={case}"]
    prepared(source, tmp_path / "data", *settings)
    (warning,) = [record.getMessage() for record in caplog.records if "depends on the language" in record.getMessage()]
    assert letter in warning and "1 transcripts, first that of Utterance" in warning
    assert f"set text.language to that of the corpus, which is {language} if" in warning
    caplog.clear()
    afresh(tmp_path / "data")
    prepared(source, tmp_path / "data", *settings, f"text.language={language}")
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_numbers_that_stay_in_digits_are_named(source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (source / "train" / "train.txt").write_text("Am 1.5.2024 um 10:05 waren es 12, Agent 007.")
    utterances = prepared(
        source, tmp_path / "data", "text.normalize=true", "text.numbers=true", "text.language=de", "text.case=lower"
    )
    assert next(iter(utterances.values())).text == "am 1.5.2024 um 10:05 waren es zwölf agent 007"
    assert "3 numbers can be read in several ways and stay in digits, as 1.5.2024, 10:05, 007" in caplog.text


@pytest.mark.parametrize("count", [1, 2])
def test_of_too_few_utterances_all_are_counted(count: int, tmp_path: Path) -> None:
    for number in range(count):
        one = write_utterance(tmp_path / "few" / f"{number}.wav", "YES")
        one.audio_filepath.with_suffix(".txt").write_text("YES")
    said = rf"too few utterances for training, {count}, to hold out test and dev of them: 3 are the least"
    with pytest.raises(DataError, match=said):
        prepared(tmp_path / "few", tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yesno", "yesno is a shipped recipe, and recipes of one name share their data and runs"),
        ("elsewhere/an4", "an4 is a shipped recipe"),
        ("a\nb", "has a character that cannot be printed"),
    ],
)
def test_a_recipe_is_not_named_like_another_or_unprintably(
    name: str, said: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, "new", name, str(source))
    assert not Path(name).exists()


@pytest.mark.parametrize("name", ["./-x", "lang=de/mine", "a=b"])
def test_a_recipe_of_any_other_name_is_prepared_as_advised(
    name: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", name, str(source)]) == 0
    (advised,) = [line for line in capsys.readouterr().out.splitlines() if "Next: asr run " in line]
    folder = shlex.split(advised.partition("Next: asr run ")[2])[0]
    assert main(["prepare", folder, "tracker=disabled"]) == 0
    assert f"asr run {shlex.quote(folder)} " in (Path(folder) / "README.md").read_text()
    assert "asr plan needs" not in refused(capsys, "plan", folder, "no_key=1")
    assert "asr compare needs" not in refused(capsys, "compare", folder, "no_key=1")


@pytest.mark.parametrize("id", ["x" * 260, "語" * 90, "a/" * 120])
def test_an_id_of_any_length_is_converted(id: str, source: Path, tmp_path: Path) -> None:
    rows = [f"train/train.wav,YES,train,{id}", "dev/dev.wav,YES,dev,d", "test/test.wav,YES,test,t"]
    (source / "all.csv").write_text("".join(f"{row}\n" for row in ["audio,text,split,id", *rows]))
    found = prepared(source / "all.csv", tmp_path / "data", "data.convert=true")
    assert found[id].audio_filepath.is_file() and len(found) == 3
