"""The training of a recurrent language model: cross entropy, judged by the perplexity of held-out text."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from asr.config import Config
from asr.data.loader import Batch
from asr.lm.examples import Following, TextExamples
from asr.lm.recurrent import BOUNDARY, RecurrentLanguageModel
from asr.lm.recurrent_scores import score_text
from asr.lm.scores import total_perplexity, word_perplexity
from asr.model.folder import save_model
from asr.text.protocol import Tokenizer
from asr.training.distributed import Ranks
from asr.training.hardware import Hardware
from asr.training.lost import LostUtterances
from asr.training.progression import TEXT
from asr.training.task import Validation


class CrossEntropy(nn.Module):
    """The negative log-probability of sentences, as one module."""

    def __init__(self, model: RecurrentLanguageModel, hardware: Hardware) -> None:
        super().__init__()
        self.model, self.hardware = model, hardware

    def forward(self, inputs: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """The loss (nats), summed over tokens, in float64.

        Args:
            inputs: As of `RecurrentLanguageModel.forward`.
            lengths: As there.
            labels: What follows each input, one sentence after the other, int64 (lengths.sum(),).
        """
        with self.hardware.autocast():
            log_probs = self.model(inputs, lengths)
        of_labels: Tensor = log_probs.gather(1, labels.to(log_probs.device).unsqueeze(1))
        return -of_labels.double().sum()


class TextTask:
    """See `asr.training.task.Task`.

    Args:
        train: Training sentences.
        dev: Held-out sentences.
    """

    unit = TEXT

    def __init__(
        self,
        config: Config,
        train: TextExamples,
        dev: Sequence[str],
        tokenizer: Tokenizer,
        model: RecurrentLanguageModel,
        hardware: Hardware,
    ) -> None:
        self.config, self.train, self.dev, self.tokenizer, self.hardware = config, train, dev, tokenizer, hardware
        self.model = model.to(hardware.device, hardware.dtype)
        self.objective = CrossEntropy(self.model, hardware)
        self.labels = Following(train)

    def loss(self, objective: nn.Module, batch: Batch) -> Tensor:
        loss: Tensor = objective(batch.inputs, batch.lengths, batch.labels)
        return loss

    def no_loss(self, objective: nn.Module) -> Tensor:
        begin = torch.full((1, 1), BOUNDARY, device=self.hardware.device)
        loss: Tensor = objective(begin, torch.ones(1, dtype=torch.int64, device=begin.device), begin[0])
        return torch.zeros_like(loss) * loss

    def validate(self, model: RecurrentLanguageModel, ranks: Ranks, lost: LostUtterances) -> Validation:
        mine = self.dev[ranks.rank :: ranks.size]
        found = total_perplexity(ranks.gather(score_text(model, self.tokenizer, self.config.lm.units, mine)))
        per_word = word_perplexity(found, sum(len(sentence.split()) for sentence in self.dev))
        metrics = {
            "dev/loss": math.log(found.including),
            "dev/perplexity": found.including,
            "dev/word_perplexity": per_word,
            "dev/unknown_share": found.unknown / found.units,
        }
        return Validation(
            found.including, metrics, f"held-out perplexity {found.including:.2f}, {per_word:.2f} for each word"
        )

    def save(self, folder: Path, model: RecurrentLanguageModel) -> None:
        save_model(folder, model, self.config, self.tokenizer)
