"""Reading a source: detects its format and reads it into splits."""

import json
import logging
import shlex
from collections import Counter
from itertools import islice
from pathlib import Path

from asr.common.errors import ConfigError, DataError
from asr.common.files import expanded
from asr.data.audio_paths import files_below, foreign
from asr.data.formats import audio_folder, huggingface, kaldi, lhotse, nemo, table
from asr.data.formats.rows import utterances_of
from asr.data.manifest import require_all
from asr.data.utterance import Utterance
from asr.settings.data import DataConfig, SourceFormat

log = logging.getLogger(__name__)

FORMATS = {
    SourceFormat.huggingface: huggingface.matches,
    SourceFormat.kaldi: kaldi.matches,
    SourceFormat.lhotse: lhotse.matches,
    SourceFormat.nemo: nemo.matches,
    SourceFormat.table: table.matches,
    SourceFormat.folder: audio_folder.matches,
}
"""The most specific first: a folder of any format may contain audio files too."""

ROLES = {SourceFormat.huggingface: huggingface.ROLES, SourceFormat.table: tuple(table.COLUMNS)}
"""The roles that `data.columns` may name; other formats have no columns."""

LOOKS = {
    SourceFormat.huggingface: "a Hugging Face dataset of save_to_disk, with dataset_info.json or dataset_dict.json",
    SourceFormat.kaldi: "a folder with Kaldi's wav.scp and text, or of such folders",
    SourceFormat.lhotse: "lhotse's *cuts*.jsonl or *cuts*.jsonl.gz, or a folder with some",
    SourceFormat.nemo: "NeMo's JSON lines with audio_filepath and text in .json or .jsonl, or a folder with some",
    SourceFormat.table: "a CSV or TSV table, or a folder with some",
    SourceFormat.folder: "a folder with x.wav and x.txt",
}
PARQUET = "A dataset in Parquet files, as the hub has it, is written so by: python -c {}"
COUNTED = 10_000
"""Files of a source in an unknown format whose kinds are told."""


def find_format(source: Path) -> SourceFormat:
    """The format of a source.

    Raises:
        ConfigError: There is no such source, or its format is unknown.
    """
    if not source.exists():
        fault = foreign(str(source))
        raise ConfigError(
            f"data.source={source} {fault}."
            if fault
            else f"data.source={source} does not exist: give a folder or a file."
        )
    found = _format_of(source)
    if found is None:
        content = _content(source)
        hint = f" {PARQUET.format(_saving(source))}" if " .parquet" in content else ""
        raise ConfigError(f"data.source={source}, {content}, is none of: {'; '.join(LOOKS.values())}.{hint}")
    return found


def _format_of(source: Path) -> SourceFormat | None:
    return next((kind for kind, matches in FORMATS.items() if matches(source)), None)


def _saving(source: Path) -> str:
    """A program, as an argument in a shell, that writes Parquet files as a dataset that is read here."""
    what = [str(source)] if source.is_dir() else ["parquet", None, None, str(source)]
    arguments = ", ".join("None" if part is None else json.dumps(part, ensure_ascii=False) for part in what)
    return shlex.quote(f'import datasets; datasets.load_dataset({arguments}).save_to_disk("dataset")')


def _content(source: Path) -> str:
    """What a source of no known format holds, in a few words."""
    if not source.is_dir():
        kind = f"a {source.suffix} file" if source.suffix else "a file without an ending"
        return kind if not source.is_file() or source.stat().st_size else "an empty file"
    kinds = Counter(path.suffix.lower() or "without an ending" for path in islice(files_below(source), COUNTED))
    return f"a folder with {', '.join(f'{n} {kind}' for kind, n in kinds.most_common(5)) or 'no files'}"


def read_source(config: DataConfig, audio: Path) -> dict[str | None, list[Utterance]]:
    """Reads the corpus at `data.source`; audio that is not yet a file is written into a folder.

    Logs how many rows each of its files has.

    Returns:
        The utterances of each split; None holds those whose split the source does not say.

    Raises:
        ConfigError: There is no such source, or its format is unknown.
        DataError: It is incomplete or damaged.
    """
    if config.source is None:
        raise ConfigError("data.source is null: give your corpus, as in data.source=/data/mine.")
    source = expanded(config.source).absolute()
    kind = find_format(source) if config.format is SourceFormat.auto or not source.exists() else config.format
    # A manifest that is named is read to its first fault, even where it cannot be told from other JSON.
    if not FORMATS[kind](source) and not (kind is SourceFormat.nemo and nemo.candidates(source)):
        other = _format_of(source)
        remedy = f"set data.format={other.value}, which it is" if other else "correct one of the two"
        raise ConfigError(
            f"data.source={source}, {_content(source)}, is not in the format {kind.value}, which is {LOOKS[kind]}: "
            f"{remedy}."
        )
    roles = ROLES.get(kind, ())
    if unknown := [role for role in config.columns if role not in roles]:
        may = f"it may name {', '.join(roles)}" if roles else "leave it out"
        raise ConfigError(f"data.columns names {unknown[0]!r}, which the format {kind.value} does not have: {may}.")
    match kind:
        case SourceFormat.huggingface:
            rows = huggingface.read(source, config.columns, audio)
        case SourceFormat.kaldi:
            rows = kaldi.read(source)
        case SourceFormat.lhotse:
            rows = lhotse.read(source, audio)
        case SourceFormat.nemo:
            rows = nemo.read(source)
        case SourceFormat.table:
            rows = table.read(source, config.columns)
        case _:
            rows = audio_folder.read(source)
    counts = Counter(row.place.file if row.place else str(source) for part in rows.values() for row in part)
    if not counts:
        raise DataError(f"{source}, in the format {kind.value}, holds no utterance: give a source with recordings.")
    for file, count in counts.items():
        log.info("%s: %d rows read.", file, count)
    utterances = utterances_of(rows, source if source.is_dir() else source.parent)
    require_all(counts.total(), sum(map(len, utterances.values())), f"utterances of {source}")
    return utterances
