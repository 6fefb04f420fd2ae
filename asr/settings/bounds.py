"""The ranges of the configuration's values, for keys whose type allows too much."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from asr.common.errors import ConfigError


@dataclass(frozen=True)
class Bounds:
    """What a value must be, in words and as a test; nan fails all of them."""

    words: str
    hold: Callable[[Any], bool]


AT_LEAST_0 = Bounds("at least 0", lambda value: value >= 0)
AT_LEAST_1 = Bounds("at least 1", lambda value: value >= 1)
ABOVE_0 = Bounds("above 0", lambda value: 0 < value < math.inf)
DECIBELS = LOG_SCORE = Bounds("from -100 to 100", lambda value: -100 <= value <= 100)
PLACE = Bounds("the path of a folder", lambda path: path.strip() != "")
SHARE = Bounds("from 0 to 1", lambda value: 0 <= value <= 1)
BELOW_1 = Bounds("at least 0 and below 1", lambda value: 0 <= value < 1)
MILLISECONDS = Bounds("from 1 to 1000", lambda value: 1 <= value <= 1000)
RT60 = Bounds("from 0.1 to 3", lambda seconds: 0.1 <= seconds <= 3)
LAYERS = Bounds("from 1 to 100", lambda layers: 1 <= layers <= 100)
UNITS = Bounds("from 1 to 100000", lambda units: 1 <= units <= 100_000)
FACTORS = Bounds(
    "one or more numbers, each from 0.5 to 2",
    lambda factors: factors and all(0.5 <= factor <= 2 for factor in factors),
)

FILE_NAME = Bounds(
    "a file name with no slash and no leading dot",
    lambda name: name.isprintable() and name[:1] not in ("", ".") and "/" not in name,
)

BOUNDS = {
    "name": FILE_NAME,
    # paths
    "paths.data": PLACE,
    "paths.runs": PLACE,
    # data
    "data.sampling_rate": Bounds("at least 1000", lambda rate: rate >= 1000),
    "data.mixture": Bounds(
        "a mapping of weights above 0, of which one is at least 1",
        lambda weights: all(weight > 0 for weight in weights.values()) and any(w >= 1 for w in weights.values()),
    ),
    "data.held_out": Bounds("above 0 and below 0.5", lambda share: 0 < share < 0.5),
    # features
    "features.window_ms": MILLISECONDS,
    "features.hop_ms": MILLISECONDS,
    # augment
    "augment.speed_factors": FACTORS,
    "augment.tempo_factors": FACTORS,
    "augment.spec_augment.frequency_masks": AT_LEAST_0,
    "augment.spec_augment.frequency_width": SHARE,
    "augment.spec_augment.time_masks": AT_LEAST_0,
    "augment.spec_augment.time_masks_per_second": AT_LEAST_0,
    "augment.spec_augment.time_width_ms": AT_LEAST_0,
    "augment.spec_augment.time_share": SHARE,
    "augment.reverb.probability": SHARE,
    "augment.reverb.rt60_low_seconds": RT60,
    "augment.reverb.rt60_high_seconds": RT60,
    "augment.background.probability": SHARE,
    "augment.background.snr_low_db": DECIBELS,
    "augment.background.snr_high_db": DECIBELS,
    "augment.babble.probability": SHARE,
    "augment.babble.voices_low": AT_LEAST_1,
    "augment.babble.voices_high": Bounds("from 1 to 100", lambda voices: 1 <= voices <= 100),
    "augment.babble.snr_low_db": DECIBELS,
    "augment.babble.snr_high_db": DECIBELS,
    "augment.noise.probability": SHARE,
    "augment.noise.snr_low_db": DECIBELS,
    "augment.noise.snr_high_db": DECIBELS,
    "augment.telephone.probability": SHARE,
    "augment.gain.probability": SHARE,
    "augment.gain.low_db": DECIBELS,
    "augment.gain.high_db": DECIBELS,
    # tokenizer
    "tokenizer.pieces": AT_LEAST_1,
    # model
    "model.layers": LAYERS,
    "model.hidden": UNITS,
    "model.lookahead": AT_LEAST_0,
    "model.projection": AT_LEAST_1,
    "model.subsampling": Bounds("2 or 4", lambda factor: factor in (2, 4)),
    "model.channels": Bounds("from 1 to 10000", lambda channels: 1 <= channels <= 10_000),
    "model.forget_bias": Bounds("from -10 to 10", lambda bias: -10 <= bias <= 10),
    "model.intermediate_layer": AT_LEAST_1,
    "model.dropout": BELOW_1,
    # batching
    "batching.global_seconds": ABOVE_0,
    "batching.max_device_seconds": ABOVE_0,
    "batching.length_jitter": SHARE,
    # optimizer
    "optimizer.learning_rate": ABOVE_0,
    "optimizer.beta1": BELOW_1,
    "optimizer.beta2": BELOW_1,
    "optimizer.weight_decay": AT_LEAST_0,
    # schedule
    "schedule.warmup": BELOW_1,
    "schedule.start_ratio": SHARE,
    "schedule.end_ratio": SHARE,
    # training
    "training.epochs": AT_LEAST_1,
    "training.clip_norm": ABOVE_0,
    "training.intermediate_weight": BELOW_1,
    "training.ema_decay": BELOW_1,
    "training.early_stopping_epochs": AT_LEAST_1,
    "training.max_skipped_steps": AT_LEAST_0,
    "training.max_lost_utterances": AT_LEAST_0,
    "training.checkpoint_minutes": AT_LEAST_0,
    "training.keep_checkpoints": AT_LEAST_1,
    "training.log_every_steps": AT_LEAST_1,
    # decoder
    "decoder.beam": AT_LEAST_1,
    "decoder.lm_weight": AT_LEAST_0,
    "decoder.word_score": LOG_SCORE,
    "decoder.beam_tokens": AT_LEAST_1,
    "decoder.beam_threshold": ABOVE_0,
    "decoder.nbest": AT_LEAST_1,
    "decoder.recurrent_nbest": AT_LEAST_1,
    "decoder.recurrent_weight": AT_LEAST_0,
    "decoder.recurrent_word_score": LOG_SCORE,
    "decoder.hot_words": Bounds("words, none of them empty", lambda words: all(word.strip() for word in words)),
    "decoder.hot_word_boost": LOG_SCORE,
    # lm
    "lm.order": Bounds("from 2 to 6, the orders that KenLM reads", lambda order: 2 <= order <= 6),
    "lm.prune": Bounds(
        "one or more counts, each at least 0 and none less than the one before",
        lambda counts: counts and counts[0] >= 0 and sorted(counts) == list(counts),
    ),
    "lm.fallback_discounts": Bounds(
        "three numbers, from 0 to 1, to 2 and to 3",
        lambda amounts: len(amounts) == 3 and all(0 <= amount <= most for most, amount in enumerate(amounts, 1)),
    ),
    "lm.min_count": AT_LEAST_1,
    "lm.layers": LAYERS,
    "lm.hidden": UNITS,
    "lm.dropout": BELOW_1,
    "lm.epochs": AT_LEAST_1,
    "lm.learning_rate": ABOVE_0,
    "lm.batch_units": AT_LEAST_1,
    "lm.max_device_units": AT_LEAST_1,
    # evaluation
    "evaluation.splits": Bounds(
        "one or more names with no slash and no leading dot",
        lambda splits: splits and all(FILE_NAME.hold(split) for split in splits),
    ),
    # tracker
    "tracker.panel_utterances": AT_LEAST_0,
    "tracker.worst_utterances": AT_LEAST_0,
    # hardware
    "hardware.threads": AT_LEAST_1,
    "hardware.workers": AT_LEAST_0,
    # cluster
    "cluster.nodes": AT_LEAST_1,
    "cluster.gpus_per_node": AT_LEAST_0,
    "cluster.ranks_per_node": AT_LEAST_1,
    "cluster.cpus_per_rank": AT_LEAST_1,
    "cluster.memory_gb": AT_LEAST_1,
    "cluster.time_minutes": AT_LEAST_1,
    "cluster.warning_seconds": AT_LEAST_1,
    "cluster.max_timeouts": AT_LEAST_0,
    "cluster.array_parallelism": AT_LEAST_1,
    "cluster.join_minutes": ABOVE_0,
    "cluster.watchdog_minutes": ABOVE_0,
    # plan
    "plan.memory_gb": ABOVE_0,
    "plan.minutes": ABOVE_0,
    # compare
    "compare.name": FILE_NAME,
    "compare.parameters": Bounds("above 0 and at most 1e11", lambda number: 0 < number <= 1e11),
    "compare.minutes": ABOVE_0,
    "compare.dev_wer": ABOVE_0,
    "compare.memory_seeds": AT_LEAST_0,
    "compare.jobs": AT_LEAST_1,
    # check
    "check.lines": AT_LEAST_1,
    "check.anomaly": ABOVE_0,
    # listen
    "listen.utterances": AT_LEAST_1,
    "listen.epochs": AT_LEAST_1,
    "listen.folder": PLACE,
    # pack
    "pack.output": PLACE,
    "pack.shard_mb": ABOVE_0,
    # shards
    "shards.source": PLACE,
    "shards.cache": PLACE,
    "shards.cache_gb": ABOVE_0,
    "shards.timeout_seconds": ABOVE_0,
}
"""By full key, grouped as the configuration is. Where a key may be null, null passes."""

RANGES = {
    "augment.noise.snr_low_db": "augment.noise.snr_high_db",
    "augment.background.snr_low_db": "augment.background.snr_high_db",
    "augment.babble.snr_low_db": "augment.babble.snr_high_db",
    "augment.babble.voices_low": "augment.babble.voices_high",
    "augment.gain.low_db": "augment.gain.high_db",
    "augment.reverb.rt60_low_seconds": "augment.reverb.rt60_high_seconds",
}
"""The lower and the upper end of each range that is drawn from."""


def check_bounds(values: Mapping[str, Any]) -> None:
    """Compares values with the bounds of their keys.

    Args:
        values: By full key, as in {"model.hidden": 320}.

    Raises:
        ConfigError: A value is out of its bounds, or a range is empty; names the key and what it must be.
    """
    for key, bounds in BOUNDS.items():
        value = values[key]
        if value is not None and not bounds.hold(value):
            raise ConfigError(f"{key} is {value!r}; it must be {bounds.words}.")
    for low, high in RANGES.items():
        if values[low] > values[high]:
            raise ConfigError(f"{low} is {values[low]!r}, above {high}, which is {values[high]!r}: change one of them.")
