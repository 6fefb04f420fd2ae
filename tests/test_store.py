"""The feature store holds what the extractor computes, survives interruption, and notices what is damaged."""

import os
import pickle
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

import asr.data.store
from asr.commands import extract as command
from asr.composition import compose
from asr.data.audio import read_waveform
from asr.data.corpus import SPLITS, write_splits
from asr.data.store import FeatureStore, is_complete, plan_store
from asr.data.utterance import Utterance
from asr.errors import ConfigError, DataError
from asr.features.augment import change_speed, perturbed_samples
from asr.features.config import (
    FeatureKind,
    FeaturesConfig,
    FeatureSource,
    Normalization,
    SpecAugmentConfig,
)
from asr.features.extraction import extract, store_folder, stored_factors
from asr.features.extractor import FeatureExtractor, frame_count
from asr.features.perturbation import check_source
from asr.recipe import Recipe, find_recipe

RATE = 8000
SPEEDS = [0.9, 1.0, 1.1]
LOGMEL = FeaturesConfig(
    kind=FeatureKind.logmel,
    source=FeatureSource.store,
    normalization=Normalization.utterance,
    window_ms=25,
    hop_ms=10,
    mels=40,
    coefficients=None,
    deltas=True,
)
AUGMENT = replace(
    compose(find_recipe("an4"), ["name=test"]).augment,
    speed_factors=[0.9, 1.1],
    spec_augment=SpecAugmentConfig(0, 0.0, 0, None, 0.0, 0.0),
)


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    """Twelve utterances of noise, two in each file."""
    draws = np.random.default_rng(1)
    found = []
    for number in range(6):
        path = tmp_path / "corpus" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        samples = 3000 + 700 * number
        soundfile.write(path, draws.normal(0, 0.1, 2 * samples).clip(-1, 1), RATE)
        for half in (0, 1):
            duration = samples / RATE
            found.append(Utterance(f"{number}-{half}", path, half * duration, duration, "YES", "speaker", RATE))
    return found


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few utterances each."""
    monkeypatch.setattr(asr.data.store, "PART_BYTES", 100_000)


def extract_to(folder: Path, utterances: list[Utterance], workers: int = 1) -> FeatureStore:
    return extract(utterances, LOGMEL, RATE, SPEEDS, folder, workers)


def parts_of(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a part is written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.f32"))}


def test_store_and_device_give_the_same_inputs(tmp_path: Path, utterances: list[Utterance]) -> None:
    store = extract_to(tmp_path / "store", utterances)
    extractor = FeatureExtractor(LOGMEL, RATE)
    for factor in SPEEDS:
        waveforms = [change_speed(read_waveform(utterance), factor) for utterance in utterances]
        lengths = torch.tensor([len(waveform) for waveform in waveforms])
        online, frames = extractor(pad_sequence(waveforms, batch_first=True), lengths)
        for number, utterance in enumerate(utterances):
            stored = store.features(utterance.id, factor)
            foretold = frame_count(LOGMEL, RATE, perturbed_samples(utterance.samples, factor))
            assert store.frames(utterance.id, factor) == len(stored) == frames[number] == foretold
            torch.testing.assert_close(stored, online[number, : frames[number]], atol=1e-5, rtol=0)
    assert (store.dim, len(store)) == (120, 12)


@pytest.mark.usefixtures("small_parts")
def test_workers_and_order_do_not_change_what_is_stored(tmp_path: Path, utterances: list[Utterance]) -> None:
    alone = extract_to(tmp_path / "alone", utterances)
    shared = extract_to(tmp_path / "shared", utterances[::-1], workers=2)
    assert len(parts_of(alone.folder)) > 3
    for utterance in utterances:
        for factor in SPEEDS:
            assert torch.equal(alone.features(utterance.id, factor), shared.features(utterance.id, factor))


def test_features_are_read_without_a_copy(tmp_path: Path, utterances: list[Utterance]) -> None:
    store = extract_to(tmp_path / "store", utterances)
    file = store.folder / "00000.f32"
    content = file.read_bytes()
    first, again = store.features("0-1", 1.0), store.features("0-1", 1.0)
    assert first.data_ptr() == again.data_ptr()
    first.zero_()
    assert file.read_bytes() == content


@pytest.mark.usefixtures("small_parts")
def test_processes_open_the_same_files(tmp_path: Path, utterances: list[Utterance]) -> None:
    store = extract_to(tmp_path / "store", utterances)
    pickled = pickle.dumps(store)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)
    in_worker = DataLoader(Stored(store, utterances), batch_size=None, num_workers=1)
    for utterance, features in zip(utterances, in_worker, strict=True):
        expected = store.features(utterance.id, 1.1)
        assert torch.equal(features, expected)
        assert torch.equal(again.features(utterance.id, 1.1), expected)


class Stored(Dataset[Tensor]):
    def __init__(self, store: FeatureStore, utterances: list[Utterance]) -> None:
        self.store, self.utterances = store, utterances

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, number: int) -> Tensor:
        return self.store.features(self.utterances[number].id, 1.1)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_extraction_goes_on_with_what_is_missing(
    tmp_path: Path, utterances: list[Utterance], workers: int
) -> None:
    whole = extract_to(tmp_path / "whole", utterances)
    audio = utterances[-1].audio_filepath
    audio.rename(tmp_path / "aside")
    folder = tmp_path / "store"
    with pytest.raises(DataError, match=r"^Utterance 5-0 .*5\.wav\): the audio file is missing"):
        extract_to(folder, utterances, workers)
    written = parts_of(folder)
    assert 0 < len(written) < len(parts_of(whole.folder))
    assert not is_complete(folder)
    assert not list(folder.glob("*.unfinished*"))

    (tmp_path / "aside").rename(audio)
    store = extract_to(folder, utterances, workers)
    assert parts_of(folder).items() > written.items()
    assert is_complete(folder)
    for utterance in utterances:
        assert torch.equal(store.features(utterance.id, 1.1), whole.features(utterance.id, 1.1))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_a_damaged_part_is_noticed_and_made_anew(tmp_path: Path, utterances: list[Utterance], damage: str) -> None:
    folder = extract_to(tmp_path / "store", utterances).folder
    before = parts_of(folder)
    part = folder / "00001.f32"
    content = part.read_bytes()
    part.unlink() if damage == "missing" else part.write_bytes(content[:-4])
    assert not is_complete(folder)
    with pytest.raises(DataError, match=rf"00001\.f32 is {damage}.*run `asr extract RECIPE` again"):
        FeatureStore.open(folder)
    extract_to(folder, utterances)
    assert part.read_bytes() == content
    assert [name for name, state in parts_of(folder).items() if state != before[name]] == ["00001.f32"]


def test_a_store_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    assert not is_complete(tmp_path)
    with pytest.raises(DataError, match=r"no feature store at .*run `asr extract RECIPE` first"):
        FeatureStore.open(tmp_path)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files that cannot grow beyond 150 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_one_sentence(tmp_path: Path, utterances: list[Utterance]) -> None:
    with pytest.raises(DataError, match=r"00000\.f32 cannot be written \(File too large\): make room"):
        extract_to(tmp_path / "store", utterances)
    assert not list(tmp_path.glob("store/*.f32"))
    assert not list(tmp_path.glob("store/*.unfinished*"))


def test_what_is_not_stored_is_named(tmp_path: Path, utterances: list[Utterance]) -> None:
    store = extract_to(tmp_path / "store", utterances)
    with pytest.raises(DataError, match="does not hold somebody: run `asr extract RECIPE`"):
        store.features("somebody", 1.0)
    with pytest.raises(DataError, match=r"not at 1\.2: .*augment\.speed_factors"):
        store.frames("0-0", 1.2)


def test_audio_that_does_not_fit_is_named(tmp_path: Path, utterances: list[Utterance]) -> None:
    for change, sentence in (
        ({"sampling_rate": 16000}, r"Utterance 0-0 has 16000 Hz, data\.sampling_rate is 8000 Hz"),
        ({"duration": 0.026}, r"Utterance 0-0 lasts 0\.026 s, at its fastest less than the window"),
        ({"id": "5-1"}, "have the same id"),
    ):
        changed = [replace(utterances[0], **change), *utterances[1:]]
        with pytest.raises(DataError, match=sentence):
            extract_to(tmp_path / "store", changed)
    assert not list(tmp_path.glob("store/*.f32"))


def test_parts_grow_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr.data.store, "PART_BYTES", 64)
    monkeypatch.setattr(asr.data.store, "MOST_PARTS", 50)
    ids = [str(number) for number in range(1000)]
    frames = np.random.default_rng(1).integers(1, 50, (1000, 2))
    parts = plan_store(tmp_path, ids, [1.0, 1.1], frames, dim=4)
    assert 40 <= len(parts) <= 52
    assert sum(part.bytes for part in parts) == frames.sum() * 4 * 4
    assert [part.first for part in parts[1:]] == [part.last for part in parts[:-1]]


def test_an_utterance_larger_than_a_part_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr.data.store, "PART_BYTES", 64)
    frames = np.array([[1], [100], [1], [1]])
    parts = plan_store(tmp_path, ["a", "b", "c", "d"], [1.0], frames, dim=4)
    for number, part in enumerate(parts):
        part.write([torch.full((int(frames[row, 0]), 4), float(row)) for row in range(part.first, part.last)])
        assert part.complete, number
    store = FeatureStore.open(tmp_path)
    for row, name in enumerate("abcd"):
        assert torch.equal(store.features(name, 1.0), torch.full((int(frames[row, 0]), 4), float(row)))


def test_the_folder_is_named_after_what_determines_the_values(tmp_path: Path, utterances: list[Utterance]) -> None:
    def folder(
        config: FeaturesConfig = LOGMEL,
        items: list[Utterance] = utterances,
        rate: int = RATE,
        speeds: list[float] = SPEEDS,
    ) -> Path:
        return store_folder(tmp_path, items, config, rate, speeds)

    first = folder()
    assert first.parent == tmp_path / "features"
    assert folder(replace(LOGMEL, normalization=Normalization.none, source=FeatureSource.online)) == first
    assert folder(items=[replace(item, text="NO", speaker="") for item in utterances]) == first
    others = [
        folder(replace(LOGMEL, window_ms=20)),
        folder(replace(LOGMEL, hop_ms=12)),
        folder(replace(LOGMEL, mels=30)),
        folder(replace(LOGMEL, deltas=False)),
        folder(replace(LOGMEL, kind=FeatureKind.mfcc)),
        folder(replace(LOGMEL, coefficients=13)),
        folder(rate=16000),
        folder(speeds=[1.0]),
        folder(items=utterances[:-1]),
        folder(items=[replace(utterances[0], id="other"), *utterances[1:]]),
        folder(items=[replace(utterances[0], offset=0.1), *utterances[1:]]),
        folder(items=[replace(utterances[0], duration=0.1), *utterances[1:]]),
        folder(items=[replace(utterances[0], audio_filepath=utterances[2].audio_filepath), *utterances[1:]]),
    ]
    os.utime(utterances[0].audio_filepath, ns=(1, 1))
    others.append(folder())
    assert len({first, *others}) == 15


def test_the_folder_stays_when_the_data_moves(tmp_path: Path, utterances: list[Utterance]) -> None:
    before = store_folder(tmp_path / "corpus", utterances, LOGMEL, RATE, SPEEDS)
    (tmp_path / "corpus").rename(tmp_path / "moved")
    moved = [replace(item, audio_filepath=tmp_path / "moved" / item.audio_filepath.name) for item in utterances]
    assert store_folder(tmp_path / "moved", moved, LOGMEL, RATE, SPEEDS).name == before.name
    with pytest.raises(DataError, match=r"Utterance 0-0 \(.*\): the audio file is missing"):
        store_folder(tmp_path / "corpus", utterances, LOGMEL, RATE, SPEEDS)


def test_only_the_training_split_has_other_speeds() -> None:
    assert stored_factors("train", AUGMENT) == [0.9, 1.0, 1.1]
    assert stored_factors("dev", AUGMENT) == stored_factors("test", AUGMENT) == [1.0]


@pytest.mark.parametrize("what", ["noise", "gain"])
def test_changes_of_the_waveform_need_features_computed_online(what: str) -> None:
    noisy = replace(AUGMENT, **{what: replace(getattr(AUGMENT, what), probability=0.5)})
    check_source(LOGMEL, AUGMENT)
    check_source(replace(LOGMEL, source=FeatureSource.online), noisy)
    with pytest.raises(ConfigError, match=rf"augment\.{what}\.probability=0\.5 .*features\.source=online"):
        check_source(LOGMEL, noisy)


@pytest.fixture
def recipe(tmp_path: Path, utterances: list[Utterance]) -> Recipe:
    """A recipe whose manifests are there."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(
        f"defaults: [/config, override /data: 8khz, override /tracker: disabled, _self_]\npaths: {{data: {tmp_path}}}\n"
    )
    write_splits(folder, {"train": utterances[:8], "dev": utterances[8:10], "test": utterances[10:]})
    return Recipe(folder)


def test_the_command_extracts_every_split_once(recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    config = compose(recipe)
    command.run(recipe, config)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [line[:3] for line in lines] == [["train", "8", "3"], ["dev", "2", "1"], ["test", "2", "1"]]
    assert len(list((recipe.data(config) / "features").iterdir())) == len(SPLITS)
    command.run(recipe, config)
    assert capsys.readouterr().out.count("there already") == len(SPLITS)


@pytest.mark.parametrize("override", ["augment=noise", "features.source=online"])
def test_the_command_refuses_what_the_store_cannot_hold(recipe: Recipe, override: str) -> None:
    with pytest.raises(ConfigError, match=r"features\.source=online"):
        command.run(recipe, compose(recipe, [override]))
    assert not (recipe.folder / "features").exists()
