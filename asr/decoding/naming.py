"""The names of decoders, by which a run keeps its evaluations."""

from asr.config import Config
from asr.decoding.config import DecoderKind
from asr.lm.config import LmKind
from asr.lm.naming import lm_name


def decoder_name(config: Config) -> str:
    """Names what a configuration decodes with: greedy, beam-words, beam-ngram3-words, greedy-combined2."""
    name = config.decoder.kind.name
    if config.decoder.kind is DecoderKind.beam:
        name += f"-{config.lm.units.name if config.lm.kind is LmKind.none else lm_name(config.lm)}"
    return f"{name}-combined{1 + len(config.evaluation.models)}" if config.evaluation.models else name
