"""Readers of sources are strict: what cannot be read as it stands is named with its file and line, nothing is lost."""

import gzip
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from asr.common.errors import ConfigError, DataError
from asr.data.formats.reading import read_source
from asr.data.splits import complete_splits
from asr.data.utterance import Utterance
from asr.settings.data import DataConfig, SourceFormat
from tests.helpers.corpora import write_utterance


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with ten clips, a.wav to j.wav."""
    for name in "abcdefghij":
        write_utterance(tmp_path / f"{name}.wav", "YES")
    return tmp_path


def read(source: Path | str, kind: str = "auto", columns: Mapping[str, str] | None = None) -> list[Utterance]:
    config = DataConfig(
        sampling_rate=16000, mixture={"train": 1.0}, source=str(source), format=SourceFormat(kind),
        columns=dict(columns or {}), held_out=0.1, convert=False, license=None,
    )  # fmt: skip
    return [one for part in read_source(config, Path(source).parent / "audio").values() for one in part]


def refused(source: Path | str, kind: str = "auto", columns: Mapping[str, str] | None = None) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        read(source, kind, columns)
    return str(caught.value)


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def table(path: Path, texts: Mapping[str, str], header: str = "audio,text", order: str = "{0}.wav,{1}") -> Path:
    return written(path, header, *(order.format(name, text) for name, text in texts.items()))


PLAIN = dict.fromkeys("abcdefghij", "YES")


@pytest.mark.parametrize(
    ("name", "texts", "order", "said"),
    [
        ("to the end", {"c": '"HALF QUOTED'}, "{0}.wav,{1}", "line 4: a quote is never closed, in line 11; 2 rows"),
        ("in the last row", {"j": '"HALF'}, "{0}.wav,{1}", "line 11: a quote is never closed; 9 rows"),
        ("to another", {"c": '"HALF', "g": '"ALSO'}, "{0}.wav,{1}", "line 4: a quote closes in the middle of a value"),
        ("to the end of a row", {"c": '"HALF', "g": 'YES"'}, "{0}.wav,{1}", "line 4: a quote closes behind the name"),
        ("to a later row", {"c": '"HALF', "g": 'YES"'}, "{1},{0}.wav", "line 4: a quote closes behind the name"),
        ("within a value", {"c": '"HALF" QUOTED'}, "{0}.wav,{1}", "line 4: a quote closes in the middle of a value;"),
        ("semicolons", {"c": '"HALF'}, "{0}.wav;{1}", "line 4: a quote is never closed, in line 11; 2 rows"),
    ],
)  # fmt: skip
def test_quotes_that_would_swallow_rows_are_refused(
    name: str, texts: Mapping[str, str], order: str, said: str, clips: Path
) -> None:
    first = order.replace("{0}.wav", "audio").replace("{1}", "text")
    source = table(clips / "mine.csv", {**PLAIN, **texts}, first, order)
    assert f"{source}, {said}" in refused(source)


def test_quotes_that_are_right_are_read(clips: Path, caplog: pytest.LogCaptureFixture) -> None:
    texts = {"a": '"YES, NO"', "b": '"SAID ""NO"""', "c": '"TWO\n LINES, OF TEXT"', "d": '5" NAIL'}
    with caplog.at_level(logging.INFO, logger="asr"):
        found = {one.id: one.text for one in read(table(clips / "mine.csv", PLAIN | texts))}
    expected = {"a": "YES, NO", "b": 'SAID "NO"', "c": "TWO LINES, OF TEXT", "d": '5" NAIL'}
    assert found == PLAIN | expected
    assert "mine.csv: 10 rows read" in caplog.text
    quoted = table(clips / "mine.tsv", PLAIN | {"c": '"HALF'}, "audio\ttext", "{0}.wav\t{1}")
    assert len(read(quoted)) == 10, "in TSV a quote is a character"


def test_lines_are_numbered_as_an_editor_does(clips: Path) -> None:
    lines = ["audio,text", "a.wav,YES", "", "", "b.wav,YES,NO"]
    assert "mine.csv, line 5: 3 values for 2 columns" in refused(written(clips / "mine.csv", *lines))
    lines = ["audio,text", 'a.wav,"YES', 'NO"', ",NO"]
    assert "mine.csv, line 4: no audio file is named" in refused(written(clips / "mine.csv", *lines))


def nemo_line(name: str, **more: object) -> str:
    return json.dumps({"audio_filepath": f"{name}.wav", "text": "YES", **more})


BROKEN = '{"audio_filepath": "a.wav", "text": "HALF'


@pytest.mark.parametrize("kind", ["auto", "nemo"])
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([BROKEN, nemo_line("b")], "line 1: expected a JSON object"),
        ([nemo_line("b"), BROKEN], "line 2: expected a JSON object"),
        ([BROKEN], "line 1: expected a JSON object"),
        (["[", " {", '  "audio_filepath": "a.wav",', '  "text": "YES"', " }", "]"], "line 1: the file is an array"),
        (["[" + nemo_line("a") + ",", nemo_line("b") + "]"], "line 1: the file is an array"),
        (["[", "  " + nemo_line("a") + ",", "  " + nemo_line("b"), "]"], "line 1: the file is an array"),
        ([nemo_line("a"), '{"audio_filepath": "b.wav"}'], "line 2: expected the strings audio_filepath and text; 1"),
    ],
)  # fmt: skip
def test_a_manifest_with_a_broken_line_is_still_a_manifest(lines: list[str], said: str, kind: str, clips: Path) -> None:
    assert f"mine.jsonl, {said}" in refused(written(clips / "mine.jsonl", *lines), kind)


def test_a_format_that_is_named_wrongly_is_told_from_the_right_one(clips: Path) -> None:
    source = table(clips / "mine.csv", PLAIN)
    assert "set data.format=table, which it is" in refused(source, "kaldi")
    assert "is not in the format lhotse, which is lhotse's *cuts*" in refused(source, "lhotse")
    assert "line 1: expected a JSON object" in refused(source, "nemo")
    written(clips / "broken/train.jsonl", "{")
    assert "train.jsonl, line 1: expected a JSON object" in refused(clips / "broken", "nemo")
    (clips / "videos").mkdir()
    written(clips / "videos/a.doc", "x")
    assert "a folder with 1 .doc, is none of" in refused(clips / "videos")


REPEATS = {
    "nemo": ("mine.jsonl", [nemo_line("a"), nemo_line("b"), nemo_line("a")]),
    "nemo with ids": ("mine.jsonl", [nemo_line("a", id="x"), nemo_line("b", id="y"), nemo_line("a", id="x")]),
    "csv": ("mine.csv", ["audio,text", "b.wav,YES", "a.wav,YES", "a.wav,NO"]),
}


@pytest.mark.parametrize("name", REPEATS)
def test_a_row_that_repeats_another_is_named_with_both_lines(name: str, clips: Path) -> None:
    file, lines = REPEATS[name]
    source = written(clips / file, *lines)
    first, second = (1, 3) if file == "mine.jsonl" else (3, 4)
    assert f"{source}, line {second}: it repeats {source}, line {first}" in refused(source)


def test_an_id_that_is_chosen_and_repeats_is_named_with_both_lines(clips: Path) -> None:
    source = table(clips / "mine.csv", {"a": "YES,x", "b": "NO,y", "c": "NO,x"}, "audio,text,key")
    said = refused(source, columns={"id": "key"})
    assert f"{source}, line 4: the id 'x' occurs twice, first in {source}, line 2" in said


@pytest.mark.parametrize("header", ["audio,text,id", "audio,text,utt_id"])
def test_ids_that_nobody_chose_need_not_differ(header: str, clips: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As a sentence's number that several people read, or a number that counts in each split."""
    for split, names in {"train": "abc", "test": "de"}.items():
        texts = {name: f"YES,{number // 2}" for number, name in enumerate(names)}
        table(clips / "tables" / f"{split}.csv", texts, header, "../{0}.wav,{1}")
    with caplog.at_level(logging.INFO, logger="asr"):
        first, again = read(clips / "tables"), read(clips / "tables")
    assert [one.id for one in first] == [one.id for one in again] == ["d", "e", "a", "b", "1"]
    assert "4 ids of" in caplog.text and "repeat" in caplog.text


@pytest.mark.parametrize(
    ("file", "lines", "said"),
    [
        ("mine.csv", ["a.wav,YES", "b.wav,NO"], "does not name its columns, since its first line is an utterance"),
        ("mine.tsv", ["a.wav\tYES", "b.wav\tNO"], "does not name its columns"),
        ("mine.csv", ["a|YES|YES"], "write a line of names above them"),
        ("mine.csv", ["sep=;", "audio;text", "a.wav;YES"], "begins with sep=, a line of Excel"),
        ("mine.csv", [""], "is empty"),
        ("mine.csv", ["audio,text"], "holds no utterance"),
        ("mine.csv", ["audio,text,text", "a.wav,YES,NO"], "has the column text twice"),
    ],
)
def test_a_table_without_names_or_rows_is_told(file: str, lines: list[str], said: str, clips: Path) -> None:
    assert said in refused(written(clips / file, *lines))


WRITTEN = {
    r"clips\a.wav": r"line 2: the audio file clips\a.wav has backslashes, as paths of Windows do: write clips/a.wav",
    r"C:\clips\a.wav": "is a path of Windows",
    "https://host/a.wav": "is an address",
}


@pytest.mark.parametrize("path", WRITTEN)
@pytest.mark.parametrize("kind", ["csv", "nemo", "kaldi", "huggingface"])
def test_paths_of_elsewhere_are_named(kind: str, path: str, clips: Path) -> None:
    said = WRITTEN[path].removeprefix("" if kind in ("csv", "nemo") else "line 2: ")
    match kind:
        case "csv":
            source = written(clips / "mine.csv", "audio,text", f"{path},YES")
        case "nemo":
            source = written(clips / "mine.jsonl", nemo_line("b"), json.dumps({"audio_filepath": path, "text": "YES"}))
        case "kaldi":
            source = clips
            written(clips / "wav.scp", f"a {path}"), written(clips / "text", "a YES")
        case _:
            import datasets

            source = clips / "dataset"
            datasets.Dataset.from_list([{"audio": path, "text": "YES"}]).save_to_disk(str(source))
    assert said in refused(source)


def test_a_source_of_elsewhere_is_told(clips: Path) -> None:
    assert "is an address" in refused("https://host/corpus.csv")
    assert "has backslashes" in refused(r"data\mine.csv")
    assert "does not exist" in refused("~nobody-of-this-name/corpus")
    (clips / r"odd\name.wav").symlink_to(clips / "a.wav")
    assert len(read(written(clips / "mine.csv", "audio,text", r"odd\name.wav,YES"))) == 1, "it may be a name here"


@pytest.mark.parametrize("linked", ["file", "folder"])
@pytest.mark.parametrize("kind", ["csv", "nemo", "kaldi"])
def test_paths_are_relative_to_where_a_linked_source_really_is(kind: str, linked: str, clips: Path) -> None:
    real, link = clips / "real/lists", clips / "links/lists"
    write_utterance(clips / "real/clips/x.wav", "YES")
    table(real / "mine.csv", {"x": "YES"}, order="../clips/{0}.wav,{1}")
    written(real / "mine.jsonl", nemo_line("../clips/x"))
    written(real / "wav.scp", "x clips/x.wav"), written(real / "text", "x YES")
    files = {"csv": ["mine.csv"], "nemo": ["mine.jsonl"], "kaldi": ["wav.scp", "text"]}[kind]
    link.parent.mkdir()
    if linked == "folder" or kind == "kaldi":
        link.symlink_to(real)
    else:
        link.mkdir()
        (link / files[0]).symlink_to(real / files[0])
    (one,) = read(link if kind == "kaldi" else link / files[0])
    assert one.id == "x"


def missing_table(folder: Path, names: str) -> Path:
    return table(folder / "mine.csv", dict.fromkeys(names, "YES"))


def missing_kaldi(folder: Path, names: str) -> Path:
    written(folder / "k/wav.scp", *(f"{name} {folder / name}.wav" for name in names))
    written(folder / "k/text", *(f"{name} YES" for name in names))
    return folder / "k"


def missing_nemo(folder: Path, names: str) -> Path:
    return written(folder / "mine.jsonl", *map(nemo_line, names))


@pytest.mark.parametrize("write", [missing_table, missing_kaldi, missing_nemo])
def test_all_missing_files_are_named_in_one_run(write: object, clips: Path) -> None:
    said = refused(write(clips, "abxyz"))  # type: ignore[operator]
    assert "3 of 5 utterances" in said
    assert all(f"{clips / name}.wav does not exist" in said for name in "xyz")
    said = refused(write(clips, "abcklmnopqrstuvwxyz"))  # type: ignore[operator]
    assert "16 of 19" in said and said.count("does not exist") == 10 and "and 6 more" in said


def test_damaged_and_missing_files_are_named_together(clips: Path) -> None:
    (clips / "b.wav").write_bytes(b"RIFF")
    said = refused(table(clips / "mine.csv", {"a": "YES", "b": "YES", "x": "NO"}))
    assert "line 3: the audio file" in said and "b.wav cannot be decoded" in said
    assert "line 4: the audio file" in said and "x.wav does not exist" in said
    long = refused(table(clips / "mine.csv", {"a" * 300: "YES"}))
    assert "does not exist" in long, "as where the transcripts are taken for paths"


def test_recordings_of_kinds_that_are_not_read_are_named(clips: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abcdefghij":
        written(clips / f"{name}.txt", "YES")
    written(clips / "README.txt", "about")
    with caplog.at_level(logging.INFO, logger="asr"):
        assert len(read(clips)) == 10
    assert "1 texts have no audio beside them" in caplog.text and "README.txt" in caplog.text
    (clips / "k.m4a").write_bytes(b"x")
    written(clips / "k.txt", "YES")
    assert "1 recordings with transcripts are of kinds that are not read here" in refused(clips)


def test_files_of_one_name_and_of_windows_in_a_folder(tmp_path: Path) -> None:
    write_utterance(tmp_path / "a.wav", "YES").audio_filepath.rename(tmp_path / "A.WAV")
    written(tmp_path / "A.TXT", "YES")
    assert [one.id for one in read(tmp_path)] == ["A"]
    (tmp_path / "A.flac").write_bytes((tmp_path / "A.WAV").read_bytes())
    assert f"{tmp_path / 'A.flac'} and {tmp_path / 'A.WAV'} would both be" in refused(tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "A\ud800"}, "its text contains an incomplete character"),
        ({"id": "\ud800"}, "its id contains an incomplete character"),
        ({"speaker": "\udc00"}, "its speaker contains an incomplete character"),
        ({"audio_filepath": "\ud800.wav"}, "contains a character that no path has"),
    ],
)
def test_what_no_manifest_can_say_is_refused(row: Mapping[str, str], said: str, clips: Path) -> None:
    line = json.dumps({"audio_filepath": "a.wav", "text": "YES", **row})
    message = refused(written(clips / "mine.jsonl", nemo_line("b"), line))
    assert said in message and "mine.jsonl, line 2" in message


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_an_audio_folder_with_metadata_in_each_split_is_read(name: str, tmp_path: Path) -> None:
    for split in ("train", "test"):
        lines = ["file_name,transcription"] if name == "metadata.csv" else []
        for clip in "ab":
            write_utterance(tmp_path / split / f"{clip}.wav", "YES")
            row = json.dumps({"file_name": f"{clip}.wav", "transcription": f"{split} {clip}"})
            lines.append(row if name == "metadata.jsonl" else f"{clip}.wav,{split} {clip}")
        written(tmp_path / split / name, *lines)
    found = {one.id: one.text for one in read(tmp_path)}
    assert found == {f"{split}-{clip}": f"{split} {clip}" for split in ("train", "test") for clip in "ab"}
    (tmp_path / "test" / name).unlink()
    assert len(read(tmp_path)) == 2
    (tmp_path / "train" / name).unlink()
    assert "4 audio files have no transcript beside them" in refused(tmp_path)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("text", "a YES\na NO", "text, line 2: a occurs twice, first in line 1"),
        ("segments", "a rec 0 0.2\nb rec 0.2", "segments, line 2: expected a recording"),
        ("segments", "a rec 0 0.2\nb rec 0.2 0.1", "segments, line 2: it ends at 0.1 s"),
        ("wav.scp", "rec rm x.wav |", "wav.scp, line 1: 'rm x.wav |' is the output of a program"),
        ("wav.scp", "rec all.ark:123", "wav.scp, line 1: 'all.ark:123' is a place in an archive"),
        ("wav.scp", 'rec sph2pipe "a.wav |', "wav.scp, line 1: 'sph2pipe"),
    ],
)
def test_lines_of_kaldi_are_named(file: str, change: str, said: str, clips: Path) -> None:
    tables = {"wav.scp": f"rec {clips}/a.wav", "segments": "a rec 0 0.2\nb rec 0.2 0.3", "text": "a YES\nb NO"}
    for name, content in (tables | {file: change}).items():
        written(clips / "k" / name, content)
    assert f"{clips}/k/{said}" in refused(clips / "k")


def test_lines_of_kaldi_that_belong_to_nothing_are_counted(clips: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(clips / "k/wav.scp", f"rec {clips}/a.wav")
    written(clips / "k/segments", "a rec 0 0.1", "b rec 0.1 0.2", "c rec 0.2 0.3")
    written(clips / "k/text", "a YES")
    written(clips / "k/utt2spk", "b s")
    with caplog.at_level(logging.INFO, logger="asr"):
        assert len(read(clips / "k")) == 1
    assert "segments: 2 of 3 lines have none in text: b, c" in caplog.text
    assert "text: 1 of 1 lines have none in utt2spk: a" in caplog.text
    assert "text: 1 rows read" in caplog.text


def test_cuts_that_are_cut_off_or_silent_are_told(clips: Path, caplog: pytest.LogCaptureFixture) -> None:
    import lhotse

    cuts = []
    for name in "abc":
        recording = lhotse.Recording.from_file(clips / f"{name}.wav")
        supervisions = [lhotse.SupervisionSegment(name, recording.id, 0, recording.duration, text="YES")]
        supervisions = [] if name == "b" else supervisions
        cuts.append(lhotse.MonoCut(f"cut-{name}", 0, recording.duration, 0, supervisions, None, recording))
    path = clips / "my_cuts.jsonl.gz"
    lhotse.CutSet.from_cuts(cuts).to_file(path)
    with caplog.at_level(logging.INFO, logger="asr"):
        assert [one.id for one in read(path)] == ["a", "c"]
    assert "1 of 3 cuts have no supervision" in caplog.text
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:-40]))
    said = refused(path)
    assert "my_cuts.jsonl.gz cannot be read as cuts" in said and "1 supervisions were read before" in said


def test_leftovers_beside_tables_and_manifests_are_not_read(clips: Path) -> None:
    table(clips / "tables/train.csv", {"a": "YES"}, order="../{0}.wav,{1}")
    (clips / "tables/._train.csv").write_bytes(b"\x00\x05\x16\x07" + bytes(range(128, 256)))
    assert len(read(clips / "tables")) == 1
    written(clips / "manifests/train.jsonl", nemo_line("../a"))
    (clips / "manifests/._train.jsonl").write_bytes(b"\x00\x05\x16\x07" + bytes(range(128, 256)))
    assert len(read(clips / "manifests")) == 1


def test_a_source_without_training_data_is_told(clips: Path) -> None:
    (one, *_) = read(table(clips / "mine.csv", {"a": "YES"}))
    with pytest.raises(DataError, match=r"no utterance for training \(1 for test\)"):
        complete_splits({"test": [one]}, 0.1)
