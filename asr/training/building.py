"""Builds the trainer of a configuration: tokenizer, model, feature stores and what they read."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from asr.batching.dataset import Dataset
from asr.common.processes import cores
from asr.common.seeds import derive_seed
from asr.data.audio import Audio
from asr.data.mixture import read_split, spread, weights_by_key
from asr.data.sequences import Field, joined
from asr.data.shards.reader import open_audio
from asr.data.utterance import Utterance
from asr.features.extraction import Extraction, stored_factors
from asr.features.extractor import FeatureExtractor
from asr.features.store import FeatureStore
from asr.model.folder import build_model
from asr.settings.features import FeatureSource, Normalization
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.tokenizer import build_tokenizer
from asr.training.acoustic_task import AcousticTask
from asr.training.debugging import choose_utterances
from asr.training.distributed import Ranks
from asr.training.fine_tuning import begin_with
from asr.training.hardware import Hardware, set_deterministic
from asr.training.run_folder import RunFolder
from asr.training.trainer import Trainer

AcousticTrainer = Trainer[AcousticTask]
NORMALIZED_UTTERANCES = 100_000
"""So many tell mean and variance as well as any more would."""


def read_splits(recipe: Recipe, config: Config) -> tuple[Sequence[Utterance], Sequence[Utterance]]:
    """The utterances that a configuration trains on, and its dev utterances.

    Raises:
        DataError: A manifest is missing or damaged.
    """
    train, dev = choose_utterances(config, *(read_split(recipe, config, split) for split in ("train", "dev")))
    return (joined([train, dev]) if config.training.with_dev else train), dev


def build_trainer(
    recipe: Recipe,
    config: Config,
    train: Sequence[Utterance],
    dev: Sequence[Utterance],
    hardware: Hardware,
    ranks: Ranks,
    folder: RunFolder,
) -> AcousticTrainer:
    """Builds the trainer of a run, at the state of its newest checkpoint."""
    tokenizer = build_tokenizer(config.tokenizer, Field(read_split(recipe, config, "train"), "text"))
    set_deterministic(config.training.deterministic)
    torch.manual_seed(derive_seed("weights", config.seed))
    model = build_model(config, tokenizer.size)
    fine_tuned = config.training.init_from is not None
    if fine_tuned:
        begin_with(model, config, tokenizer)
    audio = open_audio(config.shards, recipe.data(config))
    stores = [feature_store(recipe, config, split, part, audio) for split, part in (("train", train), ("dev", dev))]
    mixed, shares = spread(train, weights_by_key(recipe, config))
    train_inputs = Dataset(mixed, stores[0], config.augment, config.seed, shares, audio)
    dev_inputs = Dataset(dev, stores[1], None, config.seed, audio=audio)
    task = AcousticTask(config, train_inputs, dev_inputs, tokenizer, model, hardware)
    trainer = Trainer(config, task, hardware, ranks, folder)
    fits = config.features.normalization is Normalization.corpus and not fine_tuned
    if not trainer.restore() and fits:
        model.normalizer.fit(_frames(Dataset(train, stores[0], None, config.seed, audio=audio), config))
        trainer.averaged.module.load_state_dict(model.state_dict())
    return trainer


def feature_store(
    recipe: Recipe, config: Config, split: str, utterances: Sequence[Utterance], audio: Audio
) -> FeatureStore | None:
    """The feature store of a split, extracted now if it was not before; None where features are computed online."""
    if config.features.source is FeatureSource.online:
        return None
    factors = stored_factors(split, config.augment)
    extraction = Extraction(utterances, config.features, config.data.sampling_rate, factors, audio)
    return extraction.run(extraction.folder(recipe.data(config)), config.hardware.threads or cores())


def _frames(inputs: Dataset, config: Config) -> Iterator[Tensor]:
    """The features of each utterance at its own speed, (frames, dim); of very many, of some evenly spread."""
    extractor = FeatureExtractor(config.features, config.data.sampling_rate)
    count = len(inputs.utterances)
    for number in np.unique(np.linspace(0, count - 1, min(count, NORMALIZED_UTTERANCES)).astype(np.int64)).tolist():
        read = inputs(number, epoch=0)
        yield read if read.ndim == 2 else extractor(read[None], torch.tensor([len(read)]))[0][0]
