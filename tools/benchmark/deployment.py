"""Compares a deployed model with PyTorch on a split, utterance by utterance: texts, log-probabilities, size, speed.

    python tools/benchmark/deployment.py runs/an4/RUN

Speed is processor time on one thread, the median of rounds in which PyTorch and the graphs take turns.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr.commands.subjects import find_run
from asr.common.errors import ConfigError
from asr.deploy.folder import Onnx, deploy
from asr.deploy.runtime import Array, ChunkedUtterance, log_probs_of, open_session, require_quantizable
from asr.inference.evaluation import open_split
from asr.inference.finished_run import FinishedRun
from asr.inference.recognizer import Recognizer
from asr.model.acoustic import cells_of_layers
from asr.scoring.error_rates import score_texts, total
from asr.scoring.provenance import hardware

BATCH = 10
CHUNK = 1600
"""Samples of a chunk of a stream."""
Compute = Callable[[Tensor], Array]
"""The log-probabilities (frames, tokens) of a waveform (samples,)."""


def main() -> None:
    """Prints a table of the graphs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path, help="a trained run")
    parser.add_argument("--split", default="test", help="dev or test (test)")
    parser.add_argument("--data", help="the corpus, where it has moved: as paths.data")
    parser.add_argument("--rounds", type=int, default=5, help="of the speed (5)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run = FinishedRun.at(find_run(options.run), options.data)
    recognizer, split = run.recognizer(), open_split(run.recipe, run.config, options.split)
    waveforms = [split.audio.read(utterance) for utterance in split.utterances]
    seconds = sum(map(len, waveforms)) / recognizer.config.data.sampling_rate

    def pytorch(waveform: Tensor) -> Array:
        log_probs, (length,) = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
        found: Array = log_probs[:length, 0].numpy()
        return found

    with tempfile.TemporaryDirectory() as place:
        made = deploy(run, Path(place) / "out", Onnx(int8=quantizable(recognizer)))
        sessions = {name: open_session(Path(place) / "out" / name, threads=1) for name in made.agreements}
    computes = {"PyTorch": pytorch} | {
        name: chunked(s) if "stream" in name else whole(s) for name, s in sessions.items()
    }
    outputs = {name: [compute(waveform) for waveform in waveforms] for name, compute in computes.items()}
    times = interleaved(computes, waveforms, options.rounds)
    print(
        f"{len(waveforms)} utterances of {options.split}, {seconds:.0f} s; "
        f"{recognizer.parameters / 1e6:.2f} M parameters; {hardware()}"
    )
    print("graph  MB  largest difference  same texts  WER %  real-time factor  of PyTorch's")
    expected = [recognizer.decoder(*batch_of_one(one))[0] for one in outputs["PyTorch"]]
    for name, found in outputs.items():
        texts = [recognizer.decoder(*batch_of_one(one))[0] for one in found]
        scores = [
            score_texts(utterance.id, utterance.speaker, utterance.duration, utterance.text, text)
            for utterance, text in zip(split.utterances, texts, strict=True)
        ]
        difference = max(np.abs(one - other).max() for one, other in zip(found, outputs["PyTorch"], strict=True))
        print(
            f"{name}  {made.files.get(name, 0) / 1e6:.1f}  {difference:.1e}  "
            f"{sum(map(str.__eq__, texts, expected))}  {100 * total(scores).wer:.2f}  {times[name] / seconds:.5f}  "
            f"{times[name] / times['PyTorch']:.2f}"
        )
    alike, apart = in_batches(sessions["model.onnx"], waveforms, outputs["model.onnx"])
    print(
        f"In batches of {BATCH} padded with noise, {alike} are the same bits as alone; largest difference {apart:.1e}"
    )


def quantizable(recognizer: Recognizer) -> bool:
    """Whether there is a graph in 8 bits."""
    try:
        require_quantizable(cells_of_layers(recognizer.config.model))
    except ConfigError:
        return False
    return True


def whole(session: Any) -> Compute:
    """A graph of whole utterances."""

    def compute(waveform: Tensor) -> Array:
        log_probs, (length,) = log_probs_of(session, waveform[None].numpy(), np.array([len(waveform)]))
        found: Array = log_probs[:length, 0]
        return found

    return compute


def chunked(session: Any) -> Compute:
    """A graph of a stream."""

    def compute(waveform: Tensor) -> Array:
        stream, size = ChunkedUtterance(session), CHUNK
        parts = [stream.accept(chunk.numpy()) for chunk in waveform.split(size)]
        return np.concatenate([*parts, stream.accept(waveform[:0].numpy(), final=True)])

    return compute


def interleaved(computes: dict[str, Compute], waveforms: Sequence[Tensor], rounds: int) -> dict[str, float]:
    """The median processor time of a pass over all utterances (s)."""
    times: dict[str, list[float]] = {name: [] for name in computes}
    for _ in range(rounds):
        for name, compute in computes.items():
            start = time.process_time()
            for waveform in waveforms:
                compute(waveform)
            times[name].append(time.process_time() - start)
    return {name: median(found) for name, found in times.items()}


def in_batches(session: Any, waveforms: Sequence[Tensor], alone: Sequence[Array]) -> tuple[int, float]:
    """How many utterances are the same bits in batches, and the largest difference."""
    generator, alike, apart = np.random.default_rng(0), 0, 0.0
    for start in range(0, len(waveforms), BATCH):
        part = waveforms[start : start + BATCH]
        batch = generator.uniform(-1, 1, (len(part), max(map(len, part)) + 8000)).astype(np.float32)
        for row, waveform in zip(batch, part, strict=True):
            row[: len(waveform)] = waveform
        log_probs, lengths = log_probs_of(session, batch, np.array([len(waveform) for waveform in part]))
        for place, length in enumerate(lengths):
            one, other = log_probs[:length, place], alone[start + place]
            alike += np.array_equal(one, other)
            apart = max(apart, float(np.abs(one - other).max()))
    return alike, apart


def batch_of_one(log_probs: Array) -> tuple[Tensor, Tensor]:
    """Log-probabilities as a decoder takes them."""
    return torch.from_numpy(np.ascontiguousarray(log_probs))[:, None], torch.tensor([len(log_probs)])


if __name__ == "__main__":
    main()
