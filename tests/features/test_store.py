"""The feature store holds what the extractor computes, survives interruption, and notices what is damaged."""

import multiprocessing
import pickle
import resource
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

import asr.features.store
from asr.common.errors import DataError
from asr.data.audio import AudioFiles, read_waveform
from asr.data.utterance import Utterance
from asr.features.augment import change_speed, perturbed_samples
from asr.features.extraction import Extraction
from asr.features.extractor import FeatureExtractor, frame_count
from asr.features.store import FeatureStore, is_complete, plan_store
from tests.helpers import programs
from tests.helpers.stored_features import LOGMEL, RATE, SPEEDS, noise_utterances


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    return noise_utterances(tmp_path)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few utterances each."""
    monkeypatch.setattr(asr.features.store, "PART_BYTES", 100_000)


def extract_to(folder: Path, utterances: list[Utterance], workers: int = 1) -> FeatureStore:
    return Extraction(utterances, LOGMEL, RATE, SPEEDS).run(folder, workers)


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


def extract_with_another_start_method() -> None:
    class Shifted(AudioFiles):  # of this process alone
        def read(self, utterance: Utterance) -> Tensor:
            return super().read(utterance) / 2

    multiprocessing.set_start_method("spawn", force=True)
    utterances = noise_utterances(Path(sys.argv[1]))
    Extraction(utterances, LOGMEL, RATE, SPEEDS, Shifted()).run(Path(sys.argv[1]) / "store", 2)


def test_the_default_start_method_of_python_does_not_matter(tmp_path: Path) -> None:
    done = programs.run(extract_with_another_start_method, [str(tmp_path)])
    assert done.returncode == 0, done.stderr


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
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_damaged_part_is_noticed_and_made_again(tmp_path: Path, utterances: list[Utterance], damage: str) -> None:
    folder = extract_to(tmp_path / "store", utterances).folder
    before = parts_of(folder)
    part = folder / "00001.f32"
    content = part.read_bytes()
    part.unlink() if damage == "missing" else part.write_bytes(content[:-4])
    assert not is_complete(folder)
    with pytest.raises(DataError, match=rf"00001\.f32 is {damage}.*run `asr extract RECIPE` again"):
        FeatureStore(folder)
    extract_to(folder, utterances)
    assert part.read_bytes() == content
    assert [name for name, state in parts_of(folder).items() if state != before[name]] == ["00001.f32"]


def test_a_store_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    assert not is_complete(tmp_path)
    with pytest.raises(DataError, match=r"no feature store at .*run `asr extract RECIPE` first"):
        FeatureStore(tmp_path)


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
    with pytest.raises(DataError, match="does not have somebody: run `asr extract RECIPE`"):
        store.features("somebody", 1.0)
    with pytest.raises(DataError, match=r"not at 1\.2: .*augment\.speed_factors"):
        store.frames("0-0", 1.2)


def test_audio_that_does_not_fit_is_named(tmp_path: Path, utterances: list[Utterance]) -> None:
    for change, sentence in (
        ({"sampling_rate": 16000}, r"Utterance 0-0 has 16000 Hz, data\.sampling_rate is 8000 Hz"),
        ({"duration": 0.026}, r"Utterance 0-0 lasts 0\.026 s, at its highest speed less than the window"),
        ({"id": "5-1"}, "have the same id"),
    ):
        changed = [replace(utterances[0], **change), *utterances[1:]]
        with pytest.raises(DataError, match=sentence):
            extract_to(tmp_path / "store", changed)
    assert not list(tmp_path.glob("store/*.f32"))


def test_parts_grow_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr.features.store, "PART_BYTES", 64)
    monkeypatch.setattr(asr.features.store, "MOST_PARTS", 50)
    ids = [str(number) for number in range(1000)]
    frames = np.random.default_rng(1).integers(1, 50, (1000, 2))
    parts = plan_store(tmp_path, ids, [1.0, 1.1], frames, dim=4)
    assert 40 <= len(parts) <= 52
    assert sum(part.bytes for part in parts) == frames.sum() * 4 * 4
    assert [part.first for part in parts[1:]] == [part.last for part in parts[:-1]]


def test_an_utterance_larger_than_a_part_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr.features.store, "PART_BYTES", 64)
    frames = np.array([[1], [100], [1], [1]])
    parts = plan_store(tmp_path, ["a", "b", "c", "d"], [1.0], frames, dim=4)
    for number, part in enumerate(parts):
        part.write([torch.full((int(frames[row, 0]), 4), float(row)) for row in range(part.first, part.last)])
        assert part.complete, number
    store = FeatureStore(tmp_path)
    for row, name in enumerate("abcd"):
        assert torch.equal(store.features(name, 1.0), torch.full((int(frames[row, 0]), 4), float(row)))
