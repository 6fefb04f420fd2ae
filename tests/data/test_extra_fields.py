"""Fields of a manifest beyond those that every utterance has: kept by all that reads and writes, part of no hash."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asr.data import manifest
from asr.data.conversion import convert
from asr.data.formats import lhotse, nemo
from asr.data.formats.reading import read_source
from asr.data.manifest import manifest_checksum, read_manifest, write_manifest
from asr.data.shards.packing import description
from asr.data.splits import SPLITS
from asr.data.utterance import Extra, Utterance
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.text.word_classes import names_in
from tests.helpers.corpora import write_corpus

Corpus = dict[str, list[Utterance]]
EXTRA: Extra = (("sex", "female"), ("accent", 'the "north"'), ("age", 34), ("native", True))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "data/own", {split: ["YES", "NO", "NO NO"] for split in SPLITS})


def with_extra(corpus: Corpus) -> list[Utterance]:
    return [replace(one, extra=EXTRA[: number + 1]) for number, one in enumerate(corpus["train"])]


def test_they_are_read_as_they_were_written(corpus: Corpus, tmp_path: Path) -> None:
    utterances = with_extra(corpus)
    write_manifest(tmp_path / "one.jsonl", utterances)
    assert list(read_manifest(tmp_path / "one.jsonl")) == utterances
    assert json.loads((tmp_path / "one.jsonl").read_text().splitlines()[2])["age"] == 34


def test_what_is_neither_text_nor_number_is_left_out(corpus: Corpus, tmp_path: Path) -> None:
    row = corpus["train"][0].row(str(corpus["train"][0].audio_filepath))
    (tmp_path / "one.jsonl").write_text(
        json.dumps(
            row | {"words": [1], "sex": None, "age": float("nan"), "id2": 10**400, "device": "phone", "note": ""}
        )
    )
    assert read_manifest(tmp_path / "one.jsonl")[0].extra == (("device", "phone"),)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("text", ["YES", 'A "B", \\ "sampling_rate": 1}', "é, {"])
def test_a_checksum_does_not_depend_on_them(
    large: bool, text: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(manifest, "LARGE_BYTES", 1)
    plain = [replace(one, text=text) for one in corpus["train"]]
    told = [replace(one, extra=EXTRA) for one in plain]
    for name, utterances in (("plain", plain), ("told", [told[0], plain[1], told[2]])):
        write_manifest(tmp_path / f"{name}.jsonl", utterances)
    first = manifest_checksum(tmp_path / "plain.jsonl")
    assert manifest_checksum(tmp_path / "told.jsonl") == first
    (tmp_path / "told.jsonl.index").unlink(missing_ok=True)
    read_manifest(tmp_path / "told.jsonl")  # makes the index of a large one again
    assert manifest_checksum(tmp_path / "told.jsonl") == first
    write_manifest(tmp_path / "other.jsonl", [replace(one, text="NO", extra=EXTRA) for one in plain])
    assert manifest_checksum(tmp_path / "other.jsonl") != first


def table(corpus: Corpus, folder: Path) -> Path:
    lines = ["audio,text,Sex,age"]
    lines += [f"{one.audio_filepath},{one.text},{'f' if n else ''},3{n}" for n, one in enumerate(corpus["train"])]
    (folder / "corpus.csv").write_text("\n".join(lines) + "\n")
    return folder / "corpus.csv"


def json_lines(corpus: Corpus, folder: Path) -> Path:
    rows = [
        {"audio_filepath": str(one.audio_filepath), "text": one.text, "duration": one.duration}
        | ({"Sex": "f"} if n else {})
        | {"age": f"3{n}"}
        for n, one in enumerate(corpus["train"])
    ]
    (folder / "corpus.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "corpus.json"


def cuts(corpus: Corpus, folder: Path) -> Path:
    custom = [(("Sex", "f"), ("age", "30")), (("Sex", "f"), ("age", "31")), (("Sex", "f"), ("age", "32"))]
    utterances = [replace(one, extra=extra) for one, extra in zip(corpus["train"], custom, strict=True)]
    lhotse.export({"train": [replace(utterances[0], extra=(("age", "30"),)), *utterances[1:]]}, folder)
    return folder / "cuts_train.jsonl.gz"


def dataset(corpus: Corpus, folder: Path) -> Path:
    import datasets

    features = datasets.Features(
        {
            "audio": datasets.Value("string"), "text": datasets.Value("string"),
            "Sex": datasets.ClassLabel(names=["m", "f"]), "age": datasets.Value("string"),
        }
    )  # fmt: skip
    rows = [
        {"audio": str(one.audio_filepath), "text": one.text, "Sex": "f" if n else -1, "age": f"3{n}"}
        for n, one in enumerate(corpus["train"])
    ]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(folder / "dataset"))
    return folder / "dataset"


@pytest.mark.parametrize("write", [table, json_lines, cuts, dataset])
def test_every_format_brings_them_into_the_manifests(
    write: Callable[[Corpus, Path], Path], corpus: Corpus, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    config = compose(find_recipe("own"), ["name=x", f"data.source={write(corpus, source)}"]).data
    read = read_source(config, tmp_path / "audio")
    found = {one.id: dict(one.extra) for utterances in read.values() for one in utterances}
    assert [found[key] for key in sorted(found)] == [
        {"age": "30"},
        {"Sex": "f", "age": "31"},
        {"Sex": "f", "age": "32"},
    ]


def test_kaldis_genders_are_read(corpus: Corpus, tmp_path: Path) -> None:
    from asr.data.formats import kaldi

    kaldi.export({"train": corpus["train"]}, tmp_path)
    (tmp_path / "train/spk2gender").write_text("tr-speaker-0 f\ntr-speaker-1 m\n")
    rows = kaldi.read(tmp_path / "train")["train"]
    assert [row.extra for row in rows] == [(("gender", "f"),), (("gender", "f"),), (("gender", "m"),)]


def test_conversion_shards_and_exports_keep_them(corpus: Corpus, tmp_path: Path) -> None:
    utterances = with_extra(corpus)
    converted = convert({"train": utterances}, tmp_path / "converted", 8000)["train"]
    assert [one.extra for one in converted] == [one.extra for one in utterances]
    assert json.loads(description(utterances[0], "x.wav"))["sex"] == "female"
    nemo.export({"train": utterances}, tmp_path)
    assert [row.extra for row in nemo.read(tmp_path / "train.json")["train"]] == [one.extra for one in utterances]


def test_names_have_capitals_within_sentences() -> None:
    texts = ["The man met Ida Lee in Paris.", "Paris, as I said. He met a Man.", "the END", "WELL SAID BOB", "a man"]
    assert names_in(texts) == ["end", "ida", "lee", "paris"]
