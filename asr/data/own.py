"""Preparing a corpus of the user's own: the `prepare` of recipes without code."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr.common.errors import DataError
from asr.data.formats.reading import read_source
from asr.data.splits import complete_splits, require_splits, write_splits
from asr.data.utterance import OneChannel, Utterance
from asr.settings.root import Config
from asr.settings.text import TextConfig
from asr.text.normalization import normalize

RECORD = "source.json"
"""Says from which source and with which settings the manifests beside it were made."""
OF_SOURCE = ("data.source", "data.format", "data.columns", "data.held_out")
"""Keys that are not compared where a command gives no `data.source`."""


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads `data.source` in any known format, completes its splits and writes the manifests.

    Raises:
        ConfigError: There is no such source, or its format is unknown.
        DataError: It is incomplete or damaged.
    """
    finish(config, complete_splits(read_source(config.data, output / "audio"), config.data.held_out), output)


def finish(
    config: Config, splits: Mapping[str, Sequence[Utterance]], output: Path, language: str | None = None
) -> None:
    """Normalizes transcripts and converts audio where the configuration asks for it, and writes the manifests.

    Args:
        language: Of the transcripts, where `text.language` is null.

    Raises:
        ConfigError: A library or a language for numbers in words is missing.
        DataError: A transcript or an audio file cannot be used, a split is empty, or the source names one channel of a
            file and nothing is converted.
    """
    require_splits(output, splits)
    if config.text.normalize:
        text = replace(config.text, language=config.text.language or language)
        splits = {split: normalized(utterances, text) for split, utterances in splits.items()}
    if config.data.convert:
        from asr.data.conversion import convert

        splits = convert(splits, output / "converted", config.data.sampling_rate)
    else:
        _refuse_channels(splits)
    output.mkdir(parents=True, exist_ok=True)
    settings = _settings(config)
    record = json.dumps({"source": settings.pop("data.source"), "settings": settings}, ensure_ascii=False)
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
    """Refuses manifests that were made from another source or with other settings.

    Manifests without a record of their settings are accepted.

    Raises:
        DataError: They were.
    """
    record = output / RECORD
    if not record.is_file():
        return
    written = json.loads(record.read_text(encoding="utf-8"))
    there = {"data.source": written["source"]} | written.get("settings", {})
    here = _settings(config)
    if here["data.source"] is None:
        here = {key: value for key, value in here.items() if key not in OF_SOURCE}
    differs = [key for key in here if key in there and here[key] != there[key]]
    if differs:
        made = ", ".join(_shown(key, there[key]) for key in differs)
        asked = ", ".join(_shown(key, here[key]) for key in differs)
        raise DataError(
            f"{output} was prepared with {made}, not with {asked}: delete that folder to prepare it again, set "
            "paths.data to another, or make a recipe for each corpus with `asr new NAME PATH`."
        )


def _settings(config: Config) -> dict[str, Any]:
    """The settings that determine what is written, without those that have no effect."""
    data, text = config.data, config.text
    settings: dict[str, Any] = {
        "data.source": None if data.source is None else str(Path(data.source).expanduser().absolute()),
        "data.format": data.format.value,
        "data.columns": dict(data.columns),
        "data.held_out": data.held_out,
        "data.convert": data.convert,
        "text.normalize": text.normalize,
    }
    if data.convert:
        settings["data.sampling_rate"] = data.sampling_rate
    if text.normalize:
        settings |= {"text.language": text.language, "text.case": text.case.value, "text.numbers": text.numbers}
    return settings


def _shown(key: str, value: Any) -> str:
    """A setting as on the command line."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _refuse_channels(splits: Mapping[str, Sequence[Utterance]]) -> None:
    for utterances in splits.values():
        for utterance in utterances:
            if isinstance(utterance, OneChannel):
                raise DataError(
                    f"Utterance {utterance.id} ({utterance.audio_filepath}): it is channel {utterance.channel + 1} of "
                    "a file with several, which manifests cannot express: set data.convert=true, which extracts it."
                )
