"""A recipe folder for a corpus of the user's own, made from what is read of the corpus once."""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr.common.errors import ConfigError
from asr.data.formats.reading import find_format, read_source
from asr.data.utterance import OneChannel, Utterance
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe

PREPARE = '''"""The corpus at data.source, in any known format."""

from asr.data.own import prepare

__all__ = ["prepare"]
'''

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
    source = source.expanduser().absolute()
    config = compose(find_recipe("own"), ["name=new"]).data
    config.source, config.columns, config.format = str(source), dict(columns), find_format(source)
    with tempfile.TemporaryDirectory() as audio:
        read = read_source(config, Path(audio))
    utterances = [utterance for part in read.values() for utterance in part]
    if not utterances:
        raise ConfigError(f"There is no utterance in {source}.")
    folder.mkdir(parents=True)
    settings = _settings(utterances, source, config.format.value, columns)
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
        folder=folder,
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return settings


def _settings(utterances: Sequence[Utterance], source: Path, kind: str, columns: Mapping[str, str]) -> str:
    """The recipe.yaml, with what was found in the corpus as comments."""
    rates = Counter(utterance.sampling_rate for utterance in utterances)
    rate, _ = rates.most_common(1)[0]
    # Sampling above 16 kHz adds nothing for recognition: the audio is converted, and the recipe says so.
    single = sum(isinstance(utterance, OneChannel) for utterance in utterances)
    converts = len(rates) > 1 or rate not in (8000, 16000) or single > 0
    rate = (8000 if max(rates) < 16000 else 16000) if converts else rate
    hours = sum(utterance.duration for utterance in utterances) / 3600
    characters = "".join(sorted({" "}.union(*(utterance.text for utterance in utterances))))
    lines = [
        f"# {len(utterances)} utterances, {hours:.2f} h, from {source}",
        "defaults:",
        "  - /config",
        *(["  - override /data: 8khz"] if rate == 8000 else []),
        # There is enough text to learn subwords from.
        *(["  - override /tokenizer: bpe"] if hours >= 20 else []),
        "  - _self_",
        "",
        "data:",
        f"  source: {json.dumps(str(source), ensure_ascii=False)}",
        f"  format: {kind}",
        *([f"  columns: {json.dumps(dict(columns), ensure_ascii=False)}"] if columns else []),
    ]
    if converts:
        found = ", ".join(f"{count} files of {value} Hz" for value, count in rates.most_common())
        channels = f"; {single} are one channel of a file with several" if single else ""
        lines.append(f"  convert: true  # {found}{channels}")
    lines += [
        "",
        "tokenizer:",
        "  # Every character of the transcripts: remove what is not spoken, and `asr check` names its utterances.",
        f"  alphabet: {json.dumps(characters, ensure_ascii=False)}",
        "",
        "training:",
        f"  epochs: {_epochs(hours)}",
        "",
    ]
    return "\n".join(lines)


def _epochs(hours: float) -> int:
    """More passes over less audio, as in the shipped recipes: about 85 over AN4's 0.7 hours."""
    return 85 if hours < 2 else 60 if hours < 20 else 40 if hours < 200 else 20
