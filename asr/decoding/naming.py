"""The names of decoders, by which a run keeps its evaluations."""

import hashlib
import json
from pathlib import Path

from asr.lm.ngram import lm_name
from asr.settings.decoder import DecoderKind, RecurrentUse
from asr.settings.evaluation import Combine
from asr.settings.lm import LmConfig, LmKind
from asr.settings.root import Config

GREEDY = DecoderKind.greedy.name
"""Every run is decoded so, and runs are compared by it unless something else is asked for."""


def decoder_name(config: Config) -> str:
    """Names what a configuration decodes with: greedy, beam-words, beam-ngram3-words; with a recurrent language model
    beam-ngram3-words+lstm-tokens-0123abcd.

    A hash stands behind an n-gram model that is pruned or of other text than the training transcripts, as in
    beam-ngram3-words-0123abcd, and tells which models are combined, as in greedy-combined2-0123abcd
    and, where hypotheses are, beam-ngram3-words-pooled2-0123abcd.
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
        # The mean knows no order.
        name += f"-{kind}{1 + len(models)}-{_hash(sorted(map(_run_name, models)))}"
    return name


def _ngram_name(lm: LmConfig) -> str:
    plain = lm.transcripts and not lm.texts and not any(lm.prune)
    if plain or lm.path is not None:
        return lm_name(lm)
    return f"{lm_name(lm)}-{_hash([lm.transcripts, lm.texts, lm.prune])}"


def _run_name(model: str) -> str:
    """Of a run or of its model by the folder of the run."""
    path = Path(model).absolute()
    return path.parent.name if path.name == "model" else path.name


def _hash(settings: object) -> str:
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]
