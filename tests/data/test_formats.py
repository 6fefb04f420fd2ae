"""A corpus of the user's own, in any format, is the same corpus; and out again."""

import json
from collections.abc import Sequence
from pathlib import Path

import lhotse
import numpy as np
import pytest
import soundfile
import torch
from lhotse.kaldi import load_kaldi_data_dir

from asr.commands import prepare
from asr.commands.cli import main
from asr.common.errors import ConfigError, DataError
from asr.data.audio import read_waveform
from asr.data.formats.reading import find_format
from asr.data.manifest import read_manifest
from asr.data.splits import SPLITS, hold_out
from asr.data.utterance import Utterance
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from tests.helpers.corpora import load_prepare, mirrored, write_corpus
from tests.helpers.foreign import COLUMNS, WRITERS, Splits
from tests.helpers.kaldi_scripts import validate_data_dir

Content = dict[str, list[tuple[str, str, str, int, int, bytes]]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Utterance]]:
    """Some thirty utterances of AN4 of eight speakers, or tones in their place."""
    folder = tmp_path_factory.mktemp("corpus")
    try:
        mirrored("an4_sphere.tar.gz")
    except pytest.skip.Exception:
        words = ["ONE", "TWO SIX", "TEN", "NINE", "FIVE TWO", "SIX"]
        return write_corpus(folder, {"train": words * 3, "dev": words, "test": words})
    load_prepare("an4").prepare(compose(find_recipe("an4")), folder / "archives", folder)
    chosen = {}
    for split in SPLITS:
        read = read_manifest(folder / f"{split}.jsonl")
        speakers = sorted({utterance.speaker for utterance in read})[: 6 if split == "train" else 2]
        chosen[split] = [one for name in speakers for one in [one for one in read if one.speaker == name][:4]]
    return chosen


def prepared(source: Path, folder: Path, *overrides: str) -> dict[str, list[Utterance]]:
    recipe = find_recipe("own")
    config = compose(recipe, [f"paths.data={folder}", "name=test", f"data.source={source}", *overrides])
    prepare.run(recipe, config)
    return {split: read_manifest(recipe.manifest(config, split)) for split in SPLITS}


def content(splits: Splits) -> Content:
    """All that a training sees of a corpus: ids, texts, speakers, rates and samples."""
    return {
        split: sorted(
            (
                utterance.id,
                utterance.text,
                utterance.speaker,
                utterance.sampling_rate,
                utterance.samples,
                read_waveform(utterance).numpy().tobytes(),
            )
            for utterance in utterances
        )
        for split, utterances in splits.items()
    }


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_manifests(name: str, corpus: Splits, tmp_path: Path) -> None:
    source = WRITERS[name](corpus, tmp_path / "source")
    assert find_format(source).value == ("table" if name in ("csv", "tsv") else name)
    overrides = [COLUMNS[name]] if name in COLUMNS else []
    assert content(prepared(source, tmp_path / "data", *overrides)) == content(corpus)


@pytest.mark.parametrize("name", WRITERS)
def test_without_splits_every_format_is_split_by_speaker_in_one_way(name: str, corpus: Splits, tmp_path: Path) -> None:
    everything = {"": [utterance for utterances in corpus.values() for utterance in utterances]}
    source = WRITERS[name](everything, tmp_path / "source")
    splits = prepared(source, tmp_path / "data", *([COLUMNS[name]] if name in COLUMNS else []))
    speakers = [{utterance.speaker for utterance in splits[split]} for split in SPLITS]
    assert len(set.union(*speakers)) == sum(map(len, speakers)), "no speaker is in two splits"
    whole, found = content(everything)[""], content(splits)
    assert sorted(row for rows in found.values() for row in rows) == whole
    stays, test = hold_out(everything[""], 0.1, "test")
    train, dev = hold_out(stays, 0.1, "dev")
    assert found == content({"train": train, "dev": dev, "test": test})


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_leads_to_a_trained_model(name: str, corpus: Splits, tmp_path: Path) -> None:
    source = WRITERS[name](corpus, tmp_path / "source")
    recipe = tmp_path / "mine"
    columns = ["--columns", "audio=my file,text=what,speaker=who,id=name"] if name in COLUMNS else []
    main(["new", str(recipe), str(source), *columns])
    paths = [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"]
    small = ["model.hidden=16", "model.channels=4", "training.epochs=1", "tracker=disabled", "hardware.workers=0"]
    main(["run", str(recipe), *paths, *small])
    (result,) = (tmp_path / "runs").glob("*/*/evaluation/test/greedy/results.json")
    assert json.loads(result.read_text())["utterances"] == len(corpus["test"])


def test_asr_new_writes_a_recipe_that_fits(corpus: Splits, tmp_path: Path) -> None:
    source = WRITERS["kaldi"](corpus, tmp_path / "source")
    main(["new", str(tmp_path / "mine"), str(source)])
    config = compose(find_recipe(str(tmp_path / "mine")), ["name=test", f"paths.data={tmp_path / 'data'}"])
    characters = {letter for utterances in corpus.values() for one in utterances for letter in one.text}
    assert set(config.tokenizer.alphabet or "") == characters | {" "}
    assert (config.data.sampling_rate, config.data.convert) == (16000, False)
    main(["prepare", str(tmp_path / "mine"), f"paths.data={tmp_path / 'data'}"])
    assert content({s: read_manifest(tmp_path / "data/mine" / f"{s}.jsonl") for s in SPLITS}) == content(corpus)
    with pytest.raises(SystemExit):
        main(["new", str(tmp_path / "mine"), str(source)])


def test_asr_new_converts_other_rates_and_says_so(tmp_path: Path) -> None:
    for number in range(8):
        sound = 0.1 * torch.randn(44100, 2, generator=torch.Generator().manual_seed(number)).numpy()
        path = tmp_path / "source" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, sound, 44100 if number else 22050)
        path.with_suffix(".txt").write_text("один два")
    main(["new", str(tmp_path / "mine"), str(tmp_path / "source")])
    assert "convert: true  # 7 files of 44100 Hz, 1 files of 22050 Hz" in (tmp_path / "mine/recipe.yaml").read_text()
    main(["prepare", str(tmp_path / "mine"), f"paths.data={tmp_path / 'data'}"])
    rows = [one for split in SPLITS for one in read_manifest(tmp_path / "data/mine" / f"{split}.jsonl")]
    assert {(one.id, one.samples) for one in rows} == {("0", 32000), *((str(n), 16000) for n in range(1, 8))}
    for one in rows:
        assert read_waveform(one).std() == pytest.approx(
            0.1 * 2**-0.5 * (16 / (22.05 if one.id == "0" else 44.1)) ** 0.5, rel=0.05
        )


@pytest.mark.parametrize("stereo", [(0,), (3, 5), tuple(range(8))])
def test_asr_new_converts_several_channels_and_says_so(stereo: tuple[int, ...], tmp_path: Path) -> None:
    for number in range(8):
        path = tmp_path / "source" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        sound = 0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(number)).numpy()
        soundfile.write(path, np.stack([sound, sound], axis=1) if number in stereo else sound, 16000)
        path.with_suffix(".txt").write_text("YES NO")
    main(["new", str(tmp_path / "mine"), str(tmp_path / "source")])
    said = f"convert: true  # 8 files of 16000 Hz; {len(stereo)} of 8 files that were looked at have several channels"
    assert said in (tmp_path / "mine/recipe.yaml").read_text()
    main(["prepare", str(tmp_path / "mine"), f"paths.data={tmp_path / 'data'}"])
    rows = [one for split in SPLITS for one in read_manifest(tmp_path / "data/mine" / f"{split}.jsonl")]
    assert len(rows) == 8 and all(len(read_waveform(one)) == 16000 for one in rows)


def kaldi_reader(folder: Path) -> dict[str, tuple[str, str, str, float | None, float | None]]:
    """What Kaldi's own scripts read of a data directory that they accept: tables of a key and the rest."""
    assert validate_data_dir(folder) == []
    tables = {}
    for name in ("wav.scp", "text", "utt2spk", "spk2utt", "segments"):
        if (folder / name).exists():
            lines = (folder / name).read_text().splitlines()
            tables[name] = dict(line.split(maxsplit=1) for line in lines)
    utterances = {}
    for name, text in tables["text"].items():
        recording, *ends = tables["segments"][name].split() if "segments" in tables else [name]
        start, end = map(float, ends) if ends else (None, None)
        utterances[name] = (text, tables["utt2spk"][name], tables["wav.scp"][recording], start, end)
    return utterances


@pytest.mark.parametrize("with_segments", [False, True])
def test_export_to_kaldi(with_segments: bool, corpus: Splits, tmp_path: Path) -> None:
    source = WRITERS["kaldi" if with_segments else "folder"](corpus, tmp_path / "source")
    splits = prepared(source, tmp_path / "data")
    main(["export", "own", f"paths.data={tmp_path / 'data'}", "--to", "kaldi", "-o", str(tmp_path / "out")])
    for split, utterances in splits.items():
        read = kaldi_reader(tmp_path / "out" / split)
        for one in utterances:
            name = one.id if one.id.startswith(one.speaker) else f"{one.speaker}-{one.id}"
            text, speaker, entry, start, end = read[name]
            assert (text, speaker) == (one.text, one.speaker) and str(one.audio_filepath) in entry
            assert with_segments == (start is not None)
            if start is not None and end is not None:
                assert start == pytest.approx(one.offset, abs=1e-6) and end - start == pytest.approx(
                    one.duration, abs=2e-6
                )
        assert len(read) == len(utterances)
        recordings, supervisions, _ = (
            load_kaldi_data_dir(tmp_path / "out" / split, 16000) if not with_segments else (0, 0, 0)
        )
        if not with_segments:
            assert len(recordings) == len(utterances) and {s.text for s in supervisions} == {u.text for u in utterances}
    again = prepared(tmp_path / "out", tmp_path / "again")
    assert content(again) == content(splits)


@pytest.mark.parametrize("name", ["lhotse", "nemo"])
def test_export_to_lhotse_and_nemo_and_back(name: str, corpus: Splits, tmp_path: Path) -> None:
    splits = prepared(WRITERS["kaldi"](corpus, tmp_path / "source"), tmp_path / "data")
    out = tmp_path / "out"
    main(["export", "own", f"paths.data={tmp_path / 'data'}", "--to", name, "-o", str(out)])
    for split, utterances in splits.items():
        if name == "nemo":
            rows = [json.loads(line) for line in (out / f"{split}.json").read_text().splitlines()]
            assert [row["text"] for row in rows] == [one.text for one in utterances]
            continue
        cuts = lhotse.load_manifest(out / f"cuts_{split}.jsonl.gz")
        for cut, one in zip(cuts, utterances, strict=True):
            assert cut.supervisions[0].text == one.text and cut.supervisions[0].speaker == one.speaker
            assert torch.equal(torch.from_numpy(cut.load_audio()[0]), read_waveform(one))
        assert len(lhotse.load_manifest(out / f"supervisions_{split}.jsonl.gz")) == len(utterances)
        assert len(lhotse.load_manifest(out / f"recordings_{split}.jsonl.gz"))
    assert content(prepared(out, tmp_path / "again")) == content(splits)


def test_lhotse_cuts_that_are_computed_are_written_out(corpus: Splits, tmp_path: Path) -> None:
    source = WRITERS["lhotse"]({"": corpus["train"]}, tmp_path / "source")
    (file,) = source.glob("*.gz")
    cuts = lhotse.load_manifest(file)
    cuts.resample(8000).to_file(tmp_path / "slow_cuts.jsonl.gz")
    splits = prepared(tmp_path / "slow_cuts.jsonl.gz", tmp_path / "data")
    assert {one.sampling_rate for utterances in splits.values() for one in utterances} == {8000}
    assert all(read_waveform(one).abs().max() > 0.001 for one in splits["train"])


def refused(source: Path, tmp_path: Path, *overrides: str) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        prepared(source, tmp_path / "data", *overrides)
    assert not list((tmp_path / "data").glob("own/*.jsonl"))
    return str(caught.value)


def test_another_source_does_not_take_the_manifests_of_the_first(corpus: Splits, tmp_path: Path) -> None:
    first, second = (WRITERS["folder"](corpus, tmp_path / name) for name in ("first", "second"))
    prepared(first, tmp_path / "data")
    with pytest.raises(DataError, match=r"was prepared with data.source=.*first, not with data.source=.*second"):
        prepared(second, tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "file", "change", "sentence"),
    [
        ("folder", "**/*.txt", lambda text: None, "1 audio files have no transcript beside them"),
        ("tsv", "*.tsv", lambda text: text.replace("sentence", "words"), "say which is the text"),
        ("tsv", "*.tsv", lambda text: text + "a\tb\n", "2 values for 5 columns"),
        ("tsv", "*.tsv", lambda text: text.replace("\ttrain\n", "\telsewhere\n"), "the split 'elsewhere' is none of"),
        ("tsv", "*.tsv", lambda text: text.replace(".wav", ".wave", 1), "does not exist"),
        ("nemo", "train_*.json", lambda text: text + '{"audio_filepath": 1}\n', "line "),
        (
            "nemo",
            "train_*.json",
            lambda text: text.replace('"duration": ', '"duration": -'),
            "must be a number of seconds",
        ),
        (
            "kaldi",
            "train/wav.scp",
            lambda text: text.replace("flac -c", "rm -rf / ; flac -c"),
            "programs in",
        ),
        ("kaldi", "train/wav.scp", lambda text: text.split("\n", 1)[1], "is missing"),
        ("kaldi", "train/segments", lambda text: text.split("\n", 1)[1], "has no line in segments"),
        ("kaldi", "train/text", lambda text: text + text, "occurs twice"),
        ("lhotse", "an4_cuts_train.jsonl.gz", lambda text: "junk", "cannot be read as cuts"),
        ("huggingface", "train/*.arrow", lambda text: "junk", "cannot be read as a dataset"),
    ],
)
def test_a_source_that_is_broken_is_one_sentence(
    name: str, file: str, change: object, sentence: str, corpus: Splits, tmp_path: Path
) -> None:
    source = WRITERS[name](corpus, tmp_path / "source")
    path = next((source if source.is_dir() else source.parent).glob(file))
    text = change(path.read_text(errors="replace"))  # type: ignore[operator]
    path.unlink() if text is None else path.write_text(text)
    assert sentence in refused(source, tmp_path)


def test_nothing_and_nonsense_are_named(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    assert "is none of" in refused(tmp_path / "empty", tmp_path)
    assert "is not in the format kaldi" in refused(tmp_path / "empty", tmp_path, "data.format=kaldi")


@pytest.mark.parametrize(
    ("name", "role"), [("huggingface", "offset"), ("huggingface", "split"), ("tsv", "word"), ("nemo", "text")]
)
def test_a_column_that_is_not_read_is_refused(name: str, role: str, corpus: Splits, tmp_path: Path) -> None:
    source = WRITERS[name](corpus, tmp_path / "source")
    assert f"data.columns names '{role}', which the format" in refused(source, tmp_path, f"data.columns={{{role}: x}}")


def test_who_is_held_out_depends_on_names_alone() -> None:
    def spoken(speakers: Sequence[str]) -> list[Utterance]:
        return [Utterance(f"{s}-{n}", Path("x"), 0, 1, "A", s, 16000) for s in speakers for n in range(3)]

    names = [f"s{number}" for number in range(30)]
    _, held = hold_out(spoken(names), 0.2, "dev")
    _, later = hold_out(spoken([*names, "new"])[::-1], 0.2, "dev")
    one, other = ({utterance.speaker for utterance in part} for part in (held, later))
    assert len(one) == 6 and len(one & other) >= 5
