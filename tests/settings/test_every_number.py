"""Every number of the configuration, whatever is written in its place, is refused in one sentence or can be used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from asr.batching.batch_plan import plan_epoch, split_batch
from asr.common.errors import UserError
from asr.common.seeds import Draws, key_of, keys_of
from asr.features.augment import change_speed, change_tempo, spec_augment
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import Normalizer
from asr.features.perturbation import Perturbation
from asr.lm.recurrent import RecurrentLanguageModel
from asr.model.folder import TRAINED, build_if_it_fits, build_model
from asr.settings.compose import compose, known_keys, plain, to_config
from asr.settings.recipe import find_recipe
from asr.settings.root import Config
from asr.training.distributed import Ranks
from asr.training.hardware import resolve_hardware
from asr.training.optimization import AveragedModel, OptimizerStep, build_optimizer, learning_rate
from asr.training.timing import Watchdog
from asr.training.train_state import UnreadableUtterances
from tests.helpers.refusals import threads  # noqa: F401  a fixture

SMALL = [
    "model.hidden=8", "model.channels=2", "model.layers=2", "model.cells=[lstm]", "lm=lstm", "lm.hidden=8",
    "lm.layers=1", "decoder=beam", "tracker=disabled", "hardware.device=cpu", "hardware.workers=0",
    "hardware.threads=1",
]  # fmt: skip
VALUES = [
    -1,
    0,
    1,
    10**20,
    1e308,
    1e20,
    float("nan"),
    float("inf"),
    -float("inf"),
    "",
    "x",
    None,
    [],
    {},
    [10**20],
    True,
]
TOKENS = 12


def has_number(kind: Any) -> bool:
    return kind in (int, float) or any(has_number(part) for part in get_args(kind))


NUMBERS = [key for key, kind in known_keys().items() if has_number(kind)]

HARDEST = [
    ("model.hidden", 100_000), ("model.projection", 10**20), ("model.lookahead", 10**20), ("model.blank_bias", -1e308),
    ("features.mels", 10**20), ("features.mels", 10_000), ("features.coefficients", 10**20),
    ("data.sampling_rate", 10**20), ("augment.spec_augment.time_masks", 10**20),
    ("augment.spec_augment.frequency_masks", 10**20), ("augment.spec_augment.time_width_ms", float("inf")),
    ("hardware.threads", 10**20), ("hardware.threads", 10**9), ("hardware.workers", 10**20),
    ("cluster.watchdog_minutes", 1e308), ("cluster.join_minutes", 1e308), ("training.epochs", 10**20),
    ("lm.hidden", 100_000), ("lm.prune", [10**20]), ("decoder.beam", 10**20), ("tokenizer.pieces", 10**20),
    ("optimizer.learning_rate", 1e308), ("optimizer.weight_decay", float("inf")),
]  # fmt: skip


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return plain(compose(find_recipe("yesno"), SMALL))


def with_value(settings: dict[str, Any], key: str, value: Any) -> Config:
    changed = OmegaConf.create(settings)
    OmegaConf.update(changed, key, value, merge=False)
    return to_config(changed)


def build(config: Config, folder: Path) -> None:
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


def refused_or_built(settings: dict[str, Any], key: str, value: Any, folder: Path) -> None:
    try:
        build(with_value(settings, key, value), folder)
    except UserError as error:
        said = str(error)
        assert "\n" not in said and key.split(".")[0] in said, said


@pytest.mark.parametrize(("key", "value"), HARDEST)
def test_a_number_beyond_all_bounds_is_refused(key: str, value: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        build(with_value(settings, key, value), tmp_path)
    assert key in str(error.value) and "\n" not in str(error.value)


def groups() -> Iterator[str]:
    yield from dict.fromkeys(key.partition(".")[0] for key in NUMBERS)


@pytest.mark.slow
@pytest.mark.parametrize("group", groups())
def test_every_number_is_refused_in_one_sentence_or_can_be_used(
    group: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    for key in NUMBERS:
        if key.partition(".")[0] == group:
            for value in VALUES:
                try:
                    refused_or_built(settings, key, value, tmp_path)
                except Exception as error:
                    raise AssertionError(f"{key}={value!r}: {error!r}") from error


def test_counting_parameters_leaves_the_random_numbers_as_they_were(settings: dict[str, Any]) -> None:
    config = to_config(OmegaConf.create(settings))
    before = torch.get_rng_state()
    with torch.device("meta"):
        build_model(config, TOKENS)
        RecurrentLanguageModel(config.lm, TOKENS)
    assert torch.equal(torch.get_rng_state(), before)
