"""What an utterance may say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """A text with its score."""

    text: str
    score: float
    """Log-probability of the sound (natural), with the weighted ones of language models and the word scores."""
