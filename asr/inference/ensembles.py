"""Ensembles: several models as one recognizer.

Their log-probabilities are averaged frame by frame, which needs the same tokens and frames, or the hypotheses that each
finds are combined: all models score all of them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from asr.common.errors import ConfigError
from asr.decoding.beam import BeamDecoder
from asr.decoding.decoder import Decoder
from asr.decoding.search import Hypothesis, Rescorer
from asr.decoding.setup import DecodingSetup
from asr.inference.recognition import BatchRecognizer, Recognition
from asr.lm.scores import open_model
from asr.settings.decoder import DecoderKind, RecurrentUse
from asr.settings.evaluation import Combine
from asr.settings.features import FeatureKind
from asr.settings.lm import LmUnits
from asr.text.protocol import BLANK, Tokenizer, labels_of


class _Ensemble(BatchRecognizer):
    """Several recognizers, of which the first one's tokens are measured."""

    def __init__(self, recognizers: Sequence[BatchRecognizer], decoder: Decoder) -> None:
        self.recognizers, self.decoder = recognizers, decoder
        self.config, self.tokenizer = recognizers[0].config, recognizers[0].tokenizer

    @property
    def parameters(self) -> int:
        """Trainable numbers of all models together."""
        return sum(recognizer.parameters for recognizer in self.recognizers)


class FrameEnsemble(_Ensemble):
    """Averages the log-probabilities of recognizers, each of which has its own features.

    Args:
        recognizers: One or more.
        decoder: Decodes the average.

    Raises:
        ConfigError: Their sampling rates, tokens or frames differ.
    """

    def __init__(self, recognizers: Sequence[BatchRecognizer], decoder: Decoder) -> None:
        _require_same_frames(recognizers)
        super().__init__(recognizers, decoder)

    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `BatchRecognizer.log_probs`; the mean of the models', scaled to probabilities."""
        if len(self.recognizers) == 1:
            return self.recognizers[0].log_probs(waveforms, lengths)
        found = [recognizer.log_probs(waveforms, lengths) for recognizer in self.recognizers]
        return average([log_probs for log_probs, _ in found]), found[0][1]


def _require_same_frames(recognizers: Sequence[BatchRecognizer]) -> None:
    """Finds recognizers whose log-probabilities cannot be averaged, since they differ in tokens or frames."""
    first = recognizers[0]
    for other in recognizers[1:]:
        for what, here, there in (
            ("tokens", tuple(first.tokenizer.symbols), tuple(other.tokenizer.symbols)),
            ("data.sampling_rate", first.config.data.sampling_rate, other.config.data.sampling_rate),
            ("features.hop_ms", first.config.features.hop_ms, other.config.features.hop_ms),
            ("features.window_ms", first.config.features.window_ms, other.config.features.window_ms),
            ("features.kind", _whole_windows(first), _whole_windows(other)),
            ("model.subsampling", first.config.model.subsampling, other.config.model.subsampling),
        ):
            if here != there:
                raise ConfigError(
                    f"A model of evaluation.models has other {what} than the run: log-probabilities can be averaged "
                    "only where frames and tokens are the same."
                )


def _whole_windows(recognizer: BatchRecognizer) -> bool:
    return recognizer.config.features.kind is not FeatureKind.kaldi


def average(log_probs: Sequence[Tensor]) -> Tensor:
    """The mean of log-probabilities (..., tokens), scaled so that the probabilities of a frame sum to one."""
    return torch.stack(list(log_probs)).mean(dim=0).log_softmax(dim=-1)


class HypothesisEnsemble(_Ensemble):
    """Recognizers, each with its beam search, whose hypotheses are combined.

    A hypothesis of any of them is scored by the mean of the log-probabilities that the models give it, by the language
    model and the word scores, and at the end by a recurrent language model.

    Args:
        decoders: One for each recognizer, all with the same language model.
        text_score: The weighted log-probability of the language model and the word scores.
        keep: How many hypotheses are returned.
        rescorer: Rescores the combined hypotheses.
    """

    def __init__(
        self,
        recognizers: Sequence[BatchRecognizer],
        decoders: Sequence[BeamDecoder],
        text_score: Callable[[str], float],
        keep: int,
        rescorer: Rescorer | None = None,
    ) -> None:
        super().__init__(recognizers, decoders[0])
        self.decoders, self.text_score, self.keep = decoders, text_score, keep
        self._rescorer = rescorer

    @property
    def rescorer(self) -> Rescorer | None:
        """Rescores the combined hypotheses."""
        return self._rescorer

    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `BatchRecognizer.log_probs`; those of the first recognizer."""
        return self.recognizers[0].log_probs(waveforms, lengths)

    def recognize(self, waveforms: Tensor, lengths: Tensor) -> Recognition:
        """See `BatchRecognizer.recognize`; the log-probabilities are those of the first recognizer."""
        emissions = [recognizer.log_probs(waveforms, lengths) for recognizer in self.recognizers]
        found = [decoder.nbest(*emission) for decoder, emission in zip(self.decoders, emissions, strict=True)]
        combined = []
        for number, lists in enumerate(zip(*found, strict=True)):
            texts = list(dict.fromkeys(item.text for items in lists for item in items))
            scores = [
                text_log_probs(log_probs[: int(frames[number]), number], decoder.tokenizer, texts)
                for decoder, (log_probs, frames) in zip(self.decoders, emissions, strict=True)
            ]
            means = torch.tensor(scores, dtype=torch.float64).mean(dim=0).tolist()
            items = [Hypothesis(text, mean + self.text_score(text)) for text, mean in zip(texts, means, strict=True)]
            possible = [item for item in items if item.score > -math.inf] or items
            combined.append(sorted(possible, key=lambda item: -item.score))
        ordered = combined if self.rescorer is None else self.rescorer(combined)
        return Recognition(*emissions[0], [items[: self.keep] for items in ordered])


@contextmanager
def open_ensemble(setup: DecodingSetup, recognizers: Sequence[BatchRecognizer]) -> Iterator[BatchRecognizer]:
    """The ensemble that a configuration asks for, of one recognizer or more; its decoders may hold processes until the
    context ends.

    Raises:
        ConfigError: The recognizers cannot be combined in this way, or a setting does not fit.
    """
    if setup.config.evaluation.combine is Combine.hypotheses:
        with ExitStack() as opened:
            yield _combine_hypotheses(setup, recognizers, opened)
    else:
        with setup.open(recognizers[0].tokenizer) as decoder:
            yield FrameEnsemble(recognizers, decoder)


def _combine_hypotheses(
    setup: DecodingSetup, recognizers: Sequence[BatchRecognizer], opened: ExitStack
) -> HypothesisEnsemble:
    """Opens the decoders of the recognizers on a stack of contexts."""
    config = setup.config
    decoder = config.decoder
    if decoder.kind is not DecoderKind.beam or config.lm.units is not LmUnits.words:
        raise ConfigError(
            "evaluation.combine=hypotheses combines the hypotheses of beam searches: add decoder=beam lm.units=words."
        )
    if decoder.hot_words or (setup.recurrent is not None and decoder.recurrent_use is RecurrentUse.fuse):
        raise ConfigError(
            "evaluation.combine=hypotheses scores hypotheses again, so neither decoder.hot_words nor "
            "decoder.recurrent_use=fuse has an effect there: leave them out, or use evaluation.combine=frames."
        )
    if len(rates := {recognizer.config.data.sampling_rate for recognizer in recognizers}) > 1:
        raise ConfigError(
            f"The models of evaluation.models have the sampling rates {' and '.join(map(str, sorted(rates)))} Hz, "
            "not the same one."
        )
    weights, model = setup.weights, None if setup.lm is None else open_model(setup.lm.file)

    def text_score(text: str) -> float:
        log_prob = 0.0 if model is None else model.score(text) * math.log(10)
        return weights.lm_weight * log_prob + weights.word_score * len(text.split())

    def beam_decoder(recognizer: BatchRecognizer) -> BeamDecoder:
        search = setup.search(recognizer.tokenizer)
        several = replace(search, nbest=max(search.nbest, decoder.recurrent_nbest))
        return opened.enter_context(BeamDecoder(several, recognizer.tokenizer, setup.processes))

    decoders = [beam_decoder(recognizer) for recognizer in recognizers]
    return HypothesisEnsemble(recognizers, decoders, text_score, decoder.nbest, setup.rescorer)


def text_log_probs(log_probs: Tensor, tokenizer: Tokenizer, texts: Sequence[str]) -> list[float]:
    """The log-probability (natural) of each text under CTC, over all ways of writing it: with a separator before its
    first word or behind its last one too, as a beam search counts them.

    Args:
        log_probs: Log-probabilities of an utterance's frames, (frames, tokens), on any device.

    Returns:
        Minus infinity for a text that the tokenizer cannot write, or for which there are too few frames.
    """
    if not len(log_probs):
        return [-math.inf if text else 0.0 for text in texts]
    outer: list[tuple[int, ...]] = [()] if tokenizer.separator is None else [(), (tokenizer.separator,)]
    labels = [labels_of(tokenizer, text) for text in texts]
    ways = [[(*before, *(tokens or ()), *behind) for before, behind in product(outer, outer)] for tokens in labels]
    different = list(dict.fromkeys(way for each in ways for way in each))
    losses = ctc_loss(
        log_probs.double().cpu()[:, None].expand(-1, len(different), -1),
        torch.tensor([token for way in different for token in way], dtype=torch.int64),
        torch.full((len(different),), len(log_probs)),
        torch.tensor([len(way) for way in different]),
        blank=BLANK,
        reduction="none",
    )
    found = dict(zip(different, -losses, strict=True))
    sums = [torch.stack([found[way] for way in set(each)]).logsumexp(dim=0).item() for each in ways]
    return [-math.inf if tokens is None else total for tokens, total in zip(labels, sums, strict=True)]
