"""The names of language models."""

from pathlib import Path

from asr.lm.config import LmConfig


def lm_name(lm: LmConfig) -> str:
    """Names a language model in results and folders: ngram3-words, lstm-tokens, or by its file."""
    if lm.kind.recurrent:
        return f"{lm.kind.name}-{lm.units.name}"
    return f"{lm.kind.name}{lm.order if lm.path is None else f'-{Path(lm.path).stem}'}-{lm.units.name}"
