"""`asr new`: a recipe folder for a corpus of the user's own."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser
from asr.common.errors import ConfigError

if TYPE_CHECKING:
    from asr.data.utterance import Utterance

PREPARE = '''"""The corpus at data.source, in any format that it may have."""

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


def main(arguments: Sequence[str]) -> None:
    """Reads a corpus once and writes a recipe that fits it.

    Raises:
        ConfigError: The folder exists, or the corpus is not in a format that is known.
        DataError: The corpus is incomplete or damaged.
    """
    parser = FlagParser(prog="asr new", description="Writes a recipe folder for a corpus of your own.")
    parser.add_argument("folder", metavar="NAME", type=Path, help="the folder of the recipe, which is made")
    parser.add_argument("source", metavar="PATH", type=Path, help="the corpus: a folder or a file in a known format")
    parser.add_argument(
        "--columns", default="", metavar="ROLE=NAME,...", help="columns of a table, as audio=path,text=sentence"
    )
    options = parser.parse_args(arguments)
    columns = _columns(options.columns)
    if options.folder.exists():
        raise ConfigError(f"{options.folder} exists already: give another name, or delete it.")

    import tempfile

    from asr.data.formats.reading import find_format, read_source
    from asr.settings.compose import compose
    from asr.settings.recipe import find_recipe

    source = options.source.expanduser().absolute()
    config = compose(find_recipe("own"), ["name=new"]).data
    config.source, config.columns, config.format = str(source), columns, find_format(source)
    with tempfile.TemporaryDirectory() as audio:
        read = read_source(config, Path(audio))
    utterances = [utterance for part in read.values() for utterance in part]
    if not utterances:
        raise ConfigError(f"There is no utterance in {source}.")
    options.folder.mkdir(parents=True)
    settings = _settings(utterances, source, config.format.value, columns)
    (options.folder / "recipe.yaml").write_text(settings, encoding="utf-8")
    (options.folder / "prepare.py").write_text(PREPARE, encoding="utf-8")
    rates = Counter(utterance.sampling_rate for utterance in utterances)
    readme = README.format(
        name=options.folder.name,
        source=source,
        utterances=len(utterances),
        minutes=sum(utterance.duration for utterance in utterances) / 60,
        speakers=len({utterance.speaker for utterance in utterances if utterance.speaker}) or "unknown",
        rates=", ".join(f"{rate} Hz" for rate, _ in rates.most_common()),
        folder=options.folder,
    )
    (options.folder / "README.md").write_text(readme, encoding="utf-8")
    print(settings + f"\nWritten to {options.folder / 'recipe.yaml'}. Next: asr run {options.folder}")


def _columns(written: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in written.split(",") if part]
    if any(not separator or not name for _, separator, name in pairs):
        raise ConfigError(f"--columns is {written!r}: write ROLE=NAME pairs, as audio=path,text=sentence.")
    return {role: name for role, _, name in pairs}


def _settings(utterances: "Sequence[Utterance]", source: Path, kind: str, columns: dict[str, str]) -> str:
    """The recipe.yaml, with what was seen of the corpus as comments."""
    import json

    from asr.data.utterance import OneChannel

    rates = Counter(utterance.sampling_rate for utterance in utterances)
    rate, _ = rates.most_common(1)[0]
    # Speech above 16 kHz tells nothing more: it is converted, which is said here and not done in silence.
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
        # Enough text to learn pieces from, and words long enough to need them.
        *(["  - override /tokenizer: bpe"] if hours >= 20 else []),
        "  - _self_",
        "",
        "data:",
        f"  source: {json.dumps(str(source), ensure_ascii=False)}",
        f"  format: {kind}",
        *([f"  columns: {json.dumps(columns, ensure_ascii=False)}"] if columns else []),
    ]
    if converts:
        found = ", ".join(f"{count} files of {value} Hz" for value, count in rates.most_common())
        channels = f"; {single} are one channel of a file with several" if single else ""
        lines.append(f"  convert: true  # {found}{channels}")
    lines += [
        "",
        "tokenizer:",
        "  # Every character of the transcripts: take out what nobody says, and `asr check` names who writes it.",
        f"  alphabet: {json.dumps(characters, ensure_ascii=False)}",
        "",
        "training:",
        f"  epochs: {_epochs(hours)}",
        "",
    ]
    return "\n".join(lines)


def _epochs(hours: float) -> int:
    """More passes over less audio, as the shipped recipes have: some 85 over AN4's 0.7 hours."""
    return 85 if hours < 2 else 60 if hours < 20 else 40 if hours < 200 else 20
