"""What a recipe's prepare.py describes a corpus with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import soundfile

from asr.data.manifest import write_manifest
from asr.data.utterance import Utterance
from asr.errors import DataError

SPLITS = ("train", "dev", "test")


def whole_file(path: Path, text: str, speaker: str, id: str | None = None) -> Utterance:
    """The utterance that fills an audio file; length and rate come from the file's header, the id from its name.

    Raises:
        DataError: The file is missing or its header cannot be read.
    """
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"The audio file {path} cannot be read ({error}): replace it or leave it out.") from None
    return Utterance(
        id=id or path.stem,
        audio_filepath=path,
        offset=0.0,
        duration=info.frames / info.samplerate,
        text=text,
        speaker=speaker,
        sampling_rate=info.samplerate,
    )


def write_splits(output: Path, splits: Mapping[str, Sequence[Utterance]]) -> None:
    """Writes the manifests train.jsonl, dev.jsonl and test.jsonl, and before them those of any further splits.

    Raises:
        DataError: A split has no utterance; then none is written.
    """
    require_splits(output, splits)
    for split in (*(split for split in splits if split not in SPLITS), *SPLITS):
        write_manifest(output / f"{split}.jsonl", splits[split])


def require_splits(output: Path, splits: Mapping[str, Sequence[Utterance]]) -> None:
    """Refuses splits of which one is empty.

    Raises:
        DataError: It is.
    """
    for split in (*SPLITS, *splits):
        if not splits.get(split):
            raise DataError(
                f"No utterance is left for {split} in {output}: the archive may be another one than expected; delete "
                "the folder and prepare the corpus from the publisher's archive."
            )
