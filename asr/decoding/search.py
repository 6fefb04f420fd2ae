"""The definition of a beam search: lexicon, language models, weights, and the rescoring of what it finds."""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from asr.common.documents import read_json
from asr.common.errors import ConfigError, DataError, RunError, asr_command
from asr.lm.ngram import LanguageModel
from asr.lm.trained import TrainedLanguageModel, score_text
from asr.settings.decoder import DecoderConfig
from asr.text.protocol import Tokenizer


@dataclass(frozen=True)
class Hypothesis:
    """A text with its score."""

    text: str
    score: float
    """Acoustic log-probability (natural), plus the weighted ones of language models and the word scores."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lexicon:
    """The words that hypotheses may have."""

    spellings: tuple[tuple[str, tuple[str, ...]], ...]
    """Words and the symbols of their tokens."""
    separator: str | None
    """Symbol of the token between words, which ends each spelling; None where word pieces mark its beginning."""


def lexicon_of(words: Iterable[str], tokenizer: Tokenizer) -> Lexicon:
    """Spells words with the tokens of a tokenizer; those that it cannot write are left out, and the log counts them.

    Raises:
        ConfigError: It can write none.
    """
    symbols, separator = tokenizer.symbols, tokenizer.separator
    end = () if separator is None else (symbols[separator],)
    spellings, left_out = [], []
    for word in words:
        try:
            spelled = tuple(symbols[token] for token in tokenizer.encode(word))
        except DataError:
            left_out.append(word)
        else:
            spellings.append((word, (*spelled, *end)))
    if left_out:
        log.warning("The tokenizer cannot write %d words, as %s; no hypothesis has them.", len(left_out), left_out[0])
    if not spellings:
        raise ConfigError("The tokenizer can write no word of the language model: give one of the same alphabet.")
    return Lexicon(tuple(spellings), end[0] if end else None)


@dataclass(frozen=True)
class Search:
    """A beam search; see `asr.settings.decoder.DecoderConfig`."""

    symbols: tuple[str, ...]
    """Of the tokens, the blank first."""
    lexicon: Lexicon | None
    """None allows any sequence of tokens."""
    lm: str | None
    """File that KenLM loads, over words with a lexicon and over symbols without."""
    beam: int
    lm_weight: float
    word_score: float
    beam_tokens: int | None
    beam_threshold: float
    log_add: bool
    nbest: int
    recurrent: str | None = None
    """Folder of a recurrent language model that is fused into the search."""
    recurrent_weight: float = 0.0
    hot: tuple[tuple[str, ...], ...] = ()
    """Phrases that are boosted: their words with a lexicon, their symbols without."""
    hot_boost: float = 0.0

    @property
    def composite(self) -> bool:
        """Whether it has more language models than KenLM's."""
        return self.recurrent is not None or bool(self.hot)


@dataclass(frozen=True)
class Weights:
    """What `asr tune` looks for; see `asr.settings.decoder.DecoderConfig`."""

    beam: int = 50
    lm_weight: float = 0.5
    word_score: float = 0.0
    recurrent_weight: float = 0.5
    recurrent_word_score: float = 0.0


UNTUNED = Weights()
"""Where nothing was tuned."""


def tuning_folder(run: Path, key: str) -> Path:
    """Where `asr tune` keeps what it found for a run with language models; key as of `tuning_key`."""
    return run / "tuning" / key


def tuning_key(lm: LanguageModel | None, recurrent: TrainedLanguageModel | None) -> str | None:
    """Names the language models of a search; None where there is none."""
    return "+".join(model.key for model in (lm, recurrent) if model is not None) or None


def read_tuned(run: Path, key: str) -> Weights | None:
    """The weights that `asr tune` found for a run and a language model; None where it was not run.

    Raises:
        RunError: The file is damaged.
    """
    path = tuning_folder(run, key) / "weights.json"
    try:
        read = read_json(path)
        return Weights(
            int(read["beam"]),
            float(read["lm_weight"]),
            float(read["word_score"]),
            float(read.get("recurrent_weight", UNTUNED.recurrent_weight)),
            float(read.get("recurrent_word_score", UNTUNED.recurrent_word_score)),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise RunError(f"{path} holds no weights ({error}): run {asr_command('tune', run)} again.") from None


def resolve(config: DecoderConfig, tuned: Weights | None) -> Weights:
    """The weights of a configuration, with the tuned ones where it sets none."""
    given = {field.name: getattr(config, field.name) for field in fields(Weights)}
    return replace(tuned or UNTUNED, **{name: value for name, value in given.items() if value is not None})


def language_model_scores(trained: TrainedLanguageModel, texts: Sequence[str]) -> dict[str, float]:
    """The log-probability (natural) of each text as a sentence.

    Raises:
        DataError: The tokenizer of the language model cannot write one.
    """
    different = list(dict.fromkeys(texts))
    scores = score_text(trained.model, trained.tokenizer, trained.config.lm.units, different)
    return {score.text: score.log10_prob * math.log(10) for score in scores}


@dataclass(frozen=True)
class Rescorer:
    """Adds the weighted log-probability of a recurrent language model, and a score for each word."""

    trained: TrainedLanguageModel
    weight: float
    word_score: float

    def __call__(self, found: Sequence[Sequence[Hypothesis]]) -> list[list[Hypothesis]]:
        """The hypotheses of each utterance, rescored, the best first."""
        scores = language_model_scores(self.trained, [item.text for items in found for item in items])

        def rescore(item: Hypothesis) -> Hypothesis:
            return replace(item, score=rescored(item, scores[item.text], self.weight, self.word_score))

        return [sorted(map(rescore, items), key=lambda item: -item.score) for items in found]


def rescored(item: Hypothesis, log_prob: float, weight: float, word_score: float) -> float:
    """The score of a hypothesis with a language model's log-probability (natural) of its text."""
    return item.score + weight * log_prob + word_score * len(item.text.split())
