"""Everything that a training builds of its settings, whatever a number of them is."""

from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

from asr.batching.batch_plan import plan_epoch, split_batch
from asr.common.seeds import Draws, key_of, keys_of
from asr.features.augment import change_speed, change_tempo, spec_augment
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import Normalizer
from asr.features.perturbation import Perturbation
from asr.lm.recurrent import RecurrentLanguageModel
from asr.model.folder import TRAINED, build_if_it_fits, build_model
from asr.settings.compose import to_config
from asr.settings.root import Config
from asr.training.distributed import Ranks
from asr.training.hardware import resolve_hardware
from asr.training.optimization import AveragedModel, OptimizerStep, build_optimizer, learning_rate
from asr.training.timing import Watchdog
from asr.training.train_state import UnreadableUtterances

SMALL = [
    "model.hidden=8", "model.channels=2", "model.layers=2", "model.cells=[lstm]", "lm=lstm", "lm.hidden=8",
    "lm.layers=1", "decoder=beam", "tracker=disabled", "hardware.device=cpu", "hardware.workers=0",
    "hardware.threads=1",
]  # fmt: skip
TOKENS = 12
"""Of the models."""


def with_value(settings: dict[str, Any], key: str, value: Any) -> Config:
    changed = OmegaConf.create(settings)
    OmegaConf.update(changed, key, value, merge=False)
    return to_config(changed)


def build(config: Config) -> None:
    """Everything that a training builds of its settings, and a step of each part."""
    rate, key = config.data.sampling_rate, key_of("a")
    waveform = torch.randn(rate) * 0.1
    waveform = Perturbation(config.augment, config.seed)(waveform, rate, key, 1)
    waveform = change_speed(waveform, config.augment.speed_factors[0])
    waveform = change_tempo(waveform, config.augment.tempo_factors[0], rate)
    extractor = FeatureExtractor(config.features, rate)
    features, lengths = extractor(waveform[None], torch.tensor([len(waveform)]))
    if config.features.normalization.name != "corpus":
        features = Normalizer(config.features.normalization, extractor.dim)(features, lengths)
    draws = Draws(keys_of(["a"]), config.seed, 1)
    features = spec_augment(features, lengths, draws, config.augment.spec_augment, config.features.hop_ms)

    hardware = resolve_hardware(config.hardware)
    model = build_model(config, TOKENS, TRAINED)
    optimizer = build_optimizer(model, config.optimizer)
    averaged = AveragedModel(model, config.training.ema_decay)
    for heads in model.all_heads(features, lengths)[0]:
        heads.sum().backward(retain_graph=True)
    rates = [learning_rate(config.optimizer.learning_rate, config.schedule, part) for part in (0.0, 0.5, 1.0)]
    step = OptimizerStep(model, optimizer, averaged, config.training.clip_norm, hardware)
    step.step(step.gradient_norm(), 1)
    assert all(np.isfinite(rates))

    seconds = np.array([1.0, 2.0, 30.0, 3.0])
    batches = plan_epoch(seconds, keys_of(["a", "b", "c", "d"]), config.batching, config.seed, 1)
    for batch in batches:
        assert split_batch(seconds[batch], 2, config.batching.max_device_seconds)
    if config.lm.kind.recurrent:
        language = build_if_it_fits(lambda: RecurrentLanguageModel(config.lm, TOKENS), "lm", TRAINED)
        language(torch.tensor([[0, 1, 2]]), torch.tensor([3]))
    with Watchdog(config.cluster.watchdog_minutes, 0) as watchdog:
        watchdog.reach("a stage")
    UnreadableUtterances(config.training.max_lost_utterances, Ranks(0, 1))
