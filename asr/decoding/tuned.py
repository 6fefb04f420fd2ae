"""The weights of a beam search: what the configuration says, else what `asr tune` found for the run."""

import json
from dataclasses import dataclass
from pathlib import Path

from asr.decoding.config import DecoderConfig
from asr.errors import RunError

BEAM = 50
LM_WEIGHT = 0.5
WORD_SCORE = 0.0


@dataclass(frozen=True)
class Weights:
    """What `asr tune` looks for; see `asr.decoding.config.DecoderConfig`."""

    beam: int
    lm_weight: float
    word_score: float


UNTUNED = Weights(BEAM, LM_WEIGHT, WORD_SCORE)
"""Where nothing was tuned."""


def tuning_folder(run: Path, key: str) -> Path:
    """Where `asr tune` keeps what it found for a run.

    Args:
        key: Of the language model, as of `asr.lm.folder.LanguageModel`.
    """
    return run / "tuning" / key


def read_tuned(run: Path, key: str) -> Weights | None:
    """The weights that `asr tune` found for a run and a language model; None where it did not look.

    Raises:
        RunError: The file is damaged.
    """
    path = tuning_folder(run, key) / "weights.json"
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return Weights(int(read["beam"]), float(read["lm_weight"]), float(read["word_score"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} holds no weights ({error}): run `asr tune` again.") from None


def resolve(config: DecoderConfig, tuned: Weights | None) -> Weights:
    """The weights of a configuration, with the tuned ones where it leaves them open."""
    found = tuned or UNTUNED
    return Weights(
        beam=found.beam if config.beam is None else config.beam,
        lm_weight=found.lm_weight if config.lm_weight is None else config.lm_weight,
        word_score=found.word_score if config.word_score is None else config.word_score,
    )
