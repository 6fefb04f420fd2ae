"""How a split is heard: by one recognizer, by several whose frames are averaged, or by a pool of searches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from asr.decoding.beam import BeamDecoder
from asr.decoding.combination import Combination
from asr.decoding.decoder import Decoder
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.recognizer import Recognizer
from asr.decoding.rescoring import Rescorer


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
