"""Debugging: what `debug=one_batch|overfit|profile` changes in a training."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from asr.data.utterance import Utterance
from asr.settings.debug import DebugMode
from asr.settings.root import Config
from asr.training.distributed import Ranks

log = logging.getLogger(__name__)

T = TypeVar("T")

STEPS_IN_EPOCH = {DebugMode.off: None, DebugMode.one_batch: 1, DebugMode.overfit: None, DebugMode.profile: 20}


def simplify(config: Config) -> Config:
    """The configuration of a mode: one epoch, or no augmentation and no regularization."""
    match config.debug.mode:
        case DebugMode.one_batch | DebugMode.profile:
            return replace(config, training=replace(config.training, epochs=1))
        case DebugMode.overfit:
            drawn = ("reverb", "background", "babble", "noise", "telephone", "gain")
            never: dict[str, Any] = {name: replace(getattr(config.augment, name), probability=0.0) for name in drawn}
            unmasked = replace(config.augment.spec_augment, frequency_masks=0, time_masks=0)
            augment = replace(config.augment, speed_factors=[1.0], tempo_factors=[1.0], spec_augment=unmasked, **never)
            return replace(config, augment=augment, model=replace(config.model, dropout=0.0))
        case _:
            return config


def choose_utterances(
    config: Config, train: Sequence[Utterance], dev: Sequence[Utterance]
) -> tuple[Sequence[Utterance], Sequence[Utterance]]:
    """The training and dev utterances of a mode; overfit trains on what fits one step, and validates on the same."""
    if config.debug.mode is not DebugMode.overfit:
        return train, dev
    chosen = first_that_fit(train, lambda utterance: utterance.duration, config.batching.global_seconds)
    return chosen, chosen


def first_that_fit(items: Iterable[T], size: Callable[[T], float], step: float) -> list[T]:
    """As many of the first items as fit one step, one at least."""
    total, chosen = 0.0, list[T]()
    for item in items:
        total += size(item)
        if chosen and total > step:
            break
        chosen.append(item)
    return chosen


@contextmanager
def profiled(config: Config, folder: Path, ranks: Ranks) -> Iterator[None]:
    """Profiles rank 0 under `debug=profile`: a table in the log, and a trace to open in a browser."""
    if config.debug.mode is not DebugMode.profile or not ranks.first:
        yield
        return
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        yield
    trace = folder / "profile.json"
    profile.export_chrome_trace(str(trace))
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    log.info("%s", profile.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=50))
    log.info("The trace is at %s: open it at https://ui.perfetto.dev.", trace)
