"""Recordings, supervisions and cuts, written by lhotse itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr.data.sources.extras import optional
from asr.data.utterance import Utterance
from asr.errors import DataError


def export(splits: Mapping[str, Sequence[Utterance]], folder: Path) -> None:
    """Writes recordings_SPLIT, supervisions_SPLIT and cuts_SPLIT, each as .jsonl.gz.

    Raises:
        ConfigError: lhotse is not installed.
        DataError: An audio file cannot be read.
    """
    lhotse = optional("lhotse", "lhotse")
    for split, utterances in splits.items():
        recordings: dict[Path, Any] = {}
        for path in dict.fromkeys(utterance.audio_filepath for utterance in utterances):
            try:
                # By its path within all audio: the names of files may be alike.
                recordings[path] = lhotse.Recording.from_file(
                    path, recording_id=f"{split}-{len(recordings)}-{path.stem}"
                )
            except Exception as error:  # whatever lhotse raises of audio that it cannot read
                raise DataError(f"The audio file {path} cannot be read by lhotse ({error}).") from None
        supervisions = [
            lhotse.SupervisionSegment(
                id=utterance.id,
                recording_id=recordings[utterance.audio_filepath].id,
                start=utterance.offset,
                duration=utterance.duration,
                text=utterance.text,
                speaker=utterance.speaker or None,
            )
            for utterance in utterances
        ]
        cuts = [
            lhotse.MonoCut(
                id=utterance.id,
                start=utterance.offset,
                duration=utterance.duration,
                channel=0,
                recording=recordings[utterance.audio_filepath],
                supervisions=[supervision.with_offset(-utterance.offset)],
            )
            for utterance, supervision in zip(utterances, supervisions, strict=True)
        ]
        lhotse.RecordingSet.from_recordings(recordings.values()).to_file(folder / f"recordings_{split}.jsonl.gz")
        lhotse.SupervisionSet.from_segments(supervisions).to_file(folder / f"supervisions_{split}.jsonl.gz")
        lhotse.CutSet.from_cuts(cuts).to_file(folder / f"cuts_{split}.jsonl.gz")
