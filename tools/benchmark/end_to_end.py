"""The trainer of a recipe against the same with packed float32 layers; features, loading and decoding."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from steps import PACKED, Variant, timed
from torch.nn.utils.rnn import pad_sequence

from asr.batching.loader import MicroBatch, load
from asr.batching.steps import micro_batches_of
from asr.data.audio import read_waveform
from asr.inference.evaluation import decode_utterances
from asr.inference.recognizer import Recognizer
from asr.model.kernel import library
from asr.model.recurrent import RecurrentLayer
from asr.settings.hardware import Precision
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.training.acoustic_training import AcousticData, AcousticTrainer, build_trainer
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import RunFolder

UTTERANCES = 64
"""How many utterances the features are measured on."""


def make_trainer(recipe: Recipe, config: Config, precision: Precision, folder: Path) -> AcousticTrainer:
    """A trainer of one epoch, which logs no step but the last."""
    training = replace(config.training, epochs=1, log_every_steps=10**9)
    config = replace(config, hardware=replace(config.hardware, precision=precision), training=training)
    hardware = resolve_hardware(config.hardware)
    ranks = join_ranks(hardware.device, config.cluster.join_minutes)
    return build_trainer(AcousticData.read(recipe, config), hardware, ranks, RunFolder(folder, ""))


def take_steps(trainer: AcousticTrainer, count: int | None) -> float:
    """Takes the first steps of the first epoch, or all; gives the audio that was trained on in hours per hour."""
    steps = list(islice(trainer.steps.start(0, 0, 1), count))
    batches = trainer.load(steps)
    began = time.perf_counter()
    for step in steps:
        trainer.train_step(step, batches)
    return sum(step.seconds for step in steps) / (time.perf_counter() - began)


@contextmanager
def layers_of(variant: Variant) -> Iterator[None]:
    """Recurrent layers as a variant has them."""
    library.enable(variant.way == "kernel")
    if variant.way == "packed":
        with mock.patch.object(RecurrentLayer, "forward", RecurrentLayer.packed):
            yield
    else:
        yield
    library.enable(True)


def measure_training(
    recipe: Recipe, config: Config, variants: list[Variant], steps: int | None, rounds: int
) -> dict[str, Any]:
    """Hours of audio per hour of the first epoch, with loading, augmentation, optimizer and averaging.

    All variants read the same batches, in alternating order. A first round of a few steps does not count.
    """
    speeds: dict[Variant, list[float]] = {variant: [] for variant in variants}
    for number in range(-1, rounds):
        for variant in variants if number % 2 == 0 else reversed(variants):
            with tempfile.TemporaryDirectory() as folder:
                part = steps if number >= 0 else 2
                trainer = make_trainer(recipe, config, Precision[variant.precision], Path(folder))
                with layers_of(variant):
                    speed = take_steps(trainer, part)
            if number >= 0:
                speeds[variant].append(speed)
    return {
        str(variant): {
            "audio_hours_per_hour": statistics.median(found),
            "times_packed_fp32": statistics.median(
                ours / theirs for ours, theirs in zip(found, speeds[PACKED], strict=True)
            ),
        }
        for variant, found in speeds.items()
    }


def measure_rest(recipe: Recipe, config: Config) -> dict[str, float]:
    """Features, loading and decoding, in seconds of audio per second, in this process alone."""
    with tempfile.TemporaryDirectory() as folder:
        config = replace(config, hardware=replace(config.hardware, workers=0))
        trainer = make_trainer(recipe, config, Precision.fp32, Path(folder))
    train, dev = trainer.task.train, trainer.task.dev
    waveforms = [read_waveform(utterance) for utterance in train.utterances[:UTTERANCES]]
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = pad_sequence(waveforms, batch_first=True)
    micro_batches = list(micro_batches_of(trainer.steps.start(0, 0, 1)))
    dev_batches = [MicroBatch(0, part) for part in torch.arange(len(dev.utterances)).split(16)]
    task, device = trainer.task, trainer.hardware.device
    recognizer = Recognizer(trainer.averaged.module, config, task.tokenizer, device, task.front)

    def decode() -> None:
        batches = load(iter(dev_batches), dev, [[]] * len(dev.utterances), 0)
        decode_utterances(recognizer, dev.utterances, batches)

    def read() -> None:
        for _ in load(iter(micro_batches), train, trainer.labels, 0):
            pass

    def extract() -> None:
        trainer.task.front.extractor(padded, lengths)

    measured = {
        "features": (float(lengths.sum()) / config.data.sampling_rate, extract),
        "loading": (float(train.seconds(0).sum()), read),
        "decoding": (float(dev.seconds(0).sum()), decode),
    }
    found = {}
    for name, (seconds, call) in measured.items():
        call()
        found[name] = seconds / statistics.median(timed(call) for _ in range(3))
    return found


def profile_training(recipe: Recipe, config: Config, steps: int, rows: int) -> list[tuple[str, float]]:
    """Where the time of training goes: operations by their share of the time, the most expensive first."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, config, config.hardware.precision, Path(folder))
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            take_steps(trainer, steps)
    events = sorted(profile.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return [(event.key, event.self_cpu_time_total / total) for event in events[:rows]]
