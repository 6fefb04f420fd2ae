"""The word error rate of a trained model whose context around each output frame is limited.

The loss in accuracy of a model that was trained on whole utterances shows how much context it needs.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.common.files import atomic_write_text
from asr.common.progress import Progress
from asr.comparison.reach import gradient_reach
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.utterance import Utterance
from asr.inference.finished_run import FinishedRun
from asr.inference.recognizer import Recognizer
from asr.model.subsampling import output_length
from asr.scoring.error_rates import UtteranceScore, score_utterance, total

CONTEXTS = (0.25, 0.5, 1.0, 2.0, 4.0, None)
KEPT_SHARE = 0.125
BATCH_SECONDS = 120.0
"""Padded audio in a batch of windows: more is not faster on a CPU."""
REACH_UTTERANCES = 24
"""The longest ones, since they show the farthest."""
MEASURED_KEPT_SHARE = 0.5
"""Kept frames of each window in `measure_context_use`: they have at least half of the context on either side."""


@dataclass(frozen=True)
class ContextUse:
    """How much context a trained model uses around an output frame."""

    lags: list[float]
    """Time of the output less that of the input (s): above 0 the input lies in the past."""
    gradient: list[float]
    """Mean norm of the gradient at each lag, as a share of the largest."""
    past: float
    """The seconds of past that hold 90 % of the gradient's norm."""
    future: float
    """The seconds of future that hold 90 % of the gradient's norm."""
    contexts: list[float | None]
    """Limits of the context on either side of an output frame (s); null is the whole utterance."""
    context_wer: list[float]
    """WER with each of these limits, a fraction."""


def measure_context_use(run: FinishedRun, kept: Path) -> ContextUse:
    """Measures on test how much context the model of a run uses, or reads what was measured before.

    Args:
        run: The run.
        kept: File for what is measured.

    Raises:
        RunError: The run has no model.
        DataError: An utterance cannot be read.
    """
    if kept.exists():
        return ContextUse(**json.loads(kept.read_text(encoding="utf-8")))
    utterances, recognizer = read_manifest(run.recipe.manifest(run.config, "test")), run.recognizer()
    longest = sorted(utterances, key=lambda utterance: -utterance.duration)[:REACH_UTTERANCES]
    reach = gradient_reach(recognizer, longest)
    limited = limit_context(recognizer, utterances, CONTEXTS, MEASURED_KEPT_SHARE)
    use = ContextUse(
        lags=[round(float(lag), 4) for lag in reach.lags],
        gradient=[float(f"{value:.3g}") for value in reach.gradient],
        past=reach.past(),
        future=reach.future(),
        contexts=[each.seconds for each in limited],
        context_wer=[total(each.scores).wer for each in limited],
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(kept, json.dumps(asdict(use)) + "\n")
    return use


@dataclass(frozen=True)
class LimitedContext:
    """What a model recognizes with a limited context."""

    seconds: float | None
    """The limit on either side of each output frame; None is the whole utterance."""
    scores: list[UtteranceScore]
    """Of every utterance, in their order; `asr.scoring.error_rates.total` adds them up."""


def limit_context(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    contexts: Sequence[float | None] = CONTEXTS,
    kept_share: float = KEPT_SHARE,
) -> list[LimitedContext]:
    """Decodes utterances with the context limited to each of several lengths.

    The model runs on overlapping windows, each as if it were an utterance of its own, and only the middle frames of a
    window are kept. Features are normalized before that, so with `features.normalization=utterance` a window still
    depends on mean and variance of its whole utterance: only the sequence that the network reads is limited.

    Args:
        contexts: Limits on either side of an output frame (s); None leaves the utterance whole.
        kept_share: Length of the kept middle of each window, as a share of the context. Its output frames have at most
            the context on either side, and at least the rest of it. Smaller is sharper and more expensive; at least one
            frame is kept, and 0 keeps just one, which is exact.

    Raises:
        DataError: An utterance cannot be read.
    """
    limited: list[LimitedContext] = []
    with Progress("Limiting the context", len(contexts) * len(utterances), "utterances") as progress:
        for seconds in contexts:
            scores = []
            for utterance in utterances:
                scores.append(score_utterance(utterance, _hypothesis(recognizer, utterance, seconds, kept_share)))
                progress.advance()
            limited.append(LimitedContext(seconds, scores))
    return limited


@dataclass(frozen=True)
class Window:
    """A stretch of input frames and which output frames are kept of it."""

    first_input: int
    last_input: int
    """The frame after its end."""
    first_kept: int
    last_kept: int
    """The output frame after its end, both counted in the whole utterance."""


def windows(frames: int, subsampling: int, context: int, kept: int) -> Iterator[Window]:
    """The windows over an utterance whose kept output frames make up the whole, in order.

    Args:
        frames: Input frames of the utterance.
        subsampling: Input frames for each output frame; output frame n is at input frame n * subsampling.
        context: Input frames on either side of an output frame that it may use.
        kept: Output frames of each window; fewer where the context would be too short for them.
    """
    kept = max(1, min(kept, 1 + context // subsampling))
    outputs = output_length(frames, subsampling)
    for first in range(0, outputs, kept):
        last = min(first + kept, outputs)
        # From a multiple of the subsampling on, so that the convolutions keep their places.
        begin = -(-max(0, (last - 1) * subsampling - context) // subsampling) * subsampling
        yield Window(begin, min(frames, first * subsampling + context + 1), first, last)


@torch.inference_mode()
def _hypothesis(recognizer: Recognizer, utterance: Utterance, seconds: float | None, kept_share: float) -> str:
    waveform = read_waveform(utterance).to(recognizer.device)
    features, lengths = recognizer.front(waveform[None], torch.tensor([len(waveform)], device=recognizer.device))
    if seconds is None:
        log_probs, lengths = recognizer.model(features, lengths)
    else:
        log_probs = windowed_log_probs(recognizer, features[0], seconds, kept_share)[:, None]
        lengths = torch.tensor([len(log_probs)], device=log_probs.device)
    (hypothesis,) = recognizer.decoder(log_probs, lengths)
    return hypothesis


def windowed_log_probs(recognizer: Recognizer, features: Tensor, seconds: float, kept_share: float) -> Tensor:
    """Log-probabilities of an utterance, computed window by window.

    Args:
        features: Normalized, (frames, dim).
        seconds: Context on either side.
        kept_share: As of `limit_context`.

    Returns:
        (output frames, tokens).
    """
    hop, subsampling = recognizer.config.features.hop_ms / 1000, recognizer.config.model.subsampling
    # A tiny allowance, so that 0.25 s are 25 frames of 0.01 s however they round.
    context = math.floor(seconds / hop + 1e-6)
    plan = list(windows(len(features), subsampling, context, round(kept_share * seconds / hop / subsampling)))
    per_batch = max(1, int(BATCH_SECONDS / hop / max(window.last_input - window.first_input for window in plan)))
    kept: list[Tensor] = []
    for start in range(0, len(plan), per_batch):
        part = plan[start : start + per_batch]
        inputs = [features[window.first_input : window.last_input] for window in part]
        lengths = torch.tensor([len(each) for each in inputs], device=features.device)
        log_probs, _ = recognizer.model(pad_sequence(inputs, batch_first=True), lengths)
        for number, window in enumerate(part):
            offset = window.first_input // subsampling
            kept.append(log_probs[window.first_kept - offset : window.last_kept - offset, number])
    return torch.cat(kept)
