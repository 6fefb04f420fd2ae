"""How far the context of a trained model reaches: how strongly an output frame depends on the input frames around it.

This effective receptive field is the norm of the Jacobian of the output at time t with respect to the input at t - k,
as in the study of vanishing gradients of Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient
descent is difficult" (1994), here measured on speech.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.common.errors import RunError
from asr.common.seeds import derive_seed, key_of, uniform
from asr.data.audio import read_waveform
from asr.data.utterance import Utterance
from asr.inference.recognizer import Recognizer
from asr.model.acoustic import AcousticModel
from asr.model.folder import build_model

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
        seed: Seed of the draws.

    Raises:
        RunError: There is no utterance, or the model's output depends on no input.
        DataError: An utterance cannot be read.
    """
    network = differentiable(recognizer)
    hop_seconds = recognizer.config.features.hop_ms / 1000
    subsampling = recognizer.config.model.subsampling
    norms = [
        found
        for utterance in utterances
        for found in _norms(recognizer, network, utterance, positions, seed, subsampling)
    ]
    if not norms:
        raise RunError("There is no utterance on which a reach could be measured.")
    return _mean_by_lag(norms, hop_seconds)


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
    recognizer: Recognizer, network: AcousticModel, utterance: Utterance, positions: int, seed: int, subsampling: int
) -> Iterator[Norms]:
    waveform = read_waveform(utterance).to(recognizer.device)
    with torch.no_grad():
        features, lengths = recognizer.front(waveform[None], torch.tensor([len(waveform)], device=recognizer.device))
        outputs = len(network(features, lengths)[0])
    draws = uniform(np.arange(positions, dtype=np.uint64), "reach", seed, key_of(utterance.id))
    chosen = np.unique((draws * outputs).astype(np.int64))
    # A copy of the utterance for each position: one backward pass gives the gradients of all.
    inputs = features.expand(len(chosen), -1, -1).clone().requires_grad_()
    log_probs, _ = network(inputs, lengths.expand(len(chosen)))
    picked = log_probs[torch.from_numpy(chosen), torch.arange(len(chosen))]
    (gradient,) = torch.autograd.grad((picked * _directions(picked, derive_seed(seed, utterance.id))).sum(), inputs)
    for place, norms in zip(chosen, gradient.norm(dim=2).double().cpu().numpy(), strict=True):
        yield int(place) * subsampling, norms


def _directions(outputs: Tensor, seed: int) -> Tensor:
    """Random directions (positions, tokens) whose entries have the sum 0."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(outputs.shape, generator=generator)
    return (directions - directions.mean(dim=1, keepdim=True)).to(outputs)


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
