"""The names of language models."""

from pathlib import Path

from asr.lm.config import LmConfig


def lm_name(lm: LmConfig) -> str:
    """Names a language model in results: ngram3-words, or by its file."""
    return f"{lm.kind.name}{lm.order if lm.path is None else f'-{Path(lm.path).stem}'}-{lm.units.name}"
