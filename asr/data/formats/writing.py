"""Writing splits in the format of another toolkit, and counting what was written."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from asr.data.formats import kaldi, lhotse, nemo
from asr.data.manifest import require_all
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


def _lines(path: Path) -> int:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        return sum(1 for _ in lines)
