"""Several manifests in one training, each read as often as its weight says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.batching.dataset import Dataset
from asr.batching.steps import Steps
from asr.common.errors import ConfigError, DataError
from asr.data.manifest import read_manifest, write_manifest
from asr.data.mixture import read_split, spread, weights_by_key
from asr.settings.batching import BatchingConfig, BatchOrder
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe
from asr.settings.root import Config
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import metrics, prepare_yesno, run_folder, train

RECIPE = Recipe(RECIPES / "an4")
OWN, OTHER = ["A", "AB", "B"], ["C", "CD", "D", "DC"]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_corpus(tmp_path / "an4", {"train": OWN, "dev": ["A"], "test": ["B"]})
    others = write_corpus(tmp_path / "other", {"train": OTHER, "dev": ["A"], "test": ["A"]})["train"]
    write_manifest(tmp_path / "other/mixed.jsonl", [replace(item, id=f"other-{item.id}") for item in others])
    return compose(RECIPE, [f"paths.data={tmp_path}", "data.mixture={train: 1, other/mixed.jsonl: 0.5}"])


def inputs(config: Config) -> Dataset:
    utterances, shares = spread(read_split(RECIPE, config, "train"), weights_by_key(RECIPE, config))
    return Dataset(utterances, None, None, seed=1, shares=shares)


def read_in(mixed: Dataset, epoch: int) -> list[str]:
    """The ids that the steps of an epoch read."""
    batching = BatchingConfig(1.0, 10.0, 0.05, BatchOrder.random)
    steps = Steps(mixed, [[1]] * len(mixed.utterances), batching, seed=1, rank=0, ranks=1)
    return [mixed.utterances[number].id for step in steps.start(epoch, 0, epoch + 1) for number in step.utterances]


def test_half_a_weight_reads_each_utterance_in_every_second_epoch(config: Config) -> None:
    mixed = inputs(config)
    epochs = [read_in(mixed, epoch) for epoch in range(10)]
    for utterance in mixed.utterances:
        times = [ids.count(utterance.id) for ids in epochs]
        if utterance.id.startswith("other-"):
            assert set(times) == {0, 1} and times[:2] in ([0, 1], [1, 0]) and times == times[:2] * 5
        else:
            assert times == [1] * 10


def test_a_weight_above_one_reads_each_utterance_again_and_changes_it_otherwise(config: Config) -> None:
    mixed = inputs(replace(config, data=replace(config.data, mixture={"train": 2.25})))
    counts = np.array([[read_in(mixed, epoch).count(item.id) for item in mixed.utterances[::3]] for epoch in range(8)])
    assert (counts.sum(axis=0) == 18).all() and set(counts.flat) == {2, 3}
    assert len(set(mixed.keys.tolist())) == len(mixed.utterances) == 9


def test_without_weights_nothing_changes(config: Config) -> None:
    plain = replace(config, data=replace(config.data, mixture={"train": 1.0}))
    assert inputs(plain).in_epoch(3) is None
    assert sorted(read_in(inputs(plain), 3)) == sorted(item.id for item in read_split(RECIPE, plain, "train"))


def test_ids_of_mixed_manifests_must_differ(config: Config, tmp_path: Path) -> None:
    write_manifest(tmp_path / "other/mixed.jsonl", read_manifest(tmp_path / "an4/train.jsonl"))
    with pytest.raises(DataError, match=r"ids must differ among the manifests of data\.mixture"):
        read_split(RECIPE, config, "train")


@pytest.mark.parametrize("mixture", ["{train: 0}", "{train: 0.5}", "{train: -1, x.jsonl: 2}", "{train: much}", "3"])
def test_weights_that_make_no_sense_are_refused(mixture: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.mixture"):
        compose(RECIPE, [f"data.mixture={mixture}"])


def test_a_training_reads_the_mixture(tmp_path: Path) -> None:
    recipe = prepare_yesno(tmp_path / "data")
    own = read_manifest(tmp_path / "data" / recipe / "train.jsonl")
    write_manifest(tmp_path / "data/more.jsonl", [replace(item, id=f"more-{item.id}") for item in own])
    settings = ["hardware.workers=0", "training.epochs=2", "training.log_every_steps=1"]
    assert train(recipe, tmp_path, [*settings, "data.mixture={train: 1, more.jsonl: 0.5}"]) == 0
    run = run_folder(tmp_path, recipe)
    steps = metrics(run)[-1]["step"]
    assert steps > 2 * sum(item.duration for item in own) / 20, "more than the recipe's own utterances"
