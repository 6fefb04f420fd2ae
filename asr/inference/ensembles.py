"""Several models that hear together: their log-probabilities are averaged frame by frame."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from asr.common.errors import ConfigError
from asr.common.processes import cores
from asr.decoding.beam import BeamDecoder
from asr.decoding.decoder import Decoder, beam_search
from asr.decoding.rescoring import Rescorer
from asr.decoding.search import Hypothesis
from asr.decoding.weights import Weights, resolve
from asr.inference.recognizer import Recognizer
from asr.lm.ngram import LanguageModel
from asr.lm.recurrent_folder import TrainedLanguageModel
from asr.lm.scores import open_model
from asr.settings.decoder import DecoderKind, RecurrentUse
from asr.settings.lm import LmUnits
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import BLANK, Tokenizer, labels_of


class Combination:
    """Recognizers as one; each has its own features. The tokens must be the same, and so must the frames.

    Args:
        recognizers: One or more.

    Raises:
        ConfigError: They hear at different rates, or write different tokens or frames of different length.
    """

    def __init__(self, recognizers: Sequence[Recognizer]) -> None:
        self.recognizers = recognizers
        first = recognizers[0]
        for other in recognizers[1:]:
            for what, here, there in (
                ("tokens", tuple(first.tokenizer.symbols), tuple(other.tokenizer.symbols)),
                ("data.sampling_rate", first.config.data.sampling_rate, other.config.data.sampling_rate),
                ("features.hop_ms", first.config.features.hop_ms, other.config.features.hop_ms),
                ("features.window_ms", first.config.features.window_ms, other.config.features.window_ms),
                ("model.subsampling", first.config.model.subsampling, other.config.model.subsampling),
            ):
                if here != there:
                    raise ConfigError(
                        f"A model of evaluation.models has other {what} than the run: models can be combined only "
                        "where their frames and tokens are the same."
                    )

    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `asr.inference.recognizer.Recognizer.log_probs`; the mean of the models', scaled to probabilities."""
        if len(self.recognizers) == 1:
            return self.recognizers[0].log_probs(waveforms, lengths)
        heard = [recognizer.log_probs(waveforms, lengths) for recognizer in self.recognizers]
        return average([log_probs for log_probs, _ in heard]), heard[0][1]


def average(log_probs: Sequence[Tensor]) -> Tensor:
    """The mean of log-probabilities (..., tokens), scaled so that the probabilities of a frame sum to one."""
    return torch.stack(list(log_probs)).mean(dim=0).log_softmax(dim=-1)


@dataclass(frozen=True)
class Heard:
    """A batch that was heard."""

    log_probs: Tensor
    """Of the tokens, (frames, batch, tokens)."""
    lengths: Tensor
    """Frames of each utterance, int64 (batch,)."""
    hypotheses: list[list[Hypothesis]]
    """Of each utterance, the best first; at least one."""


class Hearing(Protocol):
    """Recognizers that hear together."""

    @property
    def recognizers(self) -> Sequence[Recognizer]:
        """The first is the one whose tokens are measured."""

    @property
    def decoder(self) -> Decoder:
        """What the first decodes with."""

    @property
    def rescorer(self) -> Rescorer | None:
        """What weighs hypotheses anew."""

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> Heard:
        """Hears waveforms (batch, samples) of so many samples each (batch,)."""


@dataclass(frozen=True)
class FramesHeard:
    """Hearing by the frames of a recognizer, or by the average of several's."""

    combination: Combination
    decoder: Decoder

    @property
    def recognizers(self) -> Sequence[Recognizer]:
        """Those that are averaged."""
        return self.combination.recognizers

    @property
    def rescorer(self) -> Rescorer | None:
        """That of the decoder."""
        return self.decoder.rescorer if isinstance(self.decoder, BeamDecoder) else None

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> Heard:
        """Hears a batch."""
        log_probs, frames = self.combination.log_probs(waveforms, lengths)
        if isinstance(self.decoder, BeamDecoder):
            return Heard(log_probs, frames, self.decoder.nbest(log_probs, frames))
        return Heard(log_probs, frames, [[Hypothesis(text, math.nan)] for text in self.decoder(log_probs, frames)])


@dataclass(frozen=True)
class Pool:
    """Recognizers, each with its beam search. See `asr.inference.ensembles.Hearing`.

    A hypothesis of any of them is scored by the mean of the log-probabilities that the models give it, by what language
    model and words add, and in the end by a recurrent language model.
    """

    recognizers: Sequence[Recognizer]
    decoders: Sequence[BeamDecoder]
    """One for each recognizer, all with the same language model."""
    text_score: Callable[[str], float]
    """The weighted log-probability of the language model and the word scores."""
    keep: int
    """Hypotheses that are given."""
    rescorer: Rescorer | None = None

    @property
    def decoder(self) -> BeamDecoder:
        """That of the first."""
        return self.decoders[0]

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> Heard:
        """Hears a batch; the log-probabilities are those of the first recognizer."""
        heard = [recognizer.log_probs(waveforms, lengths) for recognizer in self.recognizers]
        found = [decoder.nbest(*one) for decoder, one in zip(self.decoders, heard, strict=True)]
        pooled = []
        for number, lists in enumerate(zip(*found, strict=True)):
            texts = list(dict.fromkeys(item.text for items in lists for item in items))
            scores = [
                text_log_probs(log_probs[: int(frames[number]), number], decoder.tokenizer, texts)
                for decoder, (log_probs, frames) in zip(self.decoders, heard, strict=True)
            ]
            means = torch.tensor(scores, dtype=torch.float64).mean(dim=0).tolist()
            items = [Hypothesis(text, mean + self.text_score(text)) for text, mean in zip(texts, means, strict=True)]
            possible = [item for item in items if item.score > -math.inf] or items
            pooled.append(sorted(possible, key=lambda item: -item.score))
        ordered = pooled if self.rescorer is None else self.rescorer(pooled)
        return Heard(*heard[0], [items[: self.keep] for items in ordered])


@contextmanager
def open_pool(
    recipe: Recipe,
    config: Config,
    recognizers: Sequence[Recognizer],
    lm: LanguageModel | None,
    recurrent: TrainedLanguageModel | None,
    tuned: Weights | None,
) -> Iterator[Pool]:
    """The pool of a configuration; arguments as of `asr.decoding.decoder.open_decoder`.

    Raises:
        ConfigError: What the configuration asks for cannot be pooled.
    """
    decoder = config.decoder
    if decoder.kind is not DecoderKind.beam or config.lm.units is not LmUnits.words:
        raise ConfigError(
            "evaluation.combine=hypotheses pools what beam searches find: add decoder=beam lm.units=words."
        )
    if decoder.hot_words or (recurrent is not None and decoder.recurrent_use is RecurrentUse.fuse):
        raise ConfigError(
            "evaluation.combine=hypotheses scores hypotheses anew, so neither decoder.hot_words nor "
            "decoder.recurrent_use=fuse has an effect there: leave them out, or use evaluation.combine=frames."
        )
    if len(rates := {recognizer.config.data.sampling_rate for recognizer in recognizers}) > 1:
        raise ConfigError(
            f"The models of evaluation.models hear at {' and '.join(map(str, sorted(rates)))} Hz, not at one rate."
        )
    weights = resolve(decoder, tuned)
    rescorer = None
    if recurrent is not None:
        rescorer = Rescorer(recurrent, weights.recurrent_weight, weights.recurrent_word_score)
    model = None if lm is None else open_model(lm.file)

    def text_score(text: str) -> float:
        log_prob = 0.0 if model is None else model.score(text) * math.log(10)
        return weights.lm_weight * log_prob + weights.word_score * len(text.split())

    processes = config.hardware.threads or cores()
    with ExitStack() as opened:
        decoders = []
        for recognizer in recognizers:
            search = beam_search(recipe, config, recognizer.tokenizer, lm, weights)
            several = replace(search, nbest=max(search.nbest, decoder.recurrent_nbest))
            decoders.append(opened.enter_context(BeamDecoder(several, recognizer.tokenizer, processes)))
        yield Pool(recognizers, decoders, text_score, decoder.nbest, rescorer)


def text_log_probs(log_probs: Tensor, tokenizer: Tokenizer, texts: Sequence[str]) -> list[float]:
    """The log-probability (natural) of each text under CTC, over all ways of writing it: with a separator before its
    first word or behind its last one too, as a beam search counts them.

    Args:
        log_probs: Log-probabilities of an utterance's frames, (frames, tokens), on any device.

    Returns:
        Minus infinity for a text that the tokens cannot write, or for which there are too few frames.
    """
    if not len(log_probs):
        return [-math.inf if text else 0.0 for text in texts]
    outer: list[tuple[int, ...]] = [()] if tokenizer.separator is None else [(), (tokenizer.separator,)]
    written = [labels_of(tokenizer, text) for text in texts]
    ways = [[(*before, *(tokens or ()), *behind) for before, behind in product(outer, outer)] for tokens in written]
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
    return [-math.inf if tokens is None else total for tokens, total in zip(written, sums, strict=True)]
