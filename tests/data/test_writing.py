"""What is written is counted: an export, a pack or a cleaned manifest that lost utterances is refused."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from asr.checks.findings import Finding, Severity, leave_out
from asr.commands.cli import main
from asr.common.errors import DataError
from asr.data import manifest, marks, splits
from asr.data.columns import Columns, write_columns
from asr.data.formats import kaldi, writing
from asr.data.manifest import read_manifest, write_manifest
from asr.data.shards.index import KINDS
from asr.data.shards.packing import PLAN, pack
from asr.data.splits import SPLITS, write_splits
from asr.data.utterance import Utterance
from asr.features.extraction import Extraction
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import write_corpus
from tests.helpers.refusals import Capture, refused

Corpus = dict[str, list[Utterance]]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "data/own", {split: ["YES", "NO", "NO NO"] for split in SPLITS})


def changed(corpus: Corpus, changes: Mapping[int, Mapping[str, str]]) -> Corpus:
    rows = [replace(one, **changes.get(number, {})) for number, one in enumerate(corpus["train"])]  # type: ignore[arg-type]
    return {**corpus, "train": rows}


@pytest.mark.parametrize("name", writing.FORMATS)
def test_exports_have_a_line_for_each_utterance(name: str, corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    writing.export(name, changed(corpus, {0: {"text": 'QUOTES " AND \\ AND é'}}), tmp_path / "out")


@pytest.mark.parametrize("text", ["YES\nNO", "YES\r\n\r\nNO"])
def test_a_transcript_of_several_lines_is_not_exported(text: str, corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Kaldi refuses U\+000A.* in a transcript"):
        writing.export("kaldi", changed(corpus, {0: {"text": text}}), tmp_path / "out")


def test_ids_that_would_be_the_same_for_kaldi_stay_apart(corpus: Corpus, tmp_path: Path) -> None:
    names = {0: {"id": "a-b", "speaker": "a"}, 1: {"id": "b", "speaker": "a"}}
    writing.export("kaldi", changed(corpus, names), tmp_path / "out")
    read = kaldi.read(tmp_path / "out")["train"]
    assert {(row.id, row.speaker) for row in read} >= {("a-b", "a"), ("b", "a")} and len(read) == 3


def test_an_export_that_would_lose_utterances_is_refused(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy_export(splits: Mapping[str, Sequence[Utterance]], folder: Path) -> None:
        kaldi.export({split: utterances[1:] for split, utterances in splits.items()}, folder)

    monkeypatch.setitem(writing.FORMATS, "kaldi", (lossy_export, writing.FORMATS["kaldi"][1]))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"There are 2 lines in .*train/text instead of 3"):
        writing.export("kaldi", corpus, tmp_path / "out")


def lossy(path: Path, utterances: Iterable[Utterance]) -> int:
    """A write that loses the last line."""
    return write_manifest(path, [*utterances][:-1])


def test_manifests_that_lose_a_line_are_refused(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_manifest(tmp_path / "x.jsonl", corpus["train"]) == 3
    monkeypatch.setattr(splits, "write_manifest", lossy)
    with pytest.raises(DataError, match="There are 2 lines of train instead of 3, and none may be lost"):
        write_splits(tmp_path / "other", corpus)


def test_a_cleaned_manifest_has_what_is_not_left_out(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = find_recipe("own")
    config = compose(recipe, [f"paths.data={tmp_path / 'data'}", "name=test"])
    wrong = [Finding(Severity.error, "train", corpus["train"][0].id, "wrong", "kind")] * 2
    with monkeypatch.context() as patch:
        patch.setattr(marks, "write_manifest", lossy)
        with pytest.raises(DataError, match=r"2 lines of .*train\.original\.jsonl instead of 3"):
            leave_out(recipe, config, wrong)
    (tmp_path / "data/own/train.original.jsonl").unlink()
    with caplog.at_level("INFO", logger="asr"):
        leave_out(recipe, config, wrong)
    assert "train.jsonl: 2 utterances, of 3 before." in caplog.text and "dev" not in caplog.text
    assert len(read_manifest(recipe.manifest(config, "train"))) == 2


def test_shards_without_some_utterances_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    pack(corpus, tmp_path / "shards", 1)
    (path,) = (tmp_path / "shards").glob("shards-*.index")
    index = Columns(path)
    rows = {name: index[name][:-1] for name in (*KINDS, "shards")}
    write_columns(path, {"shards": index.description["shards"]}, rows)
    with pytest.raises(DataError, match=r"There are 8 utterances in the shards of .* instead of 9"):
        pack(corpus, tmp_path / "shards", 1)


def test_a_pack_or_an_extraction_names_all_missing_files(corpus: Corpus, tmp_path: Path) -> None:
    for one in (corpus["train"][0], corpus["train"][2]):
        one.audio_filepath.unlink()
    with pytest.raises(DataError, match=r"2 of 9 utterances cannot be used: .*train-0.*missing.*; .*train-2.*missing"):
        pack(corpus, tmp_path / "shards", 1)
    assert not (tmp_path / "shards" / PLAN).exists(), "a corpus without them may be packed there"
    config = compose(find_recipe("own"), ["name=test"])
    with pytest.raises(DataError, match=r"2 of 3 utterances cannot be used: .*train-0.*; .*train-2"):
        Extraction(corpus["train"], config.features, 16000, [1.0]).folder(tmp_path)


@pytest.mark.parametrize("indexed", [False, True])
def test_a_repeated_line_of_a_manifest_is_named_with_both(indexed: bool, corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "data/own/train.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    with pytest.raises(DataError, match=r"train\.jsonl, line 4: the id .* occurs twice, first in line 2"):
        manifest.make_index(path) if indexed else read_manifest(path)
    path.write_text("\n".join(["{half", *lines]) + "\n")
    with pytest.raises(DataError, match=r"train\.jsonl, line 1: not a JSON object \(.*\): correct or remove the line"):
        manifest.make_index(path) if indexed else read_manifest(path)
    assert json.loads(lines[0])["id"]


@pytest.mark.parametrize("name", writing.FORMATS)
def test_an_export_does_not_write_over_its_source(name: str, corpus: Corpus, tmp_path: Path, capsys: Capture) -> None:
    """As somebody may who mistakes one folder for the other; segments of a Kaldi directory would even be deleted."""
    source, data = tmp_path / "source", f"paths.data={tmp_path / 'data2'}"
    source.mkdir()
    writing.export(name, corpus, source)
    assert main(["new", str(tmp_path / "mine"), str(source)]) == 0
    assert main(["prepare", str(tmp_path / "mine"), data]) == 0
    before = {path: path.stat().st_mtime_ns for path in sorted(source.rglob("*"))}
    for output in (source, tmp_path / "mine/../source"):
        said = refused(capsys, "export", str(tmp_path / "mine"), data, "--to", name, "-o", str(output))
        assert "is a file of data.source" in said and "give another folder for -o" in said
    assert before == {path: path.stat().st_mtime_ns for path in sorted(source.rglob("*"))}
    for _ in range(2):  # its own output may be written again
        assert main(["export", str(tmp_path / "mine"), data, "--to", name, "-o", str(tmp_path / "out")]) == 0
