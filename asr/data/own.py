"""Preparing a corpus of the user's own: what a recipe without any code has as its `prepare`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asr.config import Config
from asr.data.corpus import write_splits
from asr.data.sources.reading import read_source
from asr.data.splitting import complete_splits
from asr.data.utterance import Utterance
from asr.errors import DataError
from asr.text.config import TextConfig
from asr.text.normalization import normalize

RECORD = "source.json"
"""Says of which source the manifests beside it were made."""


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads `data.source` in whatever format it has, completes its splits and writes the manifests.

    Raises:
        ConfigError: There is no such source, or its format is not known.
        DataError: It is incomplete or damaged.
    """
    finish(config, complete_splits(read_source(config.data, output / "audio"), config.data.held_out), output)


def finish(config: Config, splits: Mapping[str, Sequence[Utterance]], output: Path) -> None:
    """Normalizes transcripts and converts audio, as far as the configuration asks for it, and writes the manifests.

    Raises:
        ConfigError: A library or a language for numbers in words is missing.
        DataError: A transcript or an audio file cannot be read so, or a split is empty.
    """
    if config.text.normalize:
        splits = {split: normalized(utterances, config.text) for split, utterances in splits.items()}
    if config.data.convert:
        from asr.data.conversion import convert  # imports torch, which takes seconds

        splits = convert(splits, output / "converted", config.data.sampling_rate)
    output.mkdir(parents=True, exist_ok=True)
    if config.data.source is not None:
        record = json.dumps({"source": _absolute(config.data.source)})
        (output / RECORD).write_text(f"{record}\n", encoding="utf-8")
    write_splits(output, splits)


def normalized(utterances: Sequence[Utterance], config: TextConfig) -> list[Utterance]:
    """Utterances with their transcripts normalized.

    Raises:
        DataError: A number cannot be written in words; names the utterance.
    """

    def text_of(utterance: Utterance) -> str:
        try:
            return normalize(utterance.text, config)
        except DataError as error:
            raise DataError(f"Utterance {utterance.id} ({utterance.audio_filepath}): {error}") from None

    return [replace(utterance, text=text_of(utterance)) for utterance in utterances]


def check_record(config: Config, output: Path) -> None:
    """Refuses manifests that were made of another source than the configuration names.

    Raises:
        DataError: They were.
    """
    record = output / RECORD
    if config.data.source is None or not record.is_file():
        return
    made_of = json.loads(record.read_text(encoding="utf-8"))["source"]
    if made_of != _absolute(config.data.source):
        raise DataError(
            f"{output} was prepared from {made_of}, not from data.source={config.data.source}: delete that folder, set "
            "paths.data to another, or make a recipe for each corpus with `asr new NAME PATH`."
        )


def _absolute(source: str) -> str:
    return str(Path(source).expanduser().absolute())
