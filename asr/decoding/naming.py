"""The names of decoders, by which a run keeps its evaluations."""

from pathlib import Path

from asr.config import Config
from asr.decoding.config import DecoderKind, RecurrentUse
from asr.lm.config import LmKind
from asr.lm.naming import lm_name


def decoder_name(config: Config) -> str:
    """Names what a configuration decodes with: greedy, beam-words, beam-ngram3-words, greedy-combined2; with a
    recurrent language model beam-ngram3-words+lstm-tokens-0123abcd."""
    name = config.decoder.kind.name
    if config.decoder.kind is DecoderKind.beam:
        name += f"-{config.lm.units.name if config.lm.kind is LmKind.none else lm_name(config.lm)}"
    if config.decoder.recurrent is not None:
        name += f"+{_recurrent_name(Path(config.decoder.recurrent))}"
        name += "-fused" if config.decoder.recurrent_use is RecurrentUse.fuse else ""
    name += "-hot" if config.decoder.hot_words else ""
    return f"{name}-combined{1 + len(config.evaluation.models)}" if config.evaluation.models else name


def _recurrent_name(path: Path) -> str:
    """Of a recurrent language model by the folder of its run."""
    return path.absolute().parent.name if path.name == "model" else path.absolute().name
