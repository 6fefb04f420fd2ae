"""How much context a trained model uses: how far its gradient reaches, and its error rate with limited context."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.common.documents import from_json, read_json
from asr.common.errors import RunError
from asr.common.files import atomic_write_text
from asr.common.progress import Progress
from asr.common.seeds import derive_seed, key_of, uniform
from asr.data.audio import read_waveform
from asr.data.manifest import read_manifest
from asr.data.utterance import Utterance
from asr.inference.finished_run import FinishedRun
from asr.inference.recognizer import Recognizer
from asr.model.acoustic import AcousticModel
from asr.model.convolution import output_length
from asr.model.folder import build_model
from asr.scoring.error_rates import UtteranceScore, score_utterance, total
from asr.scoring.error_unit import ErrorUnit
from asr.settings.recipe import Recipe

Floats = npt.NDArray[np.float64]

RARE = 0.1
"""A lag is kept where at least this share of the positions has an input frame at it: beyond, few utterances
contribute."""


@dataclass(frozen=True)
class Reach:
    """How strongly an output frame depends on the input, by the distance in time.

    A lag is the time of the output minus that of the input: above 0 the input is in the past, below 0 in the future.
    """

    lags: Floats
    """Seconds, ascending, one for each input frame, shape (lags,)."""
    gradient: Floats
    """Mean norm of the gradient at each lag, as a share of the largest, shape (lags,)."""
    positions: npt.NDArray[np.int64]
    """Output frames in each mean, shape (lags,)."""

    def past(self, share: float = 0.9) -> float:
        """The seconds that hold a share of the gradient towards the past, the present included."""
        return self._holding(share, self.lags >= 0)

    def future(self, share: float = 0.9) -> float:
        """The seconds that hold a share of the gradient towards the future, the present included."""
        return self._holding(share, self.lags <= 0)

    def farthest(self, threshold: float = 0.01) -> tuple[float, float]:
        """The farthest past and future (s) where the gradient is at least a share of its largest value.

        Where this is the end of the lags, the reach is longer than the utterances could show.
        """
        above = self.lags[self.gradient >= threshold]
        return max(float(above.max()), 0.0), max(-float(above.min()), 0.0)

    def _holding(self, share: float, side: npt.NDArray[np.bool_]) -> float:
        distances, gradient = np.abs(self.lags[side]), self.gradient[side]
        order = np.argsort(distances)
        held = np.cumsum(gradient[order])
        return float(distances[order][np.searchsorted(held, share * held[-1])])


def gradient_reach(
    recognizer: Recognizer, utterances: Sequence[Utterance], positions: int = 16, seed: int = 0
) -> Reach:
    """Measures the reach of a trained model on utterances.

    Output frames are drawn from each utterance. For each, the log-probabilities of the tokens are projected on a random
    direction whose entries add up to 0, so that what all tokens have in common does not count. The expected square
    of the norm of the gradient is then that of the whole Jacobian. Gradients are with respect to normalized features in
    front of the convolutions: what the normalization carries from frame to frame is not among them.

    Args:
        utterances: Of the corpus of the model, such as its test split; the longer they are, the longer the lags.
        positions: Output frames drawn from each utterance.

    Raises:
        RunError: There is no utterance, or the model's output depends on no input.
        DataError: An utterance cannot be read.
    """
    network = differentiable(recognizer)
    norms = [found for one in utterances for found in _norms(recognizer, network, one, positions, seed)]
    if not norms:
        raise RunError("There is no utterance on which a reach could be measured.")
    return _mean_by_lag(norms, recognizer.config.features.hop_ms / 1000)


def differentiable(recognizer: Recognizer) -> AcousticModel:
    """The same model in training mode, which some kernels need for a gradient, without dropout."""
    config = recognizer.config
    undropped = replace(config, model=replace(config.model, dropout=0.0))
    network = build_model(undropped, recognizer.tokenizer.size).to(recognizer.device)
    network.load_state_dict(recognizer.model.state_dict())
    return network.train().requires_grad_(requires_grad=False)


Norms = tuple[int, npt.NDArray[np.float64]]
"""The input frame at the position of an output frame, and the norm at each input frame, shape (frames,)."""


def _norms(
    recognizer: Recognizer, network: AcousticModel, utterance: Utterance, positions: int, seed: int
) -> Iterator[Norms]:
    with torch.no_grad():
        features, lengths = _features(recognizer, utterance)
        outputs = len(network(features, lengths)[0])
    draws = uniform(np.arange(positions, dtype=np.uint64), "reach", seed, key_of(utterance.id))
    chosen = np.unique((draws * outputs).astype(np.int64))
    # A copy of the utterance for each position: one backward pass gives the gradients of all.
    inputs = features.expand(len(chosen), -1, -1).clone().requires_grad_()
    log_probs, _ = network(inputs, lengths.expand(len(chosen)))
    picked = log_probs[torch.from_numpy(chosen), torch.arange(len(chosen))]
    generator = torch.Generator().manual_seed(derive_seed(seed, utterance.id))
    directions = torch.randn(picked.shape, generator=generator)
    directions = (directions - directions.mean(dim=1, keepdim=True)).to(picked)
    (gradient,) = torch.autograd.grad((picked * directions).sum(), inputs)
    for place, norms in zip(chosen, gradient.norm(dim=2).double().cpu().numpy(), strict=True):
        yield int(place) * recognizer.config.model.subsampling, norms


def _features(recognizer: Recognizer, utterance: Utterance) -> tuple[Tensor, Tensor]:
    """The normalized features of an utterance as a batch of one, (1, frames, dim), and its frames."""
    waveform = read_waveform(utterance).to(recognizer.device)
    features: tuple[Tensor, Tensor] = recognizer.front(
        waveform[None], torch.tensor([len(waveform)], device=recognizer.device)
    )
    return features


def _mean_by_lag(norms: Sequence[Norms], hop_seconds: float) -> Reach:
    longest = max(len(values) for _, values in norms)
    sums, counts = np.zeros(2 * longest + 1), np.zeros(2 * longest + 1, dtype=np.int64)
    for centre, values in norms:
        # Index longest + lag, lag = centre - frame: descending as the frames ascend.
        indices = longest + centre - np.arange(len(values))
        sums[indices] += values
        counts[indices] += 1
    kept = counts >= max(1.0, RARE * len(norms))
    mean = np.asarray(sums[kept] / counts[kept], dtype=np.float64)
    if not mean.max() > 0:
        raise RunError("The gradient of the model is zero everywhere: its output is the same for every input.")
    lags = np.asarray((np.arange(len(sums)) - longest)[kept] * hop_seconds, dtype=np.float64)
    mean /= mean.max()
    return Reach(lags, mean, counts[kept])


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
    """WER, or CER where that counts, with each of these limits, a fraction."""


def measure_context_use(run: FinishedRun, recipe: Recipe, kept: Path, unit: ErrorUnit = ErrorUnit.word) -> ContextUse:
    """Measures on test how much context the model of a run uses, or reads what a file keeps of it.

    Raises:
        RunError: The run has no model.
        DataError: An utterance cannot be read.
    """
    if kept.exists():
        try:
            return from_json(ContextUse, read_json(kept))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RunError(f"{kept} is damaged ({error}): delete it, and it is measured again.") from None
    utterances, recognizer = read_manifest(recipe.manifest(run.config, "test")), run.recognizer()
    longest = sorted(utterances, key=lambda utterance: -utterance.duration)[:REACH_UTTERANCES]
    reach = gradient_reach(recognizer, longest)
    limited = limit_context(recognizer, utterances, CONTEXTS, MEASURED_KEPT_SHARE, unit)
    use = ContextUse(
        lags=[round(float(lag), 4) for lag in reach.lags],
        gradient=[float(f"{value:.3g}") for value in reach.gradient],
        past=reach.past(),
        future=reach.future(),
        contexts=[each.seconds for each in limited],
        context_wer=[total(each.scores).rate for each in limited],
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
    unit: ErrorUnit = ErrorUnit.word,
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
        unit: What errors are counted in.

    Raises:
        DataError: An utterance cannot be read.
    """
    limited = [LimitedContext(seconds, []) for seconds in contexts]
    with Progress("Limiting the context", len(contexts) * len(utterances), "utterances") as progress:
        for each in limited:
            for utterance in utterances:
                hypothesis = _hypothesis(recognizer, utterance, each.seconds, kept_share)
                each.scores.append(score_utterance(utterance, hypothesis, unit))
                progress.advance()
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
    features, lengths = _features(recognizer, utterance)
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
