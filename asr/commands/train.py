"""`asr train`: trains the model of a recipe, from where an earlier start left off."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from asr.commands.check import refuse_mistakes
from asr.composition import plain
from asr.config import Config
from asr.data.draws import mix
from asr.data.manifest import read_manifest
from asr.data.parallel import cores
from asr.data.store import FeatureStore
from asr.data.utterance import Utterance
from asr.features.config import FeatureSource, Normalization
from asr.features.extraction import check_source, extract, store_folder, stored_factors
from asr.features.extractor import FeatureExtractor
from asr.features.inputs import Inputs
from asr.model.acoustic import count_parameters
from asr.model.folder import build_model
from asr.recipe import Recipe
from asr.scoring.provenance import hardware as hardware_name
from asr.text.tokenizer import build_tokenizer
from asr.tracking.tracker import Tracker
from asr.training.debugging import choose_utterances, profiled, simplify
from asr.training.distributed import Ranks, join_ranks
from asr.training.hardware import Hardware, resolve_hardware
from asr.training.run_folder import RunFolder, find_run_folder
from asr.training.trainer import Trainer

log = logging.getLogger(__name__)


def run(recipe: Recipe, config: Config) -> float:
    """Trains, or goes on with, the run of a configuration.

    Returns:
        The best WER on the dev split.
    """
    check_source(config.features, config.augment)
    config = simplify(config)
    if config.training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    splits = [read_manifest(recipe.manifest(config, split)) for split in ("train", "dev")]
    hardware = resolve_hardware(config.hardware)
    folder = find_run_folder(recipe, config, hardware.precision)
    ranks = join_ranks(hardware.device)
    with ExitStack() as stack:

        def begin() -> None:
            stack.enter_context(folder.held(config, config.training.restart))
            refuse_mistakes(recipe, config)

        ranks.only_first(begin)
        train, dev = choose_utterances(config, *splits)
        trainer = build_trainer(recipe, config, train, dev, hardware, ranks, folder)
        if trainer.done.finished:
            log.info("The run %s is finished.", folder.path)
        else:
            _describe(trainer, train, dev, hardware, folder)
            step = trainer.done.step
            tracker = open_tracker(recipe, config, folder, step) if ranks.first else Tracker.silent()
            with tracker, profiled(config, folder.path, ranks):
                trainer.fit(tracker)
                tracker.model(folder.model)
                log.info("%s", tracker.where())
        best = trainer.done
        log.info("Best dev WER %.2f %% after epoch %d: %s", 100 * best.best_wer, best.best_epoch, folder.model)
        return best.best_wer


def build_trainer(
    recipe: Recipe,
    config: Config,
    train: Sequence[Utterance],
    dev: Sequence[Utterance],
    hardware: Hardware,
    ranks: Ranks,
    folder: RunFolder,
) -> Trainer:
    """Builds the trainer of a run, at the state of its newest checkpoint."""
    tokenizer = build_tokenizer(config.tokenizer)
    torch.use_deterministic_algorithms(config.training.deterministic)
    torch.manual_seed(mix("weights", config.seed))
    model = build_model(config, tokenizer.size)
    stores = [_store(recipe, config, split, part) for split, part in (("train", train), ("dev", dev))]
    train_inputs = Inputs(train, stores[0], config.augment, config.seed)
    dev_inputs = Inputs(dev, stores[1], None, config.seed)
    trainer = Trainer(config, train_inputs, dev_inputs, tokenizer, model, hardware, ranks, folder)
    if not trainer.restore() and config.features.normalization is Normalization.corpus:
        trainer.fit_normalizer(_frames(Inputs(train, stores[0], None, config.seed), config))
    return trainer


def _store(recipe: Recipe, config: Config, split: str, utterances: Sequence[Utterance]) -> FeatureStore | None:
    """The feature store of a split, extracted now if it was not before; None where features are computed online."""
    if config.features.source is FeatureSource.online:
        return None
    factors = stored_factors(split, config.augment)
    rate = config.data.sampling_rate
    place = store_folder(recipe.data(config), utterances, config.features, rate, factors)
    return extract(utterances, config.features, rate, factors, place, config.hardware.threads or cores())


def _frames(inputs: Inputs, config: Config) -> Iterator[Tensor]:
    """The features of each utterance at its own speed, (frames, dim)."""
    extractor = FeatureExtractor(config.features, config.data.sampling_rate)
    for number in range(len(inputs.utterances)):
        read = inputs(number, epoch=0)
        yield read if read.ndim == 2 else extractor(read[None], torch.tensor([len(read)]))[0][0]


def open_tracker(recipe: Recipe, config: Config, folder: RunFolder, step: int) -> Tracker:
    """The tracker of a run that goes on from a step."""
    return Tracker(
        folder.path,
        config.tracker,
        name=folder.path.name,
        recipe=recipe.name,
        settings=plain(config),
        job_type="train",
        step=step,
    )


def _describe(
    trainer: Trainer, train: Sequence[Utterance], dev: Sequence[Utterance], hardware: Hardware, folder: RunFolder
) -> None:
    done, minutes = trainer.done, sum(utterance.duration for utterance in train) / 60
    log.info("Run %s", folder.path)
    log.info(
        "%.2f M parameters; %d training utterances, %.1f min; %d dev utterances; %s on %s, %d ranks of %d threads",
        count_parameters(trainer.model) / 1e6,
        len(train),
        minutes,
        len(dev),
        hardware.precision.name,
        hardware_name(),
        trainer.ranks.size,
        torch.get_num_threads(),
    )
    if done.step:
        log.info("Goes on from step %d, epoch %d, after %.0f s of training.", done.step, done.epoch, done.seconds)
