"""What a configuration requires of every utterance: its sampling rate, its characters and its length for CTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from asr.data.sequences import Field
from asr.data.utterance import Utterance
from asr.features.augment import perturbed_samples
from asr.features.extractor import frame_count
from asr.model.convolution import output_length
from asr.settings.root import Config
from asr.text.protocol import Tokenizer
from asr.text.tokenizer import build_tokenizer


@dataclass(frozen=True)
class Requirements:
    """What a configuration and its tokenizer require; sent to the processes that check."""

    config: Config
    tokenizer: Tokenizer

    @classmethod
    def of(cls, config: Config, train: Sequence[Utterance]) -> Self:
        """The requirements with a tokenizer that is built now.

        Args:
            train: The training utterances, whose transcripts the tokenizer may be learned from.

        Raises:
            ConfigError: The tokenizer cannot be built.
        """
        return cls(config, build_tokenizer(config.tokenizer, Field(train, "text")))

    @property
    def sampling_rate(self) -> int:
        """The only rate allowed (Hz)."""
        return self.config.data.sampling_rate

    def labels(self, text: str) -> Sequence[int]:
        """The tokens of a transcript.

        Raises:
            DataError: The tokenizer has none for a character.
        """
        return self.tokenizer.encode(text)

    def output_frames(self, split: str, utterance: Utterance) -> int:
        """Frames that the model outputs for an utterance of a split, at the highest speed at which it is played."""
        config, samples = self.config, utterance.samples
        if split == "train":  # only training utterances are played faster
            samples = perturbed_samples(samples, max(config.augment.speed_factors))
            samples = perturbed_samples(samples, max(config.augment.tempo_factors))
        return output_length(frame_count(config.features, self.sampling_rate, samples), config.model.subsampling)


def ctc_frames(labels: Sequence[int]) -> int:
    """The fewest frames that CTC can align with labels: one for each, and a blank between equal neighbors."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))
