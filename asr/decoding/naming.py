"""The names of decoders, under which a run keeps its evaluations."""

import hashlib
import json
from pathlib import Path

from asr.lm.ngram import lm_name
from asr.settings.decoder import DecoderKind, RecurrentUse
from asr.settings.evaluation import Combine
from asr.settings.lm import LmConfig, LmKind
from asr.settings.root import Config

GREEDY = DecoderKind.greedy.name
"""The decoder of every run, by which runs are compared unless another one is asked for."""


def decoder_name(config: Config) -> str:
    """Names the decoder of a configuration: greedy, beam-words, beam-ngram3-words; with a recurrent language model
    beam-ngram3-words+lstm-tokens-0123abcd.

    A hash follows an n-gram model that is pruned or estimated from other text than the training transcripts, as in
    beam-ngram3-words-0123abcd. A hash also identifies the models of an ensemble, as in greedy-combined2-0123abcd, or
    in beam-ngram3-words-pooled2-0123abcd where their hypotheses are combined.
    """
    name = config.decoder.kind.name
    if config.decoder.kind is DecoderKind.beam:
        name += f"-{config.lm.units.name if config.lm.kind is LmKind.none else _ngram_name(config.lm)}"
    if config.decoder.recurrent is not None:
        name += f"+{_run_name(config.decoder.recurrent)}"
        name += "-fused" if config.decoder.recurrent_use is RecurrentUse.fuse else ""
    name += "-hot" if config.decoder.hot_words else ""
    if models := config.evaluation.models:
        kind = "combined" if config.evaluation.combine is Combine.frames else "pooled"
        # The mean does not depend on the order.
        name += f"-{kind}{1 + len(models)}-{_hash(sorted(map(_run_name, models)))}"
    return name


def _ngram_name(lm: LmConfig) -> str:
    plain = lm.transcripts and not lm.texts and not any(lm.prune)
    if plain or lm.path is not None:
        return lm_name(lm)
    return f"{lm_name(lm)}-{_hash([lm.transcripts, lm.texts, lm.prune])}"


def _run_name(model: str) -> str:
    """The name of the run's folder, for a run or its model."""
    path = Path(model).absolute()
    return path.parent.name if path.name == "model" else path.name


def _hash(settings: object) -> str:
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]
