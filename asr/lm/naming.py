"""The names of language models."""

from pathlib import Path

from asr.lm.config import LmConfig, LmKind, LmUnits


def lm_name(lm: LmConfig) -> str:
    """Names a language model in results and folders: ngram3-words, lstm-tokens, or by its file."""
    if lm.kind.recurrent:
        return f"{lm.kind.name}-{lm.units.name}"
    if lm.path is not None:
        return given_name(Path(lm.path), lm.units)
    return f"{lm.kind.name}{lm.order}-{lm.units.name}"


def given_name(path: Path, units: LmUnits) -> str:
    """Names n-grams that were made elsewhere, by their file: ngram-big-words."""
    return f"{LmKind.ngram.name}-{path.stem}-{units.name}"
