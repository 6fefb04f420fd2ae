"""Writing splits in the format of another toolkit, and counting what was written."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from asr.common.errors import ConfigError
from asr.data.formats import kaldi, lhotse, nemo
from asr.data.manifest import require_all
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance

FORMATS: Mapping[str, tuple[Callable[[Mapping[str, Sequence[Utterance]], Path], None], Sequence[str]]] = {
    "nemo": (nemo.export, ("{}.json",)),
    "kaldi": (kaldi.export, ("{}/text", "{}/utt2spk")),
    "lhotse": (lhotse.export, ("supervisions_{}.jsonl.gz", "cuts_{}.jsonl.gz")),
}
"""By the names of the toolkits: what writes the format, and the files of a split with a line for each utterance."""


def export(name: str, splits: Mapping[str, Sequence[Utterance]], folder: Path) -> None:
    """Writes splits into a folder that exists.

    Raises:
        ConfigError: A library is missing.
        DataError: The format cannot express an utterance, audio cannot be read, or there are more or fewer lines than
            utterances.
    """
    write, files = FORMATS[name]
    write(splits, folder)
    for split, utterances in splits.items():
        for path in (folder / file.format(split) for file in files):
            remedy = "look for ids that repeat and line breaks in transcripts"
            require_all(len(utterances), _lines(path), f"lines in {path}", remedy)


def keep_source(source: Path, name: str, folder: Path) -> None:
    """Refuses to write over a source.

    Raises:
        ConfigError: A file of the source is among those that would be written.
    """
    real, (_, files) = source.resolve(), FORMATS[name]
    for path in (folder / file.format(split) for file in files for split in SPLITS):
        if path.exists() and path.resolve().is_relative_to(real):
            raise ConfigError(f"{path} is a file of data.source, {source}: give another folder for -o.")


def _lines(path: Path) -> int:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        return sum(1 for _ in lines)
