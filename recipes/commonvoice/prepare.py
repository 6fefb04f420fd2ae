"""Common Voice in any language: MP3 clips and a table for each split of the validated ones, as Mozilla packs them."""

from dataclasses import replace
from pathlib import Path

from asr.common.errors import ConfigError, DataError
from asr.data.archives import fetch_archive, unpack
from asr.data.formats import table
from asr.data.formats.rows import Row, utterances_of
from asr.data.own import finish
from asr.data.splits import SPLITS
from asr.settings.root import Config

PLACES = ("train.tsv", "*/train.tsv", "*/*/train.tsv")
"""Where the table may be below data.source; an archive contains cv-corpus-VERSION/LANGUAGE/train.tsv."""


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads the validated clips in the publisher's splits; the language of the texts is that of the folder."""
    folder = language_folder(config, archives, output)
    utterances = utterances_of({split: rows(folder, split) for split in SPLITS}, folder)
    splits = {split: utterances[split] for split in SPLITS}
    finish(config, splits, output, language=folder.name)


def language_folder(config: Config, archives: Path, output: Path) -> Path:
    """The folder of one language: data.source itself or within it, or in the archive that it names."""
    if config.data.source is None:
        raise ConfigError(
            "data.source is null: name the archive of a language, as in "
            "data.source=cv-corpus-21.0-2025-03-14-tr.tar.gz, or the folder that it was unpacked to; the publisher "
            "offers them at https://commonvoice.mozilla.org/datasets."
        )
    root = Path(config.data.source).expanduser()
    if not root.is_dir():
        root = unpack(root if root.is_file() else fetch_archive(root.name, archives), output / "original")
    for place in PLACES:
        if found := sorted(root.glob(place)):
            if len(found) > 1:
                raise DataError(f"{root} has several languages: set data.source to one, as {found[0].parent}.")
            return found[0].parent.absolute()
    raise DataError(f"{root} has no train.tsv, which Common Voice has for each language: give another data.source.")


def rows(folder: Path, split: str) -> list[Row]:
    """The clips of a split, which its table names without their folder."""
    return [
        replace(row, audio=folder / "clips" / row.audio.name)
        for part in table.read(folder / f"{split}.tsv", {}).values()
        for row in part
    ]
