"""Trained recurrent language models: folders, scores of text, next words; and models of any kind by their path."""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from asr.common.documents import read_json
from asr.common.errors import ConfigError, RunError
from asr.lm.ngram import lm_name
from asr.lm.recurrent import BOUNDARY, LAYER_STATES, RecurrentLanguageModel, token_log_probs
from asr.lm.scores import SentenceScore, next_units, open_model, score_sentences
from asr.lm.text import END, KIND, UNKNOWN_TOKEN, WordTokenizer
from asr.model.folder import find_model, weights_checksum, with_weights
from asr.settings.compose import load_config
from asr.settings.lm import LmUnits
from asr.settings.recipe import SETTINGS
from asr.settings.root import Config
from asr.text.protocol import FILE, SPACE_SYMBOL, Tokenizer
from asr.text.tokenizer import load_tokenizer

TRIED = 100
"""Most probable tokens that are tried after each beginning of a word."""
MOST_BEGINNINGS = 100_000
"""Beginnings of words after which the search ends."""


@dataclass(frozen=True)
class TrainedLanguageModel:
    """A trained recurrent language model: model.safetensors, config.yaml and the tokenizer in one folder."""

    model: RecurrentLanguageModel
    config: Config
    tokenizer: Tokenizer
    folder: Path

    @property
    def by_words(self) -> bool:
        """Whether its tokens are words, so that others are out-of-vocabulary."""
        return self.config.lm.units is LmUnits.words

    @property
    def key(self) -> str:
        """Differs between models, as lstm-tokens-0123abcd."""
        return f"{lm_name(self.config.lm)}-{weights_checksum(self.folder)[:8]}"


def load_language_model(path: Path, device: str = "cpu") -> TrainedLanguageModel:
    """Loads a model folder, or that of a run.

    Raises:
        ConfigError: It holds no recurrent language model.
        RunError: There is none, or a file is missing or damaged.
    """
    folder = find_model(path)
    if folder is None:
        raise RunError(f"No trained language model at {path}: `asr lm train RECIPE lm=lstm` makes one and says where.")
    config = load_config(folder / SETTINGS)
    if not config.lm.kind.recurrent or not (folder / FILE).is_file():
        raise ConfigError(f"{folder} holds no recurrent language model: give one of `asr lm train RECIPE lm=lstm`.")
    tokenizer = load_units(folder)
    model = with_weights(lambda: RecurrentLanguageModel(config.lm, tokenizer.size), folder)
    model = model.eval().requires_grad_(requires_grad=False).to(torch.device(device))
    return TrainedLanguageModel(model, config, tokenizer, folder)


def load_units(folder: Path) -> Tokenizer:
    """Reads the tokenizer of a language model's folder, which may be of words.

    Raises:
        RunError: There is none, or the file is damaged.
    """
    try:
        saved = read_json(folder / FILE)
        if saved.get("kind") == KIND:
            return WordTokenizer.load(saved)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / FILE} is not a tokenizer ({error}): copy the model folder again.") from None
    return load_tokenizer(folder)


def score_text(
    model: RecurrentLanguageModel, tokenizer: Tokenizer, units: LmUnits, sentences: Sequence[str]
) -> list[SentenceScore]:
    """Scores sentences, as `asr.lm.scores.score_sentences` does for n-grams.

    Raises:
        DataError: The tokenizer cannot write one.
    """
    encoded = [tokenizer.encode(sentence) for sentence in sentences]
    scores = []
    for sentence, tokens, found in zip(sentences, encoded, token_log_probs(model, encoded), strict=True):
        parts = (found.double() / math.log(10)).tolist()
        # Over characters and word pieces nothing is out-of-vocabulary: the tokenizer refuses what it cannot write.
        known = [
            part
            for token, part in zip([*tokens, BOUNDARY], parts, strict=True)
            if token != UNKNOWN_TOKEN or units is not LmUnits.words
        ]
        scores.append(SentenceScore(sentence, sum(parts), len(parts), len(parts) - len(known), sum(known)))
    return scores


@torch.inference_mode()
def next_words(trained: TrainedLanguageModel, beginning: str, number: int) -> list[tuple[str, float]]:
    """The most probable next words after the beginning of a sentence, whose last word is complete; </s> ends it.

    A model over characters or word pieces spells words: a word ends where a space, another word or the end of the
    sentence follows. One that can be spelled in several ways has the probability of the best.

    Returns:
        At most `number` words with their probabilities, the most probable first.

    Raises:
        DataError: The tokenizer cannot write the beginning.
    """
    model, tokenizer = trained.model, trained.tokenizer
    before = tokenizer.encode(beginning)
    states: LAYER_STATES | None = None
    log_probs = torch.empty(0)
    for token in [BOUNDARY, *before]:
        (log_probs,), states = model.follow(torch.tensor([token]), states)
    assert states is not None
    if trained.by_words:
        values, tokens = log_probs.topk(min(number, len(log_probs)))
        words = [END, *tokenizer.symbols[1:]]
        return [(words[token], math.exp(value)) for value, token in zip(values.tolist(), tokens.tolist(), strict=True)]
    return _Speller(trained, before, log_probs, states).best(number)


class _Speller:
    """Searches for the most probable words, the best beginning first: a longer beginning is never more probable."""

    def __init__(
        self, trained: TrainedLanguageModel, before: list[int], log_probs: Tensor, states: LAYER_STATES
    ) -> None:
        self.model, self.tokenizer, self.before = trained.model, trained.tokenizer, before
        symbols = self.tokenizer.symbols
        ends = [token == BOUNDARY or symbol[0] == SPACE_SYMBOL for token, symbol in enumerate(symbols)]
        self.ends_word = torch.tensor(ends)
        self.queue: list[tuple[float, int, list[int], LAYER_STATES]] = []
        self.ends: list[tuple[float, str]] = []
        self.pushed = 0
        if before:  # the word before is complete
            log_probs = log_probs.masked_fill(~self.ends_word, -math.inf).log_softmax(dim=0)
        self.ends.append((-float(log_probs[BOUNDARY]), END))
        self._push(0.0, [], log_probs, states)

    def best(self, number: int) -> list[tuple[str, float]]:
        while self.queue and self.pushed < MOST_BEGINNINGS:
            self.ends.sort()
            if len(self.ends) >= number and self.ends[number - 1][0] <= self.queue[0][0]:
                break
            cost, _, spelled, states = heapq.heappop(self.queue)
            (log_probs,), states = self.model.follow(torch.tensor(spelled[-1:]), states)
            if word := self._word(spelled):
                over = float(log_probs[self.ends_word].logsumexp(dim=0))
                self.ends.append((cost - over, word))
                log_probs = log_probs.masked_fill(self.ends_word, -math.inf)
            self._push(cost, spelled, log_probs, states)
        found: dict[str, float] = {}
        for cost, word in sorted(self.ends):
            found.setdefault(word, math.exp(-cost))
        return list(found.items())[:number]

    def _word(self, spelled: list[int]) -> str:
        """The word that was spelled after the beginning."""
        whole = self.tokenizer.decode([*self.before, *spelled])
        return whole[len(self.tokenizer.decode(self.before)) :].strip()

    def _push(self, cost: float, spelled: list[int], log_probs: Tensor, states: LAYER_STATES) -> None:
        values, tokens = log_probs.topk(min(TRIED, len(log_probs)))
        for value, token in zip(values.tolist(), tokens.tolist(), strict=True):
            if token != BOUNDARY and value > -math.inf:
                self.pushed += 1
                heapq.heappush(self.queue, (cost - value, self.pushed, [*spelled, token], states))


def open_scorer(path: Path) -> Callable[[Sequence[str]], list[SentenceScore]]:
    """Opens a recurrent language model or n-grams, to score sentences.

    Raises:
        RunError: There is no model.
    """
    if find_model(path) is None:
        return partial(score_sentences, open_model(path))
    trained = load_language_model(path)
    return partial(score_text, trained.model, trained.tokenizer, trained.config.lm.units)


def most_probable_next(path: Path, beginning: str, number: int) -> list[tuple[str, float]]:
    """The most probable next words by a model of any kind; see `next_words` and `asr.lm.scores.next_units`."""
    if find_model(path) is None:
        return next_units(path, beginning, number)
    return next_words(load_language_model(path), beginning, number)
