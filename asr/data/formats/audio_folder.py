"""A folder of recordings: x.wav with its transcript in x.txt, in folders of splits and speakers where there are any."""

import os
from collections.abc import Iterator
from pathlib import Path

from asr.common.errors import DataError
from asr.data.formats.rows import Row, split_of

AUDIO = frozenset((".wav", ".flac", ".sph", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64"))


def matches(source: Path) -> bool:
    """Whether it is a folder with audio and transcripts beside it."""
    return source.is_dir() and next(_audio_files(source), None) is not None


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads SPLIT/SPEAKER/ID.wav with ID.txt, where SPLIT and SPEAKER may be left out.

    Raises:
        DataError: Audio without a transcript, a transcript that is not in UTF-8, or neither of them.
    """
    rows: dict[str | None, list[Row]] = {}
    without = []
    for path in sorted(_audio_files(source)):
        transcript = path.with_suffix(".txt")
        if not transcript.is_file():
            without.append(str(path))
            continue
        try:
            text = " ".join(transcript.read_text(encoding="utf-8-sig").split())
        except UnicodeDecodeError as error:
            raise DataError(f"{transcript} is not in UTF-8 ({error.reason}): save it as such.") from None
        folders = path.relative_to(source).parts[:-1]
        split = split_of(folders[0]) if folders else None
        within = folders[1:] if split else folders
        rows.setdefault(split, []).append(Row(path, text, speaker=within[0] if within else ""))
    if without:
        raise DataError(
            f"{len(without)} audio files have no transcript beside them, as {without[0]}, which needs "
            f"{Path(without[0]).with_suffix('.txt').name}: write the transcripts or take the audio away."
        )
    return rows


def _audio_files(source: Path) -> Iterator[Path]:
    """The audio files below a folder, found as they are asked for."""
    for folder, _, files in os.walk(source):
        yield from (Path(folder, name) for name in files if Path(name).suffix.lower() in AUDIO)
