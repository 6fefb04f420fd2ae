"""The weights of a beam search: those of the configuration, else those that `asr tune` found for the run."""

import json
from dataclasses import dataclass
from pathlib import Path

from asr.common.errors import RunError
from asr.lm.ngram import LanguageModel
from asr.lm.trained import TrainedLanguageModel
from asr.settings.decoder import DecoderConfig

BEAM = 50
LM_WEIGHT = 0.5
WORD_SCORE = 0.0
RECURRENT_WEIGHT = 0.5


@dataclass(frozen=True)
class Weights:
    """What `asr tune` looks for; see `asr.settings.decoder.DecoderConfig`."""

    beam: int
    lm_weight: float
    word_score: float
    recurrent_weight: float = RECURRENT_WEIGHT
    recurrent_word_score: float = 0.0


UNTUNED = Weights(BEAM, LM_WEIGHT, WORD_SCORE)
"""Where nothing was tuned."""


def tuning_folder(run: Path, key: str) -> Path:
    """Where `asr tune` keeps what it found for a run.

    Args:
        key: Of the language models, as of `tuning_key`.
    """
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
        read = json.loads(path.read_text(encoding="utf-8"))
        return Weights(
            int(read["beam"]),
            float(read["lm_weight"]),
            float(read["word_score"]),
            float(read.get("recurrent_weight", RECURRENT_WEIGHT)),
            float(read.get("recurrent_word_score", 0.0)),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} holds no weights ({error}): run `asr tune` again.") from None


def resolve(config: DecoderConfig, tuned: Weights | None) -> Weights:
    """The weights of a configuration, with the tuned ones where it sets none."""
    found = tuned or UNTUNED
    weight, word_score = config.recurrent_weight, config.recurrent_word_score
    return Weights(
        recurrent_weight=found.recurrent_weight if weight is None else weight,
        recurrent_word_score=found.recurrent_word_score if word_score is None else word_score,
        beam=found.beam if config.beam is None else config.beam,
        lm_weight=found.lm_weight if config.lm_weight is None else config.lm_weight,
        word_score=found.word_score if config.word_score is None else config.word_score,
    )
