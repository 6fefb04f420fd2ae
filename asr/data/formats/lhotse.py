"""Cuts of lhotse, read with lhotse itself (Żelasko et al., "Lhotse: a speech data representation library", 2021)."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile

from asr.common.errors import DataError
from asr.common.files import file_name
from asr.common.optional import optional
from asr.data.audio_paths import entries
from asr.data.formats.rows import Place, Row, audio_path, label, read_by_split, real_folders
from asr.data.manifest import require_all
from asr.data.utterance import Utterance, extra_of

log = logging.getLogger(__name__)

SUFFIXES = (".jsonl.gz", ".jsonl")


def matches(source: Path) -> bool:
    """Whether it is a file of cuts or a folder with some, by the names that lhotse's recipes use."""
    return bool(_files(source))


def read(source: Path, audio: Path) -> dict[str | None, list[Row]]:
    """Reads cuts: one utterance for each supervision.

    The source is a file, or a folder with one for each split. A cut of a file is read from the file; what lhotse
    computes on the fly (resampling, mixtures, audio in memory) is written as FLAC.

    Raises:
        ConfigError: lhotse is not installed.
        DataError: The file contains no cuts, or files are not named after splits.
    """
    lhotse = optional("lhotse", "lhotse")

    def rows_of(path: Path) -> list[Row]:
        rows: list[Row] = []
        silent = total = supervisions = 0
        try:
            for cut in lhotse.CutSet.from_file(path):
                total, silent = total + 1, silent + (not cut.supervisions)
                supervisions += len(cut.supervisions)
                for trimmed in cut.trim_to_supervisions(keep_overlapping=False):
                    rows.append(_row(trimmed, Place(str(path), len(rows) + 1, "supervision"), audio))
        except DataError:
            raise
        except Exception as error:  # lhotse has errors of its own for damaged files and unreadable audio
            raise DataError(
                f"{path} cannot be read as cuts ({type(error).__name__}: {error}); {len(rows)} supervisions were read "
                "before: write the file again."
            ) from None
        require_all(supervisions, len(rows), f"supervisions of {path}")
        if silent:
            log.warning("%s: %d of %d cuts have no supervision and are left out.", path, silent, total)
        return rows

    return read_by_split(_files(source), rows_of, source)


def _files(source: Path) -> list[Path]:
    candidates = [source] if source.is_file() else entries(source, *SUFFIXES)
    return [path for path in candidates if path.name.endswith(SUFFIXES) and "cuts" in path.name]


def _row(cut: Any, place: Place, audio: Path) -> Row:
    (supervision,) = cut.supervisions
    text, speaker = supervision.text or "", label(supervision.speaker, "the speaker", place) or ""
    if not isinstance(text, str):
        raise DataError(f"{place}: its text is {str(text)[:40]}; it must be a text: write it in quotes.")
    # Trimming numbers the cuts; other tools know the supervision by its own id.
    name = label(supervision.id, "the id", place) or cut.id
    told = {"gender": supervision.gender, "language": supervision.language, **(supervision.custom or {})}
    extra = extra_of(told)
    file = _file(cut, place)
    if file is not None:
        return Row(file, text, speaker, name, cut.start, cut.duration, _channel(cut), place, extra=extra)
    written = audio / f"{file_name(name)}.flac"
    written.parent.mkdir(parents=True, exist_ok=True)
    samples = cut.load_audio()
    soundfile.write(written, samples.T, cut.sampling_rate)
    return Row(written, text, speaker, name, place=place, extra=extra)


def _file(cut: Any, place: Place) -> Path | None:
    """The file of a cut that can be read from it unchanged."""
    recording = getattr(cut, "recording", None)
    if recording is None or recording.transforms or len(recording.sources) != 1:
        return None
    (source,) = recording.sources
    if len(_channels(cut)) not in (1, len(source.channels)):
        return None
    if source.type != "file":
        if source.type == "command":
            raise DataError(
                f"{place}: the recording {recording.id} is the output of a program, and programs in data are not run."
            )
        return None
    path = Path(place.file)
    return audio_path(source.source, Path.cwd(), place, [path.parent, *real_folders(path)])


def _channels(cut: Any) -> list[int]:
    return [cut.channel] if isinstance(cut.channel, int) else list(cut.channel)


def _channel(cut: Any) -> int | None:
    """The position in its file of the single channel of a cut."""
    (source,), channels = cut.recording.sources, _channels(cut)
    return int(source.channels.index(channels[0])) if len(channels) == 1 else None


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
                name = f"{split}-{len(recordings)}-{path.stem}"  # numbered, because file names may repeat
                recordings[path] = lhotse.Recording.from_file(path, recording_id=name)
            except Exception as error:  # lhotse has errors of its own for unreadable audio
                raise DataError(f"The audio file {path} cannot be read by lhotse ({error}).") from None
        supervisions = [
            lhotse.SupervisionSegment(
                id=utterance.id,
                recording_id=recordings[utterance.audio_filepath].id,
                start=utterance.offset,
                duration=utterance.duration,
                text=utterance.text,
                speaker=utterance.speaker or None,
                custom=dict(utterance.extra) or None,
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
