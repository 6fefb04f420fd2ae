"""The labels of a corpus: encoded beforehand, or for millions of utterances when they are asked for."""

from collections.abc import Sequence
from typing import Any

from asr.data.sequences import Lines
from asr.data.utterance import Utterance
from asr.text.protocol import Tokenizer


class LazyLabels(Sequence[Sequence[int]]):
    """Labels that are encoded where they are used, in the processes that load audio: nothing of them is kept."""

    def __init__(self, tokenizer: Tokenizer, utterances: Sequence[Utterance]) -> None:
        self.tokenizer, self.utterances = tokenizer, utterances

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self.tokenizer.encode(utterance.text) for utterance in self.utterances[number]]
        return self.tokenizer.encode(self.utterances[number].text)


def labels_of_all(tokenizer: Tokenizer, utterances: Sequence[Utterance]) -> Sequence[Sequence[int]]:
    """The labels of every utterance, by its number."""
    if isinstance(utterances, Lines):
        return LazyLabels(tokenizer, utterances)
    return [tokenizer.encode(utterance.text) for utterance in utterances]
