"""The shipped recipes make the manifests of their corpora, and `asr prepare` does so once."""

import io
import tarfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import soundfile

from asr.commands import prepare
from asr.common.errors import DataError
from asr.data.archives import ArchiveMissing
from asr.data.manifest import manifest_checksum, read_manifest, write_manifest
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.settings.compose import compose
from asr.settings.recipe import Recipe, find_recipe
from asr.settings.root import Config
from asr.text.pronunciation import read_lexicon
from tests.helpers.corpora import load_prepare, mirrored


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty mirror, and a publisher that cannot be reached."""

    def unreachable(*args: object, **options: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("ASR_MIRRORS", str(tmp_path / "mirror"))
    monkeypatch.setenv("ASR_ANY_CHECKSUM", "1")
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


def config_of(recipe: Recipe, folder: Path) -> Config:
    return compose(recipe, [f"paths.data={folder}", "name=test"])


def prepared(name: str, folder: Path) -> dict[str, list[Utterance]]:
    recipe = find_recipe(name)
    config = config_of(recipe, folder)
    prepare.run(recipe, config)
    return {split: read_manifest(recipe.manifest(config, split)) for split in SPLITS}


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def audio(sampling_rate: int, format: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(sampling_rate // 2), sampling_rate, subtype="PCM_16", format=format)
    return file.getvalue()


def write_yesno(archive: Path) -> list[str]:
    names = ["_".join(digits) for digits in product("01", repeat=8)][::-4][:60]
    with tarfile.open(archive, "w:gz") as tar:
        add(tar, "waves_yesno/README", b"")
        for name in names:
            add(tar, f"waves_yesno/{name}.wav", audio(8000, "WAV"))
    return sorted(names)


def write_an4(archive: Path, train_line: str = "<s> GO {number} </s> ({id})") -> None:
    """Twenty speakers of ten utterances each in train, two in test."""
    with tarfile.open(archive, "w:gz") as tar:
        for split, folder, speakers in (("train", "an4_clstk", 20), ("test", "an4test_clstk", 2)):
            pairs = [
                (f"{'fm'[speaker % 2]}-{split}{speaker}", number) for speaker in range(speakers) for number in range(10)
            ]
            files = [f"{folder}/{speaker}/an{number}-{speaker}-b" for speaker, number in pairs]
            line = train_line if split == "train" else "GO {number} ({id})"
            lines = [
                line.format(number="ABCDEFGHIJ"[number], id=Path(file).name)
                for file, (_, number) in zip(files, pairs, strict=True)
            ]
            add(tar, f"an4/etc/an4_{split}.fileids", "\n".join(files).encode())
            add(tar, f"an4/etc/an4_{split}.transcription", "\n".join(lines).encode())
            for file in files:
                add(tar, f"an4/wav/{file}.sph", audio(16000, "NIST"))
        add(tar, "an4/etc/an4.dic", b"A                    AH\nA(2)                 EY\nGO                   G OW\n")


def test_yesno_splits_as_kaldi_does(tmp_path: Path, mirror: Path) -> None:
    names = write_yesno(mirror / "waves_yesno.tar.gz")
    splits = prepared("yesno", tmp_path / "data")
    assert [utterance.id for utterance in splits["train"]] == names[:25]
    assert [utterance.id for utterance in splits["dev"]] == names[25:30]
    assert [utterance.id for utterance in splits["test"]] == names[30:]


def test_yesno_writes_zero_as_no() -> None:
    assert load_prepare("yesno").transcript(Path("0_1_1_0_0_0_0_1.wav")) == "NO YES YES NO NO NO NO YES"


def test_an4_holds_whole_speakers_out_of_train(tmp_path: Path, mirror: Path) -> None:
    write_an4(mirror / "an4_sphere.tar.gz")
    splits = prepared("an4", tmp_path / "data")
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 100, "dev": 100, "test": 20}
    speakers = {split: {utterance.speaker for utterance in utterances} for split, utterances in splits.items()}
    assert not speakers["train"] & speakers["dev"]
    assert {utterance.text for utterance in splits["train"]} == {f"GO {letter}" for letter in "ABCDEFGHIJ"}
    assert splits["test"][0].id == "an0-f-test0-b" and splits["test"][0].text == "GO A"


def test_an4_tells_the_sex_of_speakers_without_making_other_runs(tmp_path: Path, mirror: Path) -> None:
    write_an4(mirror / "an4_sphere.tar.gz")
    splits = prepared("an4", tmp_path / "data")
    told = {(one.speaker[0], *one.extra) for utterances in splits.values() for one in utterances}
    assert told == {("f", ("sex", "female")), ("m", ("sex", "male"))}
    manifest = tmp_path / "data" / "an4" / "train.jsonl"
    with_sex = manifest_checksum(manifest)
    write_manifest(manifest, [replace(one, extra=()) for one in splits["train"]])
    assert "sex" not in manifest.read_text() and manifest_checksum(manifest) == with_sex


def test_an4_refuses_a_transcript_of_another_file(tmp_path: Path, mirror: Path) -> None:
    write_an4(mirror / "an4_sphere.tar.gz", train_line="<s> GO {number} </s> (another)")
    with pytest.raises(DataError, match="not the transcript of an0-f-train0-b"):
        prepared("an4", tmp_path / "data")


def test_a_second_prepare_does_nothing(tmp_path: Path, mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_yesno(mirror / "waves_yesno.tar.gz")
    splits = prepared("yesno", tmp_path / "data")
    table = capsys.readouterr().out
    (mirror / "waves_yesno.tar.gz").unlink()
    (tmp_path / "data" / "yesno" / "original").rename(tmp_path / "elsewhere")
    assert prepared("yesno", tmp_path / "data") == splits
    assert capsys.readouterr().out == table
    assert [line.split() for line in table.splitlines()] == [
        ["split", "utterances", "minutes", "speakers"],
        ["train", "25", "0.2", "1"],
        ["dev", "5", "0.0", "1"],
        ["test", "30", "0.2", "1"],
    ]


def test_an_interrupted_prepare_is_finished_by_the_next(tmp_path: Path, mirror: Path) -> None:
    write_yesno(mirror / "waves_yesno.tar.gz")
    splits = prepared("yesno", tmp_path / "data")
    (tmp_path / "data" / "yesno" / "test.jsonl").unlink()
    assert prepared("yesno", tmp_path / "data") == splits


@pytest.mark.parametrize("name", ["an4", "yesno"])
def test_a_missing_archive_is_named(tmp_path: Path, mirror: Path, name: str) -> None:
    with pytest.raises(ArchiveMissing, match=rf"tar\.gz into {tmp_path / 'data' / 'archives'}"):
        prepared(name, tmp_path / "data")


def test_an4_has_the_official_split(tmp_path: Path) -> None:
    mirrored("an4_sphere.tar.gz")
    splits = prepared("an4", tmp_path)
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 843, "dev": 105, "test": 130}
    assert sum(utterance.duration for utterance in splits["train"] + splits["dev"]) / 60 == pytest.approx(42.4, abs=0.1)
    assert sum(len(utterance.text.split()) for utterance in splits["test"]) == 773
    speakers = {split: {utterance.speaker for utterance in utterances} for split, utterances in splits.items()}
    assert [len(speakers[split]) for split in SPLITS] == [66, 8, 10]
    assert len(set.union(*speakers.values())) == 84
    women = [{one.speaker for one in splits[split] if ("sex", "female") in one.extra} for split in SPLITS]
    assert [len(names) for names in women] == [18, 3, 3]
    assert {utterance.sampling_rate for utterances in splits.values() for utterance in utterances} == {16000}
    lexicon = read_lexicon(tmp_path / "an4" / "lexicon.txt")
    said = {word for split in ("train", "dev") for utterance in splits[split] for word in utterance.text.split()}
    assert said <= lexicon.keys() and lexicon["A"] == ("EY",), "a letter, not the article"


def test_yesno_has_sixty_files_at_8_khz(tmp_path: Path) -> None:
    mirrored("waves_yesno.tar.gz")
    splits = prepared("yesno", tmp_path)
    assert [len(splits[split]) for split in SPLITS] == [25, 5, 30]
    assert {utterance.sampling_rate for utterances in splits.values() for utterance in utterances} == {8000}
    assert sum(len(utterance.text.split()) for utterance in splits["test"]) == 240
