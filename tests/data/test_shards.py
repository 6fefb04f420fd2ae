"""Shards: the same samples as the files, from a disk and from servers; whatever is wrong with them is named."""

import json
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr.batching import loader
from asr.batching.dataset import Dataset
from asr.batching.loader import MicroBatch, load
from asr.common.errors import DataError
from asr.data.audio import read_waveform
from asr.data.shards import packing
from asr.data.shards.packing import pack
from asr.data.shards.reader import ShardedAudio, open_audio
from asr.data.utterance import Utterance
from asr.settings.shards import ShardsConfig
from tests.helpers.corpora import tones, write_corpus
from tests.helpers.servers import http_server, s3_server
from tests.helpers.trainings import asr, last_checkpoint, prepare_yesno, run_folder

TEXTS = ["YES", "NO", "YES NO", "NO YES", "NO NO", "YES YES NO", "NO NO YES", "YES NO YES NO"]
RATE = 16000
Splits = dict[str, list[Utterance]]


def corpus(folder: Path) -> Splits:
    """WAV, FLAC, MP3 and Ogg, ids with dots and slashes, and stretches of a longer recording."""
    splits = write_corpus(folder, {"train": TEXTS, "dev": TEXTS[:2], "test": TEXTS[2:4]})
    train = splits["train"]
    for number, (ending, options) in enumerate(
        [("flac", {}), ("mp3", {}), ("ogg", {"subtype": "VORBIS"}), ("wav", {"subtype": "FLOAT"})]
    ):
        path = folder / "audio" / f"other.{ending}"
        soundfile.write(path, tones(TEXTS[number]), RATE, **options)
        frames = soundfile.info(path).frames
        train[number] = replace(train[number], audio_filepath=path, duration=frames / RATE)
    train[0] = replace(train[0], id="a/b.c d é")
    long = np.concatenate([tones(text, seed=9) for text in TEXTS])
    for number, subtype in ((4, "PCM_16"), (5, "PCM_24"), (6, "PCM_U8"), (7, "FLOAT")):
        path = folder / "audio" / f"long-{subtype}.wav"
        soundfile.write(path, long, RATE, subtype=subtype)
        train[number] = replace(train[number], audio_filepath=path, offset=0.5 + 0.1 * number)
    return splits


def packed(folder: Path, megabytes: float = 0.05) -> tuple[Splits, Path]:
    splits = corpus(folder / "corpus")
    pack(splits, folder / "shards", megabytes)
    return splits, folder / "shards"


def opened(source: object, folder: Path, **settings: object) -> ShardedAudio:
    config = ShardsConfig(str(source), None, 1.0, 30.0)
    audio = open_audio(replace(config, **settings), folder / "data")  # type: ignore[arg-type]
    assert isinstance(audio, ShardedAudio)
    return audio


def assert_same(audio: ShardedAudio, splits: Splits) -> None:
    for utterances in splits.values():
        audio.prefetch(utterances)
        for utterance in utterances:
            assert torch.equal(audio.read(utterance), read_waveform(utterance)), utterance.id


def test_every_kind_of_audio_comes_back_to_the_bit(tmp_path: Path) -> None:
    splits, shards = packed(tmp_path)
    assert len([*shards.glob("train-*.tar")]) > 2
    audio = opened(shards, tmp_path)
    assert audio.verify() == {}
    assert_same(audio, splits)


def test_other_programs_read_the_layout(tmp_path: Path) -> None:
    splits, shards = packed(tmp_path)
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(shards.glob("train-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, ending = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                found.setdefault(key, {})[ending] = file.read()
    rows = [json.loads(files["json"]) for files in found.values()]
    assert [row["id"] for row in rows] == [utterance.id for utterance in splits["train"]], "in the manifest's order"
    assert [row["text"] for row in rows] == TEXTS
    assert {ending for files in found.values() for ending in files} == {"json", "wav", "flac", "mp3", "ogg"}
    original = splits["train"][1].audio_filepath
    assert found["train-1"]["mp3"] == original.read_bytes(), "the original bytes"


def test_an_interrupted_packing_writes_only_what_is_missing(tmp_path: Path) -> None:
    splits, shards = packed(tmp_path)
    before = {path.name: path.read_bytes() for path in shards.glob("*.tar")}
    (shards / "train-000001.tar").unlink()
    (shards / "train-000002.tar").write_bytes(b"cut off")
    kept = (shards / "train-000000.tar").stat().st_mtime_ns
    again = pack(splits, shards, 0.05)
    assert again.written == 2 and again.shards == len(before)
    assert {path.name: path.read_bytes() for path in shards.glob("*.tar")} == before
    assert (shards / "train-000000.tar").stat().st_mtime_ns == kept
    assert pack(splits, shards, 0.05).written == 0
    assert_same(opened(shards, tmp_path), splits)


@pytest.mark.parametrize("lost", [(), ("train-000001.tar",), ("train-000000.tar", "dev-000000.tar")])
def test_a_folder_that_is_packed_has_nothing_but_shards_and_their_index(lost: tuple[str, ...], tmp_path: Path) -> None:
    splits, shards = packed(tmp_path)
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    kinds = {name.rpartition("-")[0] or name for name in before}
    assert kinds == {"train", "dev", "test", "shards", "shards.json", "plan.json"}
    for name in lost:
        (shards / name).unlink()
    assert pack(splits, shards, 0.05).written == len(lost)
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == before


def test_a_pack_that_was_interrupted_before_its_end_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = corpus(tmp_path / "corpus")
    with monkeypatch.context() as patch:
        patch.setattr(packing, "write_index", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pack(splits, tmp_path / "shards", 0.05)
    assert pack(splits, tmp_path / "shards", 0.05).written == 0
    assert_same(opened(tmp_path / "shards", tmp_path), splits)


def test_shards_of_another_corpus_are_not_touched(tmp_path: Path) -> None:
    splits, shards = packed(tmp_path)
    with pytest.raises(DataError, match=r"has shards of other manifests.*pack\.output"):
        pack({**splits, "train": splits["train"][1:]}, shards, 0.05)
    with pytest.raises(DataError, match=r"The id 'dev-0' is in"):
        pack({**splits, "test": splits["dev"]}, tmp_path / "other", 0.05)


def test_audio_that_cannot_be_read_is_not_packed(tmp_path: Path) -> None:
    splits = corpus(tmp_path / "corpus")
    splits["dev"][1].audio_filepath.write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"Utterance dev-1 .* cannot be decoded"):
        pack(splits, tmp_path / "shards", 0.05)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [("missing", "cannot be read"), ("cut", "is truncated"), ("changed", "another checksum")],
)
def test_a_damaged_shard_loses_its_utterances_alone(
    damage: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "RETRY_SECONDS", (0.0,))
    splits, shards = packed(tmp_path)
    train, audio = splits["train"], opened(shards, tmp_path)
    place = audio.index.find(train[3])
    assert place is not None
    path = shards / place.shard
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: place.begin + place.size // 2])
    else:
        content[place.begin + place.size // 2] ^= 1
        path.write_bytes(content)
    inputs = Dataset(train, None, None, 1, audio=opened(shards, tmp_path))
    (batch,) = load([MicroBatch(0, np.arange(len(train)))], inputs, [[n] for n in range(len(train))], 0, inputs.ids)
    assert train[3].id in [lost.id for lost in batch.unreadable]
    assert all(sentence in lost.reason and place.shard in lost.reason for lost in batch.unreadable)
    assert batch.labels.tolist() == batch.utterances.tolist(), "no text meets other audio"
    assert len(batch.utterances) + len(batch.unreadable) == len(train) and len(batch.utterances)
    if damage != "changed":
        assert [*opened(shards, tmp_path).verify()] == [place.shard]


def test_an_utterance_that_is_described_otherwise_is_not_found(tmp_path: Path) -> None:
    splits, shards = packed(tmp_path)
    changed = replace(splits["train"][5], offset=0.25)
    for work in (opened(shards, tmp_path).read, opened(shards, tmp_path).check):
        with pytest.raises(DataError, match=r"train-5: the shards at .* do not have it as the manifest describes"):
            work(changed)


def test_a_server_of_files_with_ranges_and_a_cache(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    splits, shards = packed(tmp_path)
    everything = sum(map(len, splits.values()))
    with http_server(shards) as (address, faults):
        cache = tmp_path / "cache"
        audio = opened(address, tmp_path, cache=str(cache))
        assert audio.verify() == {}
        assert_same(audio, splits)
        assert len(faults.ranges) == everything
        again = opened(address, tmp_path, cache=str(cache))
        assert_same(again, splits)
        assert len(faults.ranges) == everything, "all of it came from the disk"
        (file,) = cache.iterdir()
        file.write_bytes(file.read_bytes()[:5000] + b"rot" + file.read_bytes()[5003:])
        assert_same(opened(address, tmp_path, cache=str(cache)), splits)
        assert len(faults.ranges) == everything + 1, "what rotted there was fetched again"


def test_the_cache_keeps_its_size(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    splits, shards = packed(tmp_path)
    with http_server(shards) as (address, faults):
        for epoch in range(2):
            faults.ranges.clear()
            assert_same(opened(address, tmp_path, cache=str(tmp_path / "cache"), cache_gb=2e-4), splits)
            everything = sum(map(len, splits.values()))
            assert (len(faults.ranges) < everything) is (epoch == 1) and faults.ranges
    (file,) = (tmp_path / "cache").iterdir()
    assert 0 < file.stat().st_size <= 2e5


def test_faults_of_a_server_are_named(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    splits, shards = packed(tmp_path)
    utterance = splits["train"][3]
    with http_server(shards) as (address, faults):
        audio = opened(address, tmp_path, timeout_seconds=0.5)
        faults.refuse = True
        with pytest.raises(DataError, match=r"Utterance train-3: .*\.tar cannot be read .*503"):
            audio.read(utterance)
        assert len(audio.verify()) == len(audio.index.shards)
        with pytest.raises(DataError, match=r"There are no shards: .*shards\.json cannot be read"):
            opened(address, tmp_path)
        faults.refuse, faults.hang = False, threading.Event()
        with pytest.raises(DataError, match=r"Utterance train-3: .*\.tar cannot be read .*Timeout"):
            audio.read(utterance)
        faults.hang.set()
        faults.hang, faults.ignore_ranges = None, True
        with pytest.raises(DataError, match="answers a byte range with a whole file"):
            audio.read(utterance)
    with pytest.raises(DataError, match=r"There are no shards: .*make them with `asr pack RECIPE shards\.source=null`"):
        opened(tmp_path / "nowhere", tmp_path)


def test_shards_in_memory_are_read(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    splits, shards = packed(tmp_path)
    fsspec.filesystem("memory").put(str(shards), "/packed", recursive=True)
    assert_same(opened("memory://packed", tmp_path), splits)


@pytest.mark.slow
def test_a_training_ends_with_the_same_weights_from_files_shards_and_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = prepare_yesno(tmp_path / "data")
    settings = ["features.source=online", "training.epochs=2", "batching.global_seconds=60"]
    settings += ["augment.speed_factors=[0.9,1.0,1.1]"]
    assert asr("pack", recipe, tmp_path, ["pack.shard_mb=0.4"]).returncode == 0
    shards = tmp_path / "data" / recipe / "shards"
    assert asr("train", recipe, tmp_path, settings).returncode == 0
    files = last_checkpoint(run_folder(tmp_path, recipe))["model"]

    def train_from(source: str, workers: int) -> None:
        (tmp_path / "runs").rename(tmp_path / f"runs-before-{source[:2].strip('/')}-{workers}")
        there = [f"shards.source={source}", f"shards.cache={tmp_path / 'cache'}", f"hardware.workers={workers}"]
        assert asr("train", recipe, tmp_path, [*settings, *there]).returncode == 0
        run = run_folder(tmp_path, recipe)
        assert run.name == name, "the run's identity is that of its manifests"
        other = last_checkpoint(run)["model"]
        assert all(torch.equal(files[key], other[key]) for key in files)

    name = run_folder(tmp_path, recipe).name
    waves = [*(tmp_path / "data" / recipe).rglob("*.wav")]
    assert waves
    for path in waves:
        path.unlink()  # nothing but the shards is read from here on
    train_from(str(shards), workers=2)
    with s3_server(monkeypatch, "corpora") as system:
        system.put(str(shards), "corpora/packed", recursive=True)
        train_from("s3://corpora/packed", workers=1)
    assert [path.stat().st_size > 0 for path in (tmp_path / "cache").iterdir()] == [True]


@pytest.mark.slow
def test_the_other_commands_read_shards(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data" / "yesno"
    write_corpus(data, {"train": TEXTS, "dev": TEXTS[:2], "test": TEXTS[2:4]}, sampling_rate=8000)
    assert asr("pack", "yesno", tmp_path, []).returncode == 0
    for path in (data / "audio").iterdir():
        path.unlink()
    assert asr("check", "yesno", tmp_path, []).returncode == 2
    source = [f"shards.source={data / 'shards'}"]
    for command in ("check", "extract", "train", "evaluate"):
        assert asr(command, "yesno", tmp_path, [*source, "training.epochs=1"]).returncode == 0, command
    assert len([*(run_folder(tmp_path, "yesno") / "evaluation").rglob("results.json")]) == 2
    (data / "shards" / "train-000000.tar").write_bytes(b"")
    assert asr("train", "yesno", tmp_path, [*source, "seed=2"]).returncode == 2
    assert "train-000000.tar has 0 bytes, not" in capfd.readouterr().err
