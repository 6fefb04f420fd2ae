"""A folder of recordings: x.wav with its transcript in x.txt, optionally in folders of splits and speakers."""

import os
from collections.abc import Iterator
from pathlib import Path

from asr.common.errors import DataError
from asr.data.formats.rows import Row, split_of

AUDIO = frozenset((".wav", ".flac", ".sph", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64"))


def matches(source: Path) -> bool:
    """Whether it is a folder with audio."""
    return source.is_dir() and next(_audio_files(source), None) is not None


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads SPLIT/SPEAKER/ID.wav with ID.txt, where SPLIT and SPEAKER may be left out.

    Raises:
        DataError: Audio has no transcript, or a transcript is not in UTF-8.
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
            raise DataError(f"{transcript} is not in UTF-8 ({error.reason}): save it in UTF-8.") from None
        folders = path.relative_to(source).parts[:-1]
        split = split_of(folders[0]) if folders else None
        within = folders[1:] if split else folders
        rows.setdefault(split, []).append(Row(path, text, speaker=within[0] if within else ""))
    if without:
        raise DataError(
            f"{len(without)} audio files have no transcript beside them, as {without[0]}, which needs "
            f"{Path(without[0]).with_suffix('.txt').name}: write the transcripts or remove the audio."
        )
    return rows


def _audio_files(source: Path) -> Iterator[Path]:
    """The audio files below a folder, found lazily."""
    for folder, _, files in os.walk(source):
        yield from (Path(folder, name) for name in files if Path(name).suffix.lower() in AUDIO)
