"""The training of an acoustic model: its data, its tokenizer, its model, and the trainer of them."""

import filecmp
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from asr.batching.dataset import Dataset
from asr.checks.corpus import refuse_mistakes
from asr.common.errors import ConfigError
from asr.common.processes import cores
from asr.common.seeds import derive_seed
from asr.data.audio import Audio
from asr.data.manifest import manifest_checksum
from asr.data.mixture import read_split, spread, weights_by_key
from asr.data.shards.reader import open_audio
from asr.data.utterance import Field, Utterance, joined, seconds_of
from asr.features.extraction import Extraction, stored_factors
from asr.features.extractor import FeatureExtractor
from asr.features.perturbation import check_source
from asr.features.store import FeatureStore
from asr.model.acoustic import AcousticModel, cells_of_layers
from asr.model.card import TRAINED_ON
from asr.model.folder import TRAINED, build_model, load_model, model_folder
from asr.scoring.error_unit import ErrorUnit, error_unit, with_unit
from asr.scoring.normalizer import build_normalizer
from asr.settings.compose import flattened, plain
from asr.settings.features import FeatureSource, Normalization
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import Tokenizer
from asr.text.tokenizer import build_tokenizer
from asr.training.acoustic_task import AcousticTask
from asr.training.debugging import choose_utterances, simplify
from asr.training.distributed import Ranks
from asr.training.hardware import Hardware, one_thread, resolve_hardware, set_deterministic
from asr.training.identity import DEV_MANIFEST, run_hash
from asr.training.run_folder import RunFolder, as_begun, find_run_folder, refuse_other_settings
from asr.training.session import Training, manifests
from asr.training.speech_task import SpeechTask
from asr.training.trainer import Trainer

log = logging.getLogger(__name__)

AcousticTrainer = Trainer[AcousticTask]
NORMALIZED_UTTERANCES = 100_000
"""How many utterances the mean and the variance are of, at most: more do not change them."""


@dataclass(frozen=True)
class AcousticData:
    """The utterances and the tokenizer of a configuration, each read or built once."""

    recipe: Recipe
    config: Config
    """With what `scoring.unit` stands for."""
    splits: Mapping[str, Sequence[Utterance]]
    """Train and dev as their manifests have them."""

    @classmethod
    def read(cls, recipe: Recipe, config: Config) -> Self:
        """Reads the manifests.

        Raises:
            DataError: One is missing or damaged.
        """
        splits = {split: read_split(recipe, config, split) for split in ("train", "dev")}
        return cls(recipe, with_unit(config, error_unit(config, splits["dev"])), splits)

    @cached_property
    def used(self) -> dict[str, Sequence[Utterance]]:
        """Train and dev as the training uses them: cut for debugging, and train with dev if it is trained on too."""
        train, dev = choose_utterances(self.config, self.splits["train"], self.splits["dev"])
        return {"train": joined([train, dev]) if self.config.training.with_dev else train, "dev": dev}

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, learned from the training transcripts where it learns."""
        return build_tokenizer(self.config.tokenizer, Field(self.splits["train"], "text"))

    @cached_property
    def audio(self) -> Audio:
        """Where the audio is read from."""
        return open_audio(self.config.shards, self.recipe.data(self.config))

    def store(self, split: str) -> FeatureStore | None:
        """The feature store of a split, extracted now as far as it is not complete; None where features are online."""
        config = self.config
        if config.features.source is FeatureSource.online:
            return None
        factors = stored_factors(split, config.augment)
        extraction = Extraction(self.used[split], config.features, config.data.sampling_rate, factors, self.audio)
        return extraction.run(extraction.folder(self.recipe.data(config)), config.hardware.threads or cores())

    def datasets(self) -> tuple[Dataset, Dataset]:
        """The training utterances with augmentation, as often as an epoch may read them, and the dev utterances."""
        config, audio = self.config, self.audio
        stores = [self.store(split) for split in ("train", "dev")]
        mixed, shares = spread(self.used["train"], weights_by_key(self.recipe, config))
        return (
            Dataset(mixed, stores[0], config.augment, config.seed, shares, audio),
            Dataset(self.used["dev"], stores[1], None, config.seed, audio=audio),
        )


def build_trainer(data: AcousticData, hardware: Hardware, ranks: Ranks, folder: RunFolder) -> AcousticTrainer:
    """Builds the trainer of a run, at the state of its newest checkpoint."""
    config, tokenizer = data.config, data.tokenizer
    set_deterministic(config.training.deterministic)
    torch.manual_seed(derive_seed("weights", config.seed))
    model = build_model(config, tokenizer.size, TRAINED)
    fine_tuned = config.training.init_from is not None
    if fine_tuned:
        begin_with(model, config, tokenizer)
    train, dev = data.datasets()
    kind = SpeechTask if config.tokenizer.kind.labels_frames else AcousticTask
    trainer = Trainer(config, kind(config, train, dev, tokenizer, model, hardware), hardware, ranks, folder)
    fits = config.features.normalization is Normalization.corpus and not fine_tuned
    if not trainer.restore() and fits:
        unchanged = Dataset(data.used["train"], train.store, None, config.seed, audio=data.audio)
        # The features of a single utterance are too few to share among threads.
        with one_thread() if train.store is not None else nullcontext():
            model.normalizer.fit(_features(unchanged, config))
        trainer.averaged.module.load_state_dict(model.state_dict())
    return trainer


def _features(dataset: Dataset, config: Config) -> Iterator[Tensor]:
    """The features of each utterance, (frames, dim); of very many utterances, of some evenly spread."""
    extractor = FeatureExtractor(config.features, config.data.sampling_rate)
    count = len(dataset.utterances)
    for number in np.linspace(0, count - 1, min(count, NORMALIZED_UTTERANCES)).astype(np.int64).tolist():
        read = dataset(number, epoch=0)
        yield read if read.ndim == 2 else extractor(read[None], torch.tensor([len(read)]))[0][0]


class AcousticTraining(Training[AcousticTask]):
    """See `asr.training.session.Training`.

    Raises:
        ConfigError: Settings do not fit together or cannot be used here.
        DataError: A manifest is missing or damaged.
        RunError: There is no model to fine-tune where the configuration says.
    """

    def __init__(self, recipe: Recipe, config: Config) -> None:
        check_source(config.features, config.augment)
        build_normalizer(config.scoring.normalizer)
        if config.training.with_dev and config.training.early_stopping_epochs is not None:
            raise ConfigError("training.with_dev=true trains on dev, so training.early_stopping_epochs must be null.")
        self.data = AcousticData.read(recipe, simplify(config))
        config = self.data.config
        set_deterministic(config.training.deterministic)
        hardware = resolve_hardware(config.hardware)
        if recipe.run is not None:
            refuse_other_settings(recipe.run, config)
            config = as_begun(recipe.run, config, hardware.precision, partial(run_hash, recipe, config))
            self.data, hardware = replace(self.data, config=config), resolve_hardware(config.hardware)
        super().__init__(recipe, config, hardware, find_run_folder(recipe, config, hardware.precision))

    def check(self) -> None:
        # A training under way goes on without files that vanished meanwhile; a new one begins with all of them.
        unreadable = self.config.training.max_lost_utterances if self.folder.is_under_way else 0
        refuse_mistakes(self.recipe, self.config, self.data.splits, self.data.tokenizer, unreadable)

    def identity(self) -> dict[str, str]:
        train = self.data.used["train"]
        return super().identity() | {
            DEV_MANIFEST: manifest_checksum(self.recipe.manifest(self.config, "dev")),
            TRAINED_ON: f"{len(train):,} utterances, {float(seconds_of(train).sum()) / 3600:.2f} h",
        }

    def build(self, ranks: Ranks) -> AcousticTrainer:
        return build_trainer(self.data, self.hardware, ranks, self.folder)

    def describe(self, task: AcousticTask) -> str:
        train, dev = self.data.used["train"], self.data.used["dev"]
        minutes = float(seconds_of(train).sum()) / 60
        return f"{len(train)} training utterances, {minutes:.1f} min; {len(dev)} dev utterances"

    def outcome(self, score: float) -> str:
        kept = "The last model, trained on dev too:" if self.config.training.with_dev else "Best"
        return f"{kept} dev {ErrorUnit[self.config.scoring.unit.name].label} {100 * score:.2f} %"

    def manifests(self) -> Sequence[Path]:
        return manifests(self.recipe, self.config)


HEADS = ("head.", "intermediate_head.")
FREE = (
    "features.source", "model.cells", "model.cell_order", "model.forget_bias", "model.orthogonal", "model.blank_bias",
    "model.intermediate_layer", "model.dropout", "model.variational_dropout",
)  # fmt: skip
"""What may differ: how features are read, how weights are initialized, and what only training does."""


def begin_with(model: AcousticModel, config: Config, tokenizer: Tokenizer) -> None:
    """Gives a new model the weights and the feature statistics of the model that `training.init_from` names.

    CTC heads keep their random weights where the tokens differ; the log says so.

    Raises:
        ConfigError: Its architecture or its features differ; names the keys.
        RunError: There is no such model, or it is damaged.
    """
    folder = model_folder(str(config.training.init_from), "training.init_from")
    trained, trained_config, _ = load_model(folder)
    here, there = _architecture(config), _architecture(trained_config)
    if different := [key for key in here if here[key] != there[key]]:
        values = ", ".join(f"{key}={here[key]} (there {there[key]})" for key in different)
        raise ConfigError(f"The model of training.init_from, {folder}, differs: {values}; set these to its values.")
    same_tokens = _same_tokens(tokenizer, folder)
    wanted, weights = model.state_dict(), trained.state_dict()
    taken = {name: weights[name] for name in wanted if name in weights and (same_tokens or not name.startswith(HEADS))}
    model.load_state_dict(wanted | taken)
    fresh = [head for head in HEADS if any(name.startswith(head) for name in wanted.keys() - taken.keys())]
    heads = " and ".join(head.rstrip(".").replace("_", " ") for head in fresh)
    why = "its tokens differ" if not same_tokens else "it has none"
    log.info("Weights are initialized from %s%s.", folder, f", but the {heads} at random, since {why}" if fresh else "")


def _architecture(config: Config) -> dict[str, Any]:
    values = flattened(plain(config))
    kept = {
        key: value
        for key, value in values.items()
        if key == "data.sampling_rate" or (key.startswith(("model.", "features.")) and key not in FREE)
    }
    return kept | {"model.cells": [cell.name for cell in cells_of_layers(config.model)]}


def _same_tokens(tokenizer: Tokenizer, folder: Path) -> bool:
    with tempfile.TemporaryDirectory() as place:
        tokenizer.save(Path(place))
        names = [path.name for path in Path(place).iterdir()]
        same, _, _ = filecmp.cmpfiles(place, folder, names, shallow=False)
        return len(same) == len(names)
