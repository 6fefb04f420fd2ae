"""Recurrent language models: each token's probability, given all those before it in its sentence."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from asr.model.dropout import Dropout
from asr.model.recurrent import RecurrentLayer, State
from asr.settings.lm import LmConfig
from asr.settings.model import Cell
from asr.text.protocol import BLANK

BOUNDARY = BLANK
"""The token before the first of a sentence and after the last: no text has the blank, so its number is free."""

LAYER_STATES = tuple[State | None, ...]

SCORED_AT_ONCE = 20_000
"""Padded tokens of the sentences that are scored in one batch."""


class TiedHead(nn.Module):
    """The output layer's own parameters; its weights are tied to the embedding."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.norm, self.bias = nn.LayerNorm(width), nn.Parameter(torch.zeros(tokens))


class RecurrentLanguageModel(nn.Module):
    """Recurrent layers of one direction over embedded tokens, with LayerNorm before each.

    The log-probabilities of a sentence depend only on that sentence, never on the batch or its padding.

    Args:
        config: Its settings.
        tokens: Size of the tokenizer, the boundary (0) included.
    """

    def __init__(self, config: LmConfig, tokens: int) -> None:
        super().__init__()
        width = config.hidden
        self.embedding = nn.Embedding(tokens, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)  # the output layer's logits are then of size one
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.layers = nn.ModuleList(
            RecurrentLayer(Cell[config.kind.name], width, width, bidirectional=False) for _ in range(config.layers)
        )
        self.dropout = Dropout(config.dropout)
        self.head = TiedHead(width, tokens)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Log-probabilities of the token after each token.

        Args:
            inputs: A boundary and the tokens of each sentence, int64 (batch, time).
            lengths: Inputs of each sentence, int64 (batch,).

        Returns:
            (lengths.sum(), tokens) in float32 or wider, one sentence after the other.
        """
        hidden = self.embedding(inputs.T)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            hidden = layer(self.dropout(norm(hidden)), lengths)
        inside = torch.arange(inputs.shape[1], device=inputs.device) < lengths.to(inputs.device).unsqueeze(1)
        return self._log_probs(hidden.transpose(0, 1)[inside])

    def follow(self, tokens: Tensor, states: LAYER_STATES | None = None) -> tuple[Tensor, LAYER_STATES]:
        """Processes one more token of each of several sentences.

        Args:
            tokens: int64 (batch,); boundaries at the beginning.
            states: Returned by the previous call; None at the beginning.

        Returns:
            Log-probabilities of the next token, (batch, tokens), and the states after this one.
        """
        hidden = self.embedding(tokens).unsqueeze(0)
        after = []
        for number, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            state = None if states is None else states[number]
            hidden, state = cast(RecurrentLayer, layer).stream(self.dropout(norm(hidden)), state)
            after.append(state)
        return self._log_probs(hidden.squeeze(0)), tuple(after)

    def _log_probs(self, hidden: Tensor) -> Tensor:
        logits = functional.linear(self.dropout(self.head.norm(hidden)), self.embedding.weight, self.head.bias)
        wide = logits.double() if logits.dtype == torch.float64 else logits.float()
        return wide.log_softmax(dim=-1)


@torch.inference_mode()
def token_log_probs(model: RecurrentLanguageModel, sentences: Sequence[Sequence[int]]) -> list[Tensor]:
    """The log-probability (natural) of every token of each sentence, and of its end, (tokens + 1,), on the CPU."""
    device = model.embedding.weight.device
    order = sorted(range(len(sentences)), key=lambda number: len(sentences[number]))
    found: list[Tensor] = [torch.empty(0)] * len(sentences)
    start = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and (end + 1 - start) * (1 + len(sentences[order[end]])) <= SCORED_AT_ONCE:
            continue
        numbers = order[start:end]
        start = end
        closed = [torch.tensor([BOUNDARY, *sentences[number], BOUNDARY]) for number in numbers]
        lengths = torch.tensor([len(sentence) - 1 for sentence in closed])
        inputs = pad_sequence([sentence[:-1] for sentence in closed], batch_first=True)
        log_probs = model(inputs.to(device), lengths.to(device))
        targets = torch.cat([sentence[1:] for sentence in closed]).to(device)
        of_targets = log_probs.gather(1, targets.unsqueeze(1)).squeeze(1).cpu()
        for number, part in zip(numbers, of_targets.split(lengths.tolist()), strict=True):
            found[number] = part
    return found
