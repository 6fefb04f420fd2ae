"""The training of a recurrent language model: cross-entropy of sentences, judged by the perplexity of held-out ones."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from asr.batching.loader import Batch
from asr.common.errors import DataError
from asr.common.seeds import derive_seed
from asr.lm.examples import Following, TextExamples
from asr.lm.ngram import tokenizer_texts
from asr.lm.recurrent import BOUNDARY, RecurrentLanguageModel
from asr.lm.scores import total_perplexity, word_perplexity
from asr.lm.text import WordTokenizer, held_out_sentences, training_sentences
from asr.lm.trained import score_text
from asr.model.card import write_card
from asr.model.folder import TRAINED, build_if_it_fits, save_model
from asr.settings.debug import DebugMode
from asr.settings.lm import LmUnits
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.settings.runs import is_language_model
from asr.text.protocol import Tokenizer
from asr.text.tokenizer import build_tokenizer
from asr.training.debugging import first_that_fit, simplify
from asr.training.distributed import Ranks
from asr.training.hardware import Hardware, resolve_hardware, set_deterministic
from asr.training.identity import lm_hash
from asr.training.run_folder import RunFolder, as_begun, find_lm_folder, hash_of
from asr.training.session import Training, manifests
from asr.training.task import TEXT, Validation
from asr.training.train_state import UnreadableUtterances
from asr.training.trainer import Trainer


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
            labels: The token after each input, one sentence after the other, int64 (lengths.sum(),).
        """
        with self.hardware.autocast():
            log_probs = self.model(inputs, lengths)
        of_labels: Tensor = log_probs.gather(1, labels.to(log_probs.device).unsqueeze(1))
        return -of_labels.double().sum()


class TextTask:
    """See `asr.training.task.Task`."""

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
        write_card(folder.parent, self.config, evaluated=False)


def as_training(config: Config) -> Config:
    """The configuration of a recipe with the settings of `lm` in place of those of its acoustic model."""
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


class LanguageModelTraining(Training[TextTask]):
    """See `asr.training.session.Training`.

    Raises:
        ConfigError: Settings cannot be used here, or there is no such lexicon.
        DataError: A text cannot be read.
    """

    def __init__(self, recipe: Recipe, config: Config) -> None:
        config = simplify(as_training(config))
        set_deterministic(config.training.deterministic)
        hardware = resolve_hardware(config.hardware)
        if recipe.run is not None and is_language_model(recipe.run, config):
            config = as_begun(recipe.run, config, hardware.precision, partial(lm_hash, recipe, config))
            hardware = resolve_hardware(config.hardware)
            folder = RunFolder(recipe.run, hash_of(recipe.run), acoustic=False)
        else:
            folder = find_lm_folder(recipe, config, hardware.precision)
        super().__init__(recipe, config, hardware, folder)

    def build(self, ranks: Ranks) -> Trainer[TextTask]:
        """As its base.

        Raises:
            DataError: A text cannot be written with the tokens, or there is none.
        """
        recipe, config = self.recipe, self.config
        train = list(training_sentences(recipe, config))
        if config.lm.units is LmUnits.words:
            tokenizer: Tokenizer = WordTokenizer.build(train, config.lm.min_count)
        else:
            tokenizer = build_tokenizer(config.tokenizer, tokenizer_texts(recipe, config))
        dev = list(held_out_sentences(recipe, config))
        if config.debug.mode is DebugMode.overfit:
            train = dev = first_that_fit(train, lambda text: len(tokenizer.encode(text)) + 1, config.lm.batch_units)
        examples = TextExamples(train, tokenizer)
        if not len(examples) or not dev:
            raise DataError(f"There is no {'held-out ' if len(examples) else ''}text: give lm.texts and lm.held_out.")
        torch.manual_seed(derive_seed("weights", config.seed))
        model = build_if_it_fits(lambda: RecurrentLanguageModel(config.lm, tokenizer.size), "lm", TRAINED)
        task = TextTask(config, examples, dev, tokenizer, model, self.hardware)
        trainer = Trainer(config, task, self.hardware, ranks, self.folder)
        trainer.restore()
        return trainer

    def describe(self, task: TextTask) -> str:
        units = int(task.train.seconds(0).sum())
        return (
            f"{task.tokenizer.size} tokens; {len(task.train)} training sentences, {units} units with their ends; "
            f"{len(task.dev)} held-out sentences"
        )

    def outcome(self, score: float) -> str:
        return f"Best held-out perplexity {score:.2f}"

    def manifests(self) -> Sequence[Path]:
        return manifests(self.recipe, self.config) if self.config.lm.transcripts else []
