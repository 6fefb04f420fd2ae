"""`asr extract`: what it stores of each split, what it refuses, and the name of the folder."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from asr.commands import extract as command
from asr.common.errors import ConfigError, DataError
from asr.data.splits import SPLITS, write_splits
from asr.data.utterance import Utterance
from asr.features.extraction import Extraction, stored_factors
from asr.features.perturbation import check_source
from asr.settings.augment import SpecAugmentConfig
from asr.settings.compose import compose
from asr.settings.features import FeatureKind, FeaturesConfig, FeatureSource, Normalization
from asr.settings.recipe import Recipe, find_recipe
from tests.helpers.stored_features import LOGMEL, RATE, SPEEDS, noise_utterances

AUGMENT = replace(
    compose(find_recipe("an4"), ["name=test"]).augment,
    speed_factors=[0.9, 1.1],
    spec_augment=SpecAugmentConfig(0, 0.0, 0, None, 0.0, 0.0),
)


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    return noise_utterances(tmp_path)


def test_the_folder_is_named_after_what_determines_the_values(tmp_path: Path, utterances: list[Utterance]) -> None:
    def folder(
        config: FeaturesConfig = LOGMEL,
        items: list[Utterance] = utterances,
        rate: int = RATE,
        speeds: list[float] = SPEEDS,
    ) -> Path:
        return Extraction(items, config, rate, speeds).folder(tmp_path)

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
    before = Extraction(utterances, LOGMEL, RATE, SPEEDS).folder(tmp_path / "corpus")
    (tmp_path / "corpus").rename(tmp_path / "moved")
    moved = [replace(item, audio_filepath=tmp_path / "moved" / item.audio_filepath.name) for item in utterances]
    assert Extraction(moved, LOGMEL, RATE, SPEEDS).folder(tmp_path / "moved").name == before.name
    with pytest.raises(DataError, match=r"Utterance 0-0 \(.*\): the audio file is missing"):
        Extraction(utterances, LOGMEL, RATE, SPEEDS).folder(tmp_path / "corpus")


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
    assert capsys.readouterr().out.count("complete") == len(SPLITS)


@pytest.mark.parametrize("override", ["augment=noise", "features.source=online"])
def test_the_command_refuses_what_the_store_cannot_hold(recipe: Recipe, override: str) -> None:
    with pytest.raises(ConfigError, match=r"features\.source=online"):
        command.run(recipe, compose(recipe, [override]))
    assert not (recipe.folder / "features").exists()
