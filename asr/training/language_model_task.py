"""Builds the trainer of a recurrent language model."""

import logging
import math
from array import array
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from asr.batching.loader import Batch
from asr.common.errors import DataError
from asr.common.seeds import derive_seed, keys_of
from asr.lm.ngram import tokenizer_texts
from asr.lm.recurrent import BOUNDARY, RecurrentLanguageModel
from asr.lm.scores import total_perplexity, word_perplexity
from asr.lm.text import WordTokenizer, held_out_sentences, training_sentences
from asr.lm.trained import score_text
from asr.model.acoustic import count_parameters
from asr.model.folder import save_model
from asr.scoring.provenance import hardware as hardware_name
from asr.settings.debug import DebugMode
from asr.settings.lm import LmUnits
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import Tokenizer
from asr.text.tokenizer import build_tokenizer
from asr.training.debugging import simplify
from asr.training.distributed import Ranks, join_ranks
from asr.training.hardware import Hardware, resolve_hardware, set_deterministic
from asr.training.run_folder import RunFolder, find_lm_folder
from asr.training.session import carry_out, check_precision, manifests, restarts
from asr.training.task import Validation
from asr.training.train_state import TEXT
from asr.training.trainer import Trainer
from asr.training.unreadable import UnreadableUtterances


class TextExamples:
    """Numbered sentences; see `asr.batching.loader.Examples`. Their sizes are tokens, with the ends of sentences.

    All lie in one array, in which each boundary ends a sentence and begins the next.

    Args:
        sentences: Texts.
        tokenizer: Makes tokens of them.

    Raises:
        DataError: A text cannot be written with these tokens.
    """

    def __init__(self, sentences: Iterable[str], tokenizer: Tokenizer) -> None:
        tokens, ends = array("i", [BOUNDARY]), array("q", [0])
        for sentence in sentences:
            if encoded := tokenizer.encode(sentence):
                tokens.extend(encoded)
                tokens.append(BOUNDARY)
                ends.append(len(tokens) - 1)
        self.tokens = np.frombuffer(tokens, dtype=np.int32)
        self._ends = np.frombuffer(ends, dtype=np.int64)
        self.ids = [f"sentence {number}" for number in range(1, len(self._ends))]
        self.keys = keys_of(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __call__(self, number: int, epoch: int) -> Tensor:
        """A boundary and the tokens of a sentence, int64 (length,)."""
        start, end = self._ends[number : number + 2]
        return torch.from_numpy(self.tokens[start:end].astype(np.int64))

    def in_epoch(self, epoch: int) -> None:
        """All are read in every epoch."""

    def seconds(self, epoch: int) -> npt.NDArray[np.float64]:
        """Tokens of each sentence and its end, shape (sentences,)."""
        return np.diff(self._ends).astype(np.float64)

    def sentence(self, number: int) -> list[int]:
        """The tokens of a sentence."""
        tokens: list[int] = self.tokens[self._ends[number] + 1 : self._ends[number + 1]].tolist()
        return tokens


class Following(Sequence[Sequence[int]]):
    """The labels of sentences: of each token the one that follows it, the boundary after the last."""

    def __init__(self, examples: TextExamples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, number: int) -> Sequence[int]: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Sequence[int]]: ...

    def __getitem__(self, number: int | slice) -> Sequence[int] | Sequence[Sequence[int]]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return [*self.examples.sentence(number), BOUNDARY]


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

    def validate(self, model: RecurrentLanguageModel, ranks: Ranks, unreadable: UnreadableUtterances) -> Validation:
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


LmTrainer = Trainer[TextTask]


def as_training(config: Config) -> Config:
    """The configuration of a recipe with what `lm` says in place of what its acoustic model is trained with."""
    lm, overfit = config.lm, config.debug.mode is DebugMode.overfit
    return replace(
        config,
        lm=replace(lm, dropout=0.0) if overfit else lm,
        training=replace(config.training, epochs=lm.epochs, init_from=None, with_dev=False),
        optimizer=replace(config.optimizer, learning_rate=lm.learning_rate),
        batching=replace(
            config.batching, global_seconds=float(lm.batch_units), max_device_seconds=float(lm.max_device_units)
        ),
    )


def build_lm_trainer(recipe: Recipe, config: Config, hardware: Hardware, ranks: Ranks, folder: RunFolder) -> LmTrainer:
    """Builds the trainer of a language model, at the state of its newest checkpoint.

    Args:
        config: As of `as_training`.

    Raises:
        DataError: A text cannot be read, or written with the tokens; or there is none.
    """
    tokenizer = _tokenizer(recipe, config)
    train = list(training_sentences(recipe, config))
    dev = list(held_out_sentences(recipe, config))
    if config.debug.mode is DebugMode.overfit:
        train = dev = _first(train, tokenizer, config.lm.batch_units)
    examples = TextExamples(train, tokenizer)
    if not len(examples) or not dev:
        raise DataError(f"There is no {'held-out ' if len(examples) else ''}text: give lm.texts and lm.held_out.")
    torch.manual_seed(derive_seed("weights", config.seed))
    model = RecurrentLanguageModel(config.lm, tokenizer.size)
    trainer = Trainer(config, TextTask(config, examples, dev, tokenizer, model, hardware), hardware, ranks, folder)
    trainer.restore()
    return trainer


def _tokenizer(recipe: Recipe, config: Config) -> Tokenizer:
    if config.lm.units is LmUnits.words:
        return WordTokenizer.build(training_sentences(recipe, config), config.lm.min_count)
    return build_tokenizer(config.tokenizer, tokenizer_texts(recipe, config))


def _first(sentences: Sequence[str], tokenizer: Tokenizer, units: int) -> list[str]:
    """So many sentences from the first as fit one step."""
    chosen: list[str] = []
    for sentence in sentences:
        units -= len(tokenizer.encode(sentence)) + 1
        if chosen and units < 0:
            break
        chosen.append(sentence)
    return chosen


log = logging.getLogger(__name__)


def train_language_model(recipe: Recipe, config: Config) -> float:
    """Trains, or goes on with, the language model of a configuration.

    Returns:
        The best perplexity of held-out text.
    """
    config = simplify(as_training(config))
    set_deterministic(config.training.deterministic)
    hardware = resolve_hardware(config.hardware)
    folder = find_lm_folder(recipe, config, hardware.precision)
    ranks = join_ranks(hardware.device, config.cluster.join_minutes)
    with ExitStack() as stack:
        ranks.on_rank_0(lambda: stack.enter_context(folder.trained(config, restarts(config))))
        check_precision(ranks, hardware)
        trainer = build_lm_trainer(recipe, config, hardware, ranks, folder)
        read = manifests(recipe, config) if config.lm.transcripts else []
        carry_out(trainer, recipe, config, partial(_describe, trainer), partial(_outcome, trainer), read)
        if ranks.first:
            print(f"Language model: {folder.path}")
        return trainer.state.best_score


def _describe(trainer: LmTrainer) -> None:
    task, hardware = trainer.task, trainer.hardware
    log.info("Language model %s", trainer.folder.path)
    log.info(
        "%.2f M parameters, %d tokens; %d training sentences, %d units with their ends; %d held-out sentences; %s on "
        "%s, %d ranks of %d threads",
        count_parameters(task.model) / 1e6,
        task.tokenizer.size,
        len(task.train),
        int(task.train.seconds(0).sum()),
        len(task.dev),
        hardware.precision.name,
        hardware_name(),
        trainer.ranks.size,
        torch.get_num_threads(),
    )


def _outcome(trainer: LmTrainer) -> str:
    return f"Best held-out perplexity {trainer.state.best_score:.2f} after epoch {trainer.state.best_epoch}"
