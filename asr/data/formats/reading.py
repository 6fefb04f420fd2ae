"""Reading a source: detects its format and reads it into splits."""

from pathlib import Path

from asr.common.errors import ConfigError
from asr.data.formats import audio_folder, huggingface, kaldi, lhotse, nemo, table
from asr.data.formats.rows import utterances_of
from asr.data.utterance import Utterance
from asr.settings.data import DataConfig, SourceFormat

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


def find_format(source: Path) -> SourceFormat:
    """The format of a source.

    Raises:
        ConfigError: There is no such source, or its format is unknown.
    """
    if not source.exists():
        raise ConfigError(f"data.source={source} does not exist: give a folder or a file.")
    for kind, matches in FORMATS.items():
        if matches(source):
            return kind
    raise ConfigError(
        f"data.source={source} is none of: a folder with x.wav and x.txt, a CSV or TSV table, NeMo's JSON lines, "
        "Kaldi's wav.scp and text, lhotse's cuts, a Hugging Face dataset."
    )


def read_source(config: DataConfig, audio: Path) -> dict[str | None, list[Utterance]]:
    """Reads the corpus at `data.source`; audio that is not yet a file is written into a folder.

    Returns:
        The utterances of each split; None holds those whose split the source does not say.

    Raises:
        ConfigError: There is no such source, or its format is unknown.
        DataError: It is incomplete or damaged.
    """
    if config.source is None:
        raise ConfigError("data.source is null: give your corpus, as in data.source=/data/mine.")
    source = Path(config.source).expanduser().absolute()
    kind = find_format(source) if config.format is SourceFormat.auto else config.format
    if not FORMATS[kind](source):
        raise ConfigError(f"data.source={source} is not in the format {kind.value}: set data.format=auto.")
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
    return utterances_of(rows, source if source.is_dir() else source.parent)
