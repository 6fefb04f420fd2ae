"""A folder of recordings: x.wav with its transcript in x.txt, optionally in folders of splits and speakers."""

import logging
from pathlib import Path

from asr.common.errors import DataError, listed
from asr.common.files import read_text
from asr.data.audio_paths import AUDIO, MEDIA, audio_below, files_below
from asr.data.formats.rows import Row, split_of

log = logging.getLogger(__name__)


def matches(source: Path) -> bool:
    """Whether it is a folder with audio."""
    return source.is_dir() and next(audio_below(source, MEDIA), None) is not None


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads SPLIT/SPEAKER/ID.wav with ID.txt, where SPLIT and SPEAKER may be left out.

    Raises:
        DataError: Audio has no transcript or is of a kind that is not read, or a transcript cannot be read.
    """
    texts: dict[Path, Path] = {}
    """The file of each transcript by its usual name: TIMIT has them as .TXT."""
    media: list[Path] = []
    for path in files_below(source):
        if path.suffix.lower() == ".txt":
            texts[path.with_suffix(".txt")] = path
        elif path.suffix.lower() in MEDIA:
            media.append(path)
    rows: dict[str | None, list[Row]] = {}
    without = []
    for path in sorted(path for path in media if path.suffix.lower() in AUDIO):
        transcript = texts.get(path.with_suffix(".txt"))
        if transcript is None:
            without.append(path)
            continue
        text = " ".join(read_text(transcript).split())
        folders = path.relative_to(source).parts[:-1]
        split = split_of(folders[0]) if folders else None
        within = folders[1:] if split else folders
        rows.setdefault(split, []).append(Row(path, text, speaker=within[0] if within else ""))
    for row in (row for part in rows.values() for row in part):
        texts.pop(row.audio.with_suffix(".txt"), None)
    if unread := sorted(path for path in media if path.with_suffix(".txt") in texts):
        raise DataError(
            f"{source}: {len(unread)} recordings with transcripts are of kinds that are not read here: "
            f"{listed(unread)}: convert them to WAV or FLAC."
        )
    if without:
        raise DataError(
            f"{source}: {len(without)} audio files have no transcript beside them: {listed(without)}: write each, as "
            f"{without[0].with_suffix('.txt').name}, or remove the audio; if a table names them, set data.source to it."
        )
    if texts:
        log.info("%s: %d texts have no audio beside them: %s.", source, len(texts), listed(sorted(texts.values())))
    return rows
