"""A corpus of the user's own: the `prepare` of recipes without code, and the recipe folder that `asr new` writes."""

import json
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import soundfile

from asr.common.documents import read_json
from asr.common.errors import ConfigError, DataError, shell_argument
from asr.common.files import expanded
from asr.data.formats.reading import find_format, read_source
from asr.data.manifest import require_all
from asr.data.splits import complete_splits, require_splits, write_splits
from asr.data.utterance import OneChannel, Utterance
from asr.settings.bounds import fault_of_text
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, find_recipe
from asr.settings.root import Config
from asr.settings.text import Case, TextConfig
from asr.text.normalization import MARKERS, doubtful_letters, normalize
from asr.text.word_classes import write_names

log = logging.getLogger(__name__)

RECORD = "source.json"
"""Says from which source and with which settings the manifests beside it were made."""
CAPITALIZING = ("de", "lb")
"""Languages whose nouns have capitals, which do not tell names."""
OF_SOURCE = ("data.source", "data.format", "data.columns", "data.held_out")
"""Keys that are not compared where a command gives no `data.source`."""


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads `data.source` in any known format, completes its splits and writes the manifests.

    Raises:
        ConfigError: There is no such source, or its format is unknown.
        DataError: It is incomplete or damaged.
    """
    read = read_source(config.data, output / "audio")
    splits = complete_splits(read, config.data.held_out)
    require_all(sum(map(len, read.values())), sum(map(len, splits.values())), "utterances in the splits")
    finish(config, splits, output)


def finish(
    config: Config, splits: Mapping[str, Sequence[Utterance]], output: Path, language: str | None = None
) -> None:
    """Normalizes transcripts and converts audio where the configuration asks for it, and writes the manifests.

    The language of the transcripts counts where `text.language` is null.

    Raises:
        ConfigError: A library or a language for numbers in words is missing.
        DataError: A transcript or an audio file cannot be used, a split is empty, or the source names one channel of a
            file and nothing is converted.
    """
    require_splits(output, splits)
    written = [utterance.text for utterance in splits["train"]] if config.text.case is not Case.keep else []
    if config.text.normalize:
        text = replace(config.text, language=config.text.language or language)
        splits = normalized(splits, text)
    if config.data.convert:
        from asr.data.conversion import convert

        splits = convert(splits, output / "converted", config.data.sampling_rate)
    else:
        _refuse_channels(splits)
    output.mkdir(parents=True, exist_ok=True)
    if config.text.normalize and config.text.language not in CAPITALIZING:
        write_names(output, written)
    settings = _settings(config)
    record = json.dumps({"source": settings.pop("data.source"), "settings": settings}, ensure_ascii=False)
    (output / RECORD).write_text(f"{record}\n", encoding="utf-8")
    write_splits(output, splits)


def normalized(splits: Mapping[str, Sequence[Utterance]], config: TextConfig) -> dict[str, Sequence[Utterance]]:
    """Splits with their transcripts normalized. Warns of letters that need `text.language`, and of numbers that stay.

    Raises:
        DataError: A number cannot be written in words; names the utterance.
    """
    doubtful: dict[str, list[Utterance]] = {}
    digits: dict[str, list[Utterance]] = {}

    def text_of(utterance: Utterance) -> str:
        try:
            text = normalize(utterance.text, config)
        except DataError as error:
            raise DataError(f"{utterance.place}: {error}") from None
        for letter in doubtful_letters(utterance.text, config):
            doubtful.setdefault(letter, []).append(utterance)
        if config.numbers:
            for word in text.split():
                if any(character.isdecimal() for character in word):
                    digits.setdefault(word, []).append(utterance)
        return text

    changed: dict[str, Sequence[Utterance]] = {
        split: [replace(utterance, text=text_of(utterance)) for utterance in utterances]
        for split, utterances in splits.items()
    }
    for letter, found in doubtful.items():
        log.warning(
            "%d transcripts, first that of %s, have %s (U+%04X), whose case depends on the language: set text.language "
            "to that of the corpus, which is %s if the letter is one of its own.",
            len(found), found[0].place, letter, ord(letter), MARKERS[letter],
        )  # fmt: skip
    if digits:
        log.warning(
            "%d numbers can be read in several ways and stay in digits, as %s: `asr check RECIPE` names their "
            "transcripts; write them as they are said.",
            sum(map(len, digits.values())), ", ".join([*digits][:10]),
        )  # fmt: skip
    return changed


def check_record(config: Config, output: Path) -> None:
    """Refuses manifests that were made from another source or with other settings.

    Manifests without a record of their settings are accepted.

    Raises:
        DataError: They were.
    """
    record = output / RECORD
    if not record.is_file():
        return
    try:
        written = read_json(record)
        there = {"data.source": written["source"]} | written.get("settings", {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{record} is damaged ({error}): delete its folder to prepare it again.") from None
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
        "data.source": None if data.source is None else str(expanded(data.source).absolute()),
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
                    f"{utterance.place}: it is channel {utterance.channel + 1} of a file with several, which manifests "
                    "cannot express: set data.convert=true, which extracts it."
                )


WRITTEN_SHARE = 0.1
"""Share of the transcripts with punctuation or capitals from which on they are written for readers."""

UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON has unescaped and YAML does not, or takes for the end of a line."""

PREPARE = '''"""The corpus at data.source, in any known format."""

from asr.data.own import prepare

__all__ = ["prepare"]
'''

LOOKED_AT = 200
"""Files whose number of channels `asr new` looks at."""

README = """# {name}

Made by `asr new` from `{source}`: {utterances} utterances, {minutes:.0f} minutes, {speakers} speakers, {rates}.

```console
$ asr prepare {folder}     # manifests; dev and test are held out where the corpus has none
$ asr check {folder}       # what is wrong with the recordings and transcripts
$ asr run {folder}         # everything, to the word error rate
```
"""


def write_recipe(folder: Path, source: Path, columns: Mapping[str, str]) -> str:
    """Reads a corpus and writes a recipe that fits it.

    Args:
        folder: Of the recipe, which is made.
        source: A folder or a file in a known format.
        columns: As `data.columns`.

    Returns:
        The recipe.yaml.

    Raises:
        ConfigError: The folder exists, or the corpus is not in a known format.
        DataError: The corpus is incomplete or damaged.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists already: give another name, or delete it.")
    source = expanded(source).absolute()
    for text in (str(folder), str(source), *columns.values()):
        if fault := fault_of_text(text):
            raise ConfigError(f"A recipe cannot name {text!r}, which {fault}: rename it.")
    if (RECIPES / folder.name).is_dir():
        raise ConfigError(
            f"{folder.name} is a shipped recipe, and recipes of one name share their data and runs: give another name."
        )
    if not folder.name.isprintable():
        raise ConfigError(f"{folder.name!r} has a character that cannot be printed: give another name.")
    config = compose(find_recipe("own"), ["name=new"]).data
    config.source, config.columns, config.format = str(source), dict(columns), find_format(source)
    with tempfile.TemporaryDirectory() as audio:
        read = read_source(config, Path(audio))
        utterances = [utterance for part in read.values() for utterance in part]
        several = _files_with_several_channels(utterances)
    folder.mkdir(parents=True)
    settings = _recipe_yaml(utterances, several, source, config.format.value, columns)
    (folder / "recipe.yaml").write_text(settings, encoding="utf-8")
    (folder / "prepare.py").write_text(PREPARE, encoding="utf-8")
    rates = Counter(utterance.sampling_rate for utterance in utterances)
    readme = README.format(
        name=folder.name,
        source=source,
        utterances=len(utterances),
        minutes=sum(utterance.duration for utterance in utterances) / 60,
        speakers=len({utterance.speaker for utterance in utterances if utterance.speaker}) or "unknown",
        rates=", ".join(f"{rate} Hz" for rate, _ in rates.most_common()),
        folder=shell_argument(folder),
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return settings


def _files_with_several_channels(utterances: Sequence[Utterance]) -> str:
    """How many of some files have several channels, of which the source names none; empty where none has."""
    some = utterances[:: -(-len(utterances) // LOOKED_AT)]
    paths = {one.audio_filepath for one in some if not isinstance(one, OneChannel)}
    several = sum(soundfile.info(path).channels > 1 for path in paths)
    return f"{several} of {len(paths)} files that were looked at have several channels" if several else ""


def _recipe_yaml(
    utterances: Sequence[Utterance], several: str, source: Path, kind: str, columns: Mapping[str, str]
) -> str:
    """The recipe.yaml, with what was found in the corpus as comments."""
    rates = Counter(utterance.sampling_rate for utterance in utterances)
    rate, _ = rates.most_common(1)[0]
    # Sampling above 16 kHz adds nothing for recognition: the audio is converted, and the recipe says so.
    single = sum(isinstance(utterance, OneChannel) for utterance in utterances)
    converts = len(rates) > 1 or rate not in (8000, 16000) or single > 0 or several != ""
    rate = (8000 if max(rates) < 16000 else 16000) if converts else rate
    hours = sum(utterance.duration for utterance in utterances) / 3600
    texts, text_lines = _as_spoken([utterance.text for utterance in utterances])
    characters = "".join(sorted({" "}.union(*texts))).replace("${", "{$")
    lines = [
        f"# {len(utterances)} utterances, {hours:.2f} h, from {_quoted(str(source))}",
        "defaults:",
        "  - /config",
        *(["  - override /data: 8khz"] if rate == 8000 else []),
        # There is enough text to learn subwords from.
        *(["  - override /tokenizer: bpe"] if hours >= 20 else []),
        "  - _self_",
        "",
        "data:",
        f"  source: {_quoted(str(source))}",
        f"  format: {kind}",
        *([f"  columns: {_quoted(dict(columns))}"] if columns else []),
    ]
    if converts:
        found = ", ".join(f"{count} files of {value} Hz" for value, count in rates.most_common())
        channels = f"; {single} are one channel of a file with several" if single else ""
        channels += several and f"; {several}"
        lines.append(f"  convert: true  # {found}{channels}")
    lines += [
        "",
        *text_lines,
        "tokenizer:",
        "  # Every character of the transcripts: remove what is not spoken, and asr check names its utterances.",
        f"  alphabet: {_quoted(characters)}",
        "",
        "training:",
        f"  epochs: {_epochs(hours)}",
        "",
    ]
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    """A text or mapping as JSON on one line, with escapes for the characters that YAML does not take as they are."""
    written = json.dumps(value, ensure_ascii=False)
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", written)


def _as_spoken(texts: Sequence[str]) -> tuple[Sequence[str], list[str]]:
    """Transcripts as they are trained on, and the lines of recipe.yaml that make them so.

    Those written for readers, with punctuation and capitals, are normalized: a recording has neither.
    """
    rules = TextConfig(normalize=True, language=None, case=Case.keep, numbers=False)
    punctuated = sum(normalize(text, rules) != text for text in texts)
    capitals = sum(text not in (text.lower(), text.upper()) for text in texts)
    if max(punctuated, capitals) < WRITTEN_SHARE * len(texts):
        return texts, []
    rules.case = Case.lower if capitals else Case.keep
    lines = ["text:", f"  normalize: true  # {punctuated} of {len(texts)} transcripts have punctuation"]
    if capitals:
        lines.append(f"  case: lower  # {capitals} have capitals")
    return [normalize(text, rules) for text in texts], [*lines, ""]


def _epochs(hours: float) -> int:
    """More passes over less audio, as in the shipped recipes: about 85 over AN4's 0.7 hours."""
    return 85 if hours < 2 else 60 if hours < 20 else 40 if hours < 200 else 20
