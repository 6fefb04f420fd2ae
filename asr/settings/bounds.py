"""The ranges of the configuration's values, for keys whose type allows too much."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from asr.common.errors import ConfigError


@dataclass(frozen=True)
class Bounds:
    """What a value must be, in words and as a test; nan fails all of them."""

    words: str
    hold: Callable[[Any], bool]


def between(low: float, high: float) -> Bounds:
    """Of a number."""
    return Bounds(f"from {low} to {high}", lambda value: low <= value <= high)


# Nothing that is counted or timed here comes near 1e9, and 1e20 of anything fits into no integer of a library.
AT_LEAST_0 = Bounds("at least 0 and at most 1e9", lambda value: 0 <= value <= 1e9)
AT_LEAST_1 = Bounds("at least 1 and at most 1e9", lambda value: 1 <= value <= 1e9)
ABOVE_0 = Bounds("above 0 and at most 1e9", lambda value: 0 < value <= 1e9)
ABOVE_0_TO_100 = Bounds("above 0 and at most 100", lambda value: 0 < value <= 100)
FROM_0_TO_100 = between(0, 100)
DECIBELS = LOG_SCORE = between(-100, 100)
FOLDER = Bounds("the path of a folder", lambda path: path.strip() != "")
SHARE = between(0, 1)
BELOW_1 = Bounds("at least 0 and below 1", lambda value: 0 <= value < 1)
MILLISECONDS = between(1, 1000)
RT60 = Bounds("from 0.1 to 3", lambda seconds: 0.1 <= seconds <= 3)
FROM_1_TO_100 = between(1, 100)
AT_MOST_10000 = Bounds("at most 10000", lambda value: value <= 10_000)  # the extractor says the least
WAITING = Bounds("above 0 and at most 1e6", lambda minutes: 0 < minutes <= 1e6)
UNITS = between(1, 100_000)
FACTORS = Bounds(
    "one or more numbers, each from 0.5 to 2",
    lambda factors: factors and all(0.5 <= factor <= 2 for factor in factors),
)

FILE_NAME = Bounds(
    "a file name with no slash and no leading dot",
    lambda name: name.isprintable() and name[:1] not in ("", ".") and "/" not in name,
)

OF_GROUPS: dict[str, dict[str, Bounds]] = {
    "": {"name": FILE_NAME},
    "paths.": {"data": FOLDER, "runs": FOLDER},
    "data.": {
        "sampling_rate": between(1000, 384_000),
        "mixture": Bounds(
            "a mapping of weights above 0 and at most 1000, of which one is at least 1",
            lambda weights: all(0 < w <= 1000 for w in weights.values()) and any(w >= 1 for w in weights.values()),
        ),
        "held_out": Bounds("above 0 and below 0.5", lambda share: 0 < share < 0.5),
    },
    "features.": {
        "window_ms": MILLISECONDS, "hop_ms": MILLISECONDS, "mels": AT_MOST_10000, "coefficients": AT_MOST_10000,
    },
    "augment.": {"speed_factors": FACTORS, "tempo_factors": FACTORS},
    "augment.spec_augment.": {
        "frequency_masks": FROM_0_TO_100, "frequency_width": SHARE, "time_masks": FROM_0_TO_100,
        "time_masks_per_second": FROM_0_TO_100, "time_width_ms": AT_LEAST_0, "time_share": SHARE,
    },
    "augment.reverb.": {"probability": SHARE, "rt60_low_seconds": RT60, "rt60_high_seconds": RT60},
    "augment.background.": {"probability": SHARE, "snr_low_db": DECIBELS, "snr_high_db": DECIBELS},
    "augment.babble.": {
        "probability": SHARE, "voices_low": AT_LEAST_1, "voices_high": FROM_1_TO_100,
        "snr_low_db": DECIBELS, "snr_high_db": DECIBELS,
    },
    "augment.noise.": {"probability": SHARE, "snr_low_db": DECIBELS, "snr_high_db": DECIBELS},
    "augment.telephone.": {"probability": SHARE},
    "augment.gain.": {"probability": SHARE, "low_db": DECIBELS, "high_db": DECIBELS},
    "tokenizer.": {"pieces": UNITS},
    "model.": {
        "layers": FROM_1_TO_100, "hidden": UNITS, "lookahead": between(0, 1000), "projection": UNITS,
        "subsampling": Bounds("2 or 4", lambda factor: factor in (2, 4)),
        "channels": between(1, 10_000),
        "forget_bias": between(-10, 10),
        "intermediate_layer": AT_LEAST_1, "dropout": BELOW_1,
        "blank_bias": between(-10, 10),
    },
    "batching.": {"global_seconds": ABOVE_0, "max_device_seconds": ABOVE_0, "length_jitter": SHARE},
    "optimizer.": {
        "learning_rate": ABOVE_0_TO_100, "beta1": BELOW_1, "beta2": BELOW_1, "weight_decay": FROM_0_TO_100,
    },
    "schedule.": {"warmup": BELOW_1, "start_ratio": SHARE, "end_ratio": SHARE},
    "training.": {
        "epochs": between(1, 1_000_000), "clip_norm": ABOVE_0, "intermediate_weight": BELOW_1, "ema_decay": BELOW_1,
        "early_stopping_epochs": AT_LEAST_1, "max_skipped_steps": AT_LEAST_0, "max_lost_utterances": AT_LEAST_0,
        "checkpoint_minutes": AT_LEAST_0, "keep_checkpoints": AT_LEAST_1, "log_every_steps": AT_LEAST_1,
    },
    "decoder.": {
        "beam": between(1, 100_000), "lm_weight": FROM_0_TO_100, "word_score": LOG_SCORE, "beam_tokens": AT_LEAST_1,
        "beam_threshold": ABOVE_0, "nbest": between(1, 100_000), "recurrent_nbest": between(1, 100_000),
        "recurrent_weight": FROM_0_TO_100, "recurrent_word_score": LOG_SCORE,
        "hot_words": Bounds("words, none of them empty", lambda words: all(word.strip() for word in words)),
        "hot_word_boost": LOG_SCORE,
    },
    "lm.": {
        "order": Bounds("from 2 to 6, the orders that KenLM reads", lambda order: 2 <= order <= 6),
        "prune": Bounds(
            "one or more counts, each from 0 to 1e9 and none less than the one before",
            lambda counts: counts and counts[0] >= 0 and counts[-1] <= 1e9 and sorted(counts) == list(counts),
        ),
        "fallback_discounts": Bounds(
            "three numbers, from 0 to 1, to 2 and to 3",
            lambda amounts: len(amounts) == 3 and all(0 <= amount <= most for most, amount in enumerate(amounts, 1)),
        ),
        "min_count": AT_LEAST_1, "layers": FROM_1_TO_100, "hidden": UNITS, "dropout": BELOW_1,
        "epochs": between(1, 1_000_000), "learning_rate": ABOVE_0_TO_100,
        "batch_units": AT_LEAST_1, "max_device_units": AT_LEAST_1,
    },
    "evaluation.": {
        "splits": Bounds(
            "one or more names with no slash and no leading dot",
            lambda splits: splits and all(FILE_NAME.hold(split) for split in splits),
        ),
    },
    "tracker.": {"panel_utterances": AT_LEAST_0, "worst_utterances": AT_LEAST_0},
    "hardware.": {
        "threads": between(1, 1024),
        "workers": between(0, 1024),
    },
    "cluster.": {
        "nodes": AT_LEAST_1, "gpus_per_node": AT_LEAST_0, "ranks_per_node": AT_LEAST_1, "cpus_per_rank": AT_LEAST_1,
        "memory_gb": AT_LEAST_1, "time_minutes": AT_LEAST_1, "warning_seconds": AT_LEAST_1, "max_timeouts": AT_LEAST_0,
        "array_parallelism": AT_LEAST_1, "join_minutes": WAITING, "watchdog_minutes": WAITING,
    },
    "plan.": {"memory_gb": ABOVE_0, "minutes": ABOVE_0},
    "compare.": {
        "name": FILE_NAME, "parameters": Bounds("above 0 and at most 1e11", lambda number: 0 < number <= 1e11),
        "minutes": ABOVE_0, "dev_wer": ABOVE_0, "memory_seeds": AT_LEAST_0, "jobs": AT_LEAST_1,
    },
    "check.": {"lines": AT_LEAST_1, "anomaly": ABOVE_0},
    "listen.": {"utterances": AT_LEAST_1, "epochs": AT_LEAST_1, "folder": FOLDER},
    "pack.": {"output": FOLDER, "shard_mb": ABOVE_0},
    "shards.": {"source": FOLDER, "cache": FOLDER, "cache_gb": ABOVE_0, "timeout_seconds": WAITING},
}  # fmt: skip
"""In the order of the configuration. Where a key may be null, null passes."""

BOUNDS = {prefix + name: bounds for prefix, group in OF_GROUPS.items() for name, bounds in group.items()}
"""By full key."""

RANGES = {low: high for low in BOUNDS if (high := low.replace("low", "high")) != low and high in BOUNDS}
"""The lower and the upper end of each range that is drawn from."""


def check_bounds(values: Mapping[str, Any]) -> None:
    """Compares values by full key, as in {"model.hidden": 320}, with the bounds of their keys.

    Raises:
        ConfigError: A value is out of its bounds, a text cannot be kept, or a range is empty; names the key and what it
            must be.
    """
    for key, value in values.items():
        for text in (key, *(value if isinstance(value, list) else [value])):
            if isinstance(text, str) and (fault := fault_of_text(text)):
                raise ConfigError(f"{key} is {value!r}, which {fault}: change it.")
    for key, bounds in BOUNDS.items():
        value = values[key]
        if value is not None and not bounds.hold(value):
            raise ConfigError(f"{key} is {value!r}; it must be {bounds.words}.")
    for low, high in RANGES.items():
        if values[low] > values[high]:
            raise ConfigError(f"{low} is {values[low]!r}, above {high}, which is {values[high]!r}: change one of them.")


def fault_of_text(text: str) -> str | None:
    """Why a text cannot be written to a configuration and read back; None where it can."""
    if "\0" in text:
        return "has the character NUL"
    if "${" in text:
        return "has ${, with which an interpolation begins"
    return None if text.isascii() or text == text.encode(errors="replace").decode() else "is not in UTF-8"
